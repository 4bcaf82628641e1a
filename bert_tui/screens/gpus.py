"""Which GPUs take part."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.content import Content

from bert_tui.screens.dialog import Dialog
from bert_tui.widgets.choice_list import Line
from bert_tui.widgets.tick_list import TickList
from bert_tui.wizard.choices import Choice


class GpuDialog(Dialog[tuple[str, ...]]):
    """A list to tick; GPUs that cannot be used say why."""

    heading = "Which GPUs take part?"
    lead = "Space ticks, Enter takes the choice. With none, the CPU trains."

    def __init__(self, gpus: Sequence[Choice], chosen: str | tuple[str, ...]) -> None:
        super().__init__()
        self._gpus = gpus
        self._chosen = chosen

    def compose_body(self) -> ComposeResult:
        """One line a GPU."""
        free = [gpu.value for gpu in self._gpus if not gpu.reason]
        ticked = [value for value in free if self._chosen == "all" or value in self._chosen]
        yield TickList([_line(gpu) for gpu in self._gpus], ticked)

    def on_mount(self) -> None:
        """The cursor in the list."""
        self.query_one(TickList).focus()

    def result(self) -> tuple[str, ...]:
        """The UUIDs that are ticked, in the order of the GPUs."""
        return self.query_one(TickList).ticked


def _line(gpu: Choice) -> Line:
    text = Content.assemble(gpu.title.ljust(8), (gpu.reason or gpu.detail, "" if gpu.reason else "$muted"))
    return Line(gpu.value, text, disabled=bool(gpu.reason))
