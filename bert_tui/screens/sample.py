"""What the model will see of a dataset: a few samples, read by the trainer's own reader."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Static

from bert_tui.screens.watch import Broke, in_background
from bert_tui.wizard.choices import sentence
from trainer.spec.preset import Data
from trainer.spec.problem import SpecError

if TYPE_CHECKING:
    from bert_tui.data.show_sample import ShownSample

SAMPLES = 5
WIDTH = 70
"""Columns of a line; the box is as wide at every size of the window."""
COLOURS = {
    "heading": "$muted",
    "special": "$muted",
    "hidden": "bold $accent",
    "replaced": "bold $warning",
    "kept": "bold $success",
    "answer": "$muted",
    "plain": "",
}
"""They only add to the marks, which tell the same."""


class SampleScreen(ModalScreen[None]):
    """The samples in a box; any of Enter, Escape, F2 and F6 closes it."""

    field = "sample"

    BINDINGS = [Binding("escape,enter,f2,f3,f6", "close", "Close"), Binding("f1", "app.help", "Help")]

    DEFAULT_CSS = """
    SampleScreen {
        align: center middle;
        #sample { width: 78; max-width: 100%; height: 1fr; max-height: 34; background: $surface; padding: 1 2; }
        #sample-title { text-style: bold; color: $strong; height: 1; margin-bottom: 1; }
        #sample-text { height: 1fr; scrollbar-size-vertical: 1; background: $surface; }
        #sample-keys { height: 1; margin-top: 1; color: $muted; }
    }
    """

    @dataclass
    class Read(Message):
        """The samples were read."""

        text: Content

    @dataclass
    class Refused(Message):
        """They could not be."""

        reason: str

    def __init__(self, prefix: Path, vocab_file: Path, data: Data, sequence_length: int) -> None:
        super().__init__()
        self._prefix = prefix
        self._vocab_file = vocab_file
        self._data = data
        self._sequence_length = sequence_length

    def compose(self) -> ComposeResult:
        """The box."""
        with Vertical(id="sample"):
            yield Static(f"What the model sees of {self._prefix.name}", id="sample-title", markup=False)
            with VerticalScroll(id="sample-text"):
                yield Static("Reading…", id="sample-lines", markup=False)
            yield Static("Arrow keys and Page Down show more. Enter or Escape closes.", id="sample-keys")

    def on_mount(self) -> None:
        """Reads in a thread: a disk may take its time."""
        self.query_one("#sample-text").focus()
        in_background(self._read, self.post_message)

    def _read(self) -> Message:
        from bert_tui.data.show_sample import read_samples

        try:
            samples = read_samples(self._prefix, self._vocab_file, self._data, self._sequence_length, SAMPLES)
        except SpecError as error:
            return self.Refused(sentence(error.problems[0]))
        except OSError as error:
            return self.Refused(f"{error.filename}: {error.strerror}.")
        return self.Read(_drawn(samples))

    def on_sample_screen_read(self, event: Read) -> None:
        """Shows them."""
        self.query_one("#sample-lines", Static).update(event.text)

    def on_sample_screen_refused(self, event: Refused) -> None:
        """Says why."""
        self.query_one("#sample-lines", Static).update(Content.assemble((f"x {event.reason}", "$error")))

    def on_broke(self, event: Broke) -> None:
        """A mistake of this program."""
        raise event.error

    def action_close(self) -> None:
        """Back to the page."""
        self.dismiss(None)


def _drawn(samples: list[ShownSample]) -> Content:
    from bert_tui.data.show_sample import legend_lines, sample_lines

    lines = list(legend_lines(samples, WIDTH))
    for sample in samples:
        lines += [(), *sample_lines(sample, WIDTH)]
    return Content("\n").join(
        Content.assemble(*((span.text, COLOURS[span.style]) if COLOURS[span.style] else span.text for span in line))
        for line in lines
    )
