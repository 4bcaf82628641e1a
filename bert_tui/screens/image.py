"""The container image: which one, whether it is here, and fetching it. That goes on in a process of its own."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Button, Input, Label, Static

from bert_tui.launchers.fetching.job import (
    FetchView,
    cancel_fetch,
    load_order,
    pull_order,
    read_fetch,
    start_fetch,
)
from bert_tui.machine import Machine
from bert_tui.paths import expand_path
from bert_tui.screens.browser import Browser
from bert_tui.screens.page import WizardPage
from bert_tui.screens.run_dialogs import Question
from bert_tui.screens.watch import Broke, in_background
from bert_tui.widgets.field import LineInput
from bert_tui.widgets.glyphs import glyphs
from bert_tui.wizard.choices import sentence
from bert_tui.wizard.image_look import FetchWords, ImageLook, facts, fetch_words, loaded_name, look, with_fetch
from bert_tui.wizard.image_words import cancel_words
from trainer.spec.problem import SpecError

SECONDS_BETWEEN = 1.0
TYPING_SECONDS = 0.4
"""The engine is asked about a name once nobody has typed for so long."""
BAR = 40
FACT_COLUMN = 13
FACT_WIDTH = 63
TONES = {"busy": "$accent", "good": "$success", "bad": "$error", "caution": "$warning", "quiet": "$strong"}
SIGNS = {"busy": "…", "good": "✓", "bad": "x", "caution": "!", "quiet": "-"}


class CancelFetch(Question):
    """Whether to end it."""

    field = "image-cancel"
    heading = "Stop fetching this image?"
    accept_label = "Stop"

    def __init__(self, keeps_layers: bool) -> None:
        super().__init__()
        self.lead = f"{cancel_words(keeps_layers)}\nLeaving this page stops nothing."


@dataclass
class Looked(Message):
    """The engine was asked; ``answer`` is what it was asked about."""

    answer: str
    seen: ImageLook


@dataclass
class Followed(Message):
    """The job was looked at."""

    view: FetchView

    def can_replace(self, message: Message) -> bool:
        """Only the newest counts."""
        return isinstance(message, Followed)


@dataclass
class Refused(Message):
    """Something could not be done."""

    reason: str


class ImageScreen(WizardPage):
    """Gives the name that was chosen, empty for the proposed image; None where nothing was."""

    page = "environment"
    field = "image"
    heading = "The container image"
    lead = "It brings PyTorch. Fetching it goes on when you leave or the line drops."
    next_label = "Fetch"

    BINDINGS = [("f5", "load", "Load a file"), ("f6", "cancel", "Stop fetching")]

    DEFAULT_CSS = """
    ImageScreen {
        .row { height: 1; margin-bottom: 1; }
        .row Label { width: 13; }
        .row LineInput { width: 1fr; }
        #image-facts, #image-fetch, #image-lines { height: auto; }
        #image-lines { color: $muted; margin-top: 1; }
    }
    """

    def __init__(self, answer: str, gpus_wanted: bool, ask: Callable[[str, Machine, bool], ImageLook] = look) -> None:
        """``ask`` is where the page gets its facts from: :func:`~bert_tui.wizard.image_look.look`."""
        super().__init__()
        self._answer = answer
        self._gpus_wanted = gpus_wanted
        self._ask_about = ask
        self._seen: ImageLook | None = None
        self._following = False
        self._typing: Timer | None = None

    def compose_body(self) -> ComposeResult:
        """The name, what is known of it, and the job."""
        with Horizontal(classes="row"):
            yield Label("Image")
            yield LineInput(self._answer, field="image", placeholder="the proposed one", id="image-name")
        yield Static("… Asking Docker", id="image-facts", markup=False)
        yield Static("", id="image-fetch", markup=False)
        yield Static("", id="image-lines", markup=False)

    def on_mount(self) -> None:
        """Asks at once, then follows a job while there is one."""
        self.query_one("#image-name").focus()
        self._look()
        self.set_interval(SECONDS_BETWEEN, self._follow)

    @on(Input.Changed, "#image-name")
    def _typed(self, event: Input.Changed) -> None:
        if event.value.strip() == self._answer:
            return
        self._answer = event.value.strip()
        self._seen = None
        self._show_keys()
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(TYPING_SECONDS, self._look)

    def _look(self) -> None:
        answer, machine = self._answer, self.session.known_machine
        in_background(lambda: Looked(answer, self._ask_about(answer, machine, self._gpus_wanted)), self.post_message)

    @on(Looked)
    def _looked(self, message: Looked) -> None:
        if message.answer == self._answer:
            self._show(message.seen)

    def _follow(self) -> None:
        """In a thread, one at a time: a disk may take its time."""
        view = self._seen.fetch if self._seen is not None else None
        if view is None or view.state != "running" or self._following:
            return
        self._following = True
        self._ask(lambda: Followed(read_fetch(view.folder)))

    @on(Followed)
    def _followed(self, message: Followed) -> None:
        self._following = False
        self.notice("")
        if self._seen is None:
            return
        self._show(with_fetch(self._seen, message.view))
        if message.view.state != "running":
            self._ended(message.view)

    def _ended(self, view: FetchView) -> None:
        """Takes the name of what was loaded from a file; looks whether the image is here now."""
        name = loaded_name(view) if view.order.file else ""
        if name and self._seen is not None and name != self._seen.image:
            self._answer = name
            self.query_one("#image-name", LineInput).value = name
        if view.state == "finished":
            self._look()

    def _show(self, seen: ImageLook) -> None:
        before, self._seen = self._seen, seen
        self.query_one("#image-facts", Static).update(_facts(seen))
        words = fetch_words(seen)
        self.query_one("#image-fetch", Static).update(_fetch(words) if words is not None else "")
        self.query_one("#image-lines", Static).update("\n".join(words.lines) if words is not None else "")
        if before is None or before.next_step != seen.next_step:
            self._show_keys()

    def _show_keys(self) -> None:
        """What can be done now."""
        button = self.query_one("#next", Button)
        step = self._seen.next_step if self._seen is not None else "wait"
        button.label = "Use it" if step == "take" else "Fetch"
        button.display = step != "wait"
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what applies."""
        step = self._seen.next_step if self._seen is not None else "wait"
        running = self._seen is not None and step == "wait"
        if action == "cancel":
            return running
        if action in ("next", "load"):
            return not running
        return super().check_action(action, parameters)

    def action_next(self) -> None:
        """Takes the image that is here; fetches one that is not."""
        seen = self._seen
        if seen is None or seen.next_step == "wait":
            return
        if seen.next_step == "take":
            self.dismiss(self._answer)
        elif seen.problem is not None or not seen.image:
            reason = sentence(seen.problem) if seen.problem is not None else seen.proposal.reason
            self.notice(f"x {reason}", problem=True)
        else:
            self.notice("Starting…")
            self._ask(lambda: self._start(seen.image))

    def _start(self, image: str) -> Message:
        return Followed(read_fetch(start_fetch(pull_order(image))))

    def action_load(self) -> None:
        """From a file."""
        self.app.push_screen(Browser("", "file"), self._load)

    def _load(self, path: str | None) -> None:
        if path is not None:
            self.notice("Starting…")
            self._ask(lambda: Followed(read_fetch(start_fetch(load_order(Path(expand_path(path)))))))

    def action_cancel(self) -> None:
        """Asks first."""
        seen = self._seen
        if seen is None or seen.fetch is None:
            return
        folder = seen.fetch.folder

        def cancel() -> Message:
            cancel_fetch(folder)
            return Followed(read_fetch(folder))

        self.app.push_screen(CancelFetch(seen.keeps_layers), lambda stop: self._ask(cancel) if stop else None)

    def _ask(self, request: Callable[[], Message]) -> None:
        def work() -> Message:
            try:
                return request()
            except SpecError as error:
                return Refused(sentence(error.problems[0]))

        in_background(work, self.post_message)

    @on(Refused)
    def _refused(self, message: Refused) -> None:
        self._following = False
        self.notice(f"x {message.reason}", problem=True)

    @on(Broke)
    def _broke(self, message: Broke) -> None:
        raise message.error

    def action_back(self) -> None:
        """To the checklist, with the name that was typed; a fetch goes on."""
        self.dismiss(self._answer)


def _facts(seen: ImageLook) -> Content:
    parts: list[str | tuple[str, str]] = []
    for name, value in facts(seen):
        lines = [folded for line in value.split("\n") for folded in textwrap.wrap(line, FACT_WIDTH)]
        parts += [(f"{name:<{FACT_COLUMN}}", "$muted"), f"\n{'':<{FACT_COLUMN}}".join(lines), "\n"]
    return Content.assemble(*parts)


def _fetch(words: FetchWords) -> Content:
    parts: list[str | tuple[str, str]] = [(f"{SIGNS[words.tone]} {words.headline}", f"bold {TONES[words.tone]}")]
    if words.share is not None:
        signs, full = glyphs(), int(words.share * BAR)
        parts += [
            "\n",
            (signs.bar_full * full, "$primary"),
            (signs.bar_empty * (BAR - full), "$faint"),
            f" {math.floor(words.share * 100):3} %",
            (f"   {words.left}" if words.left else "", "$muted"),
        ]
    return Content.assemble(*parts, f"\n{words.amount}" if words.amount else "")
