"""A build while it works, and how it ended. It lives in processes of its own; leaving ends nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Static

from bert_tui.data.build_folder import BuildFolder
from bert_tui.data.build_job import BuildView, read_build, resume_build, stop_build
from bert_tui.screens.page import WizardPage
from bert_tui.screens.run_dialogs import Question
from bert_tui.screens.watch import Broke, in_background
from bert_tui.widgets.glyphs import glyphs
from bert_tui.wizard.build_in_words import BuildWords, in_words
from bert_tui.wizard.built import built_by
from bert_tui.wizard.choices import sentence
from trainer.spec.problem import SpecError

LEAD = "It goes on when you leave or the line drops; this page finds it again."
SECONDS_BETWEEN = 1.0
BAR = 40
"""Columns of the bar."""
FACT_COLUMN = 13
TONES = {"busy": "$accent", "good": "$success", "bad": "$error", "caution": "$warning", "quiet": "$strong"}
SIGNS = {"busy": "…", "good": "✓", "bad": "x", "caution": "!", "quiet": "-"}


class StopBuild(Question):
    """Whether to stop a build."""

    field = "building"
    heading = "Stop this build?"
    lead = "What it has finished is kept, and the same build can go on from there later."
    accept_label = "Stop"


@dataclass
class Seen(Message):
    """The build was looked at."""

    view: BuildView

    def can_replace(self, message: Message) -> bool:
        """Only the newest counts."""
        return isinstance(message, Seen)


@dataclass
class Refused(Message):
    """Something could not be read or asked for."""

    reason: str


class BuildingScreen(WizardPage):
    """Phase, rate and counts; then what was made, or what to do. Gives the dataset, or "another" to build one more."""

    page = "data"
    field = "building"
    lead = LEAD
    next_label = "Use it"

    BINDINGS = [("f6", "stop", "Stop"), ("f7", "another", "Build another")]

    DEFAULT_CSS = """
    BuildingScreen {
        #build-headline { height: auto; }
        #build-bar { height: 1; margin-bottom: 1; }
        #build-facts { height: auto; }
        #build-advice { height: auto; margin-top: 1; color: $warning; }
        #bar #next { min-width: 12; }
    }
    """

    def __init__(self, folder: BuildFolder) -> None:
        super().__init__()
        self._folder = folder
        self._view: BuildView | None = None
        self._looking = False

    @property
    def heading(self) -> str:  # type: ignore[override]
        """Which build."""
        return f"The dataset {self._folder.path.name.removesuffix('.build')}"

    def compose_body(self) -> ComposeResult:
        """Headline, bar, numbers, advice."""
        yield Static("… Looking", id="build-headline", markup=False)
        yield Static("", id="build-bar", markup=False)
        yield Static("", id="build-facts", markup=False)
        yield Static("", id="build-advice", markup=False)

    def on_mount(self) -> None:
        """Follows it."""
        self._show_keys()
        self.query_one("#back").focus()
        self._look()
        self.set_interval(SECONDS_BETWEEN, self._look)

    def _look(self) -> None:
        """In a thread, one at a time: a disk may take its time."""
        if self._looking:
            return
        self._looking = True

        def look() -> Message:
            try:
                return Seen(read_build(self._folder))
            except SpecError as error:
                return Refused(sentence(error.problems[0]))

        in_background(look, self.post_message)

    @on(Seen)
    def _seen(self, message: Seen) -> None:
        self._looking = False
        before, self._view = self._view, message.view
        words = in_words(message.view)
        self.query_one("#build-headline", Static).update(
            Content.assemble((f"{SIGNS[words.tone]} {words.headline}", f"bold {TONES[words.tone]}"))
        )
        self.query_one("#lead", Static).update(LEAD if message.view.state == "running" else "")
        self.query_one("#build-bar", Static).update(_bar(words))
        self.query_one("#build-facts", Static).update(_facts(words))
        self.query_one("#build-advice", Static).update("\n".join((words.remedy, *words.cautions)).strip())
        if before is None or before.state != message.view.state:
            self._show_keys()

    def _show_keys(self) -> None:
        """What can be done about it now."""
        button = self.query_one("#next", Button)
        ended = self._view is not None and self._view.state != "running"
        finished = self._view is not None and self._view.state == "finished"
        button.label = "Use it" if finished else "Go on"
        button.display = ended
        self.refresh_bindings()
        if ended:
            button.focus()

    @on(Refused)
    def _refused(self, message: Refused) -> None:
        self._looking = False
        self.notice(f"x {message.reason}", problem=True)

    @on(Broke)
    def _broke(self, message: Broke) -> None:
        raise message.error

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what applies."""
        state = self._view.state if self._view is not None else None
        if action == "stop":
            return state == "running"
        if action in ("next", "another"):
            return state not in (None, "running")
        return super().check_action(action, parameters)

    def action_next(self) -> None:
        """Takes the dataset; of a build that ended before, goes on with it."""
        if self._view is None or self._view.state == "running":
            return
        if self._view.result is not None:
            self.dismiss(built_by(self._view.result))
            return
        self.notice("Starting it again…")
        self._ask(lambda: resume_build(self._folder))

    def action_stop(self) -> None:
        """Asks first."""
        self.app.push_screen(StopBuild(), lambda stop: self._ask(lambda: stop_build(self._folder)) if stop else None)

    def _ask(self, request: Callable[[], object]) -> None:
        def work() -> Message:
            try:
                request()
                return Seen(read_build(self._folder))
            except SpecError as error:
                return Refused(sentence(error.problems[0]))

        self.notice("")
        in_background(work, self.post_message)

    def action_another(self) -> None:
        """To the form."""
        self.dismiss("another")

    def action_back(self) -> None:
        """To the data page; the build goes on."""
        self.dismiss(None)


def _bar(words: BuildWords) -> Content:
    if words.share is None:
        return Content("")
    signs, full = glyphs(), int(words.share * BAR)
    return Content.assemble(
        (signs.bar_full * full, "$primary"),
        (signs.bar_empty * (BAR - full), "$faint"),
        f" {math.floor(words.share * 100):3} %",
        (f"   {words.left}" if words.left else "", "$muted"),
    )


def _facts(words: BuildWords) -> Content:
    parts: list[str | tuple[str, str]] = []
    for name, value in words.facts:
        parts += [(f"{name:<{FACT_COLUMN}}", "$muted"), f"{value}\n"]
    return Content.assemble(*parts)
