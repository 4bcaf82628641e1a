"""The first page: what this is, and where to go."""

from __future__ import annotations

from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from bert_tui.screens.page import WizardPage
from bert_tui.screens.watch import Broke, in_background
from bert_tui.widgets.choice_list import ChoiceList, Line
from bert_tui.widgets.step_bar import NAMES
from bert_tui.wizard.answers import Page
from trainer.spec.problem import SpecError
from trainer.spec.run_directory import RunDirectory

WHAT_THIS_IS = """\
bert-tui trains BERT, a neural network that learns a language by guessing hidden words. \
A few short pages ask where your files are, how large the model is, and how it is split over this machine. \
Then the training runs in the background, and you watch it here."""


@dataclass(frozen=True)
class OfferedRun:
    """A run that can be gone to."""

    run: RunDirectory
    state: str
    """In a few words: "running, step 300 of 700"."""


@dataclass(frozen=True)
class FoundRuns:
    """The runs there are."""

    live: tuple[OfferedRun, ...] = ()
    """Newest first."""
    resumable: OfferedRun | None = None
    """The newest that has ended early and can go on from a checkpoint."""
    count: int = 0
    """With all others."""


@dataclass
class Resumed(Message, bubble=False):
    """What came of resuming a run; ``refusal`` is empty where it goes on."""

    run: RunDirectory
    refusal: str


class WelcomePage(WizardPage):
    """Three sentences and a list of ways to go; runs that are alive come first."""

    page = "welcome"
    heading = "Train a BERT model"
    lead = WHAT_THIS_IS

    DEFAULT_CSS = """
    WelcomePage { #keys { color: $muted; width: 1fr; margin-top: 1; } }
    """

    def __init__(self) -> None:
        super().__init__()
        self._go_when_ready = False

    def compose_body(self) -> ComposeResult:
        """The ways to go."""
        yield ChoiceList(field="welcome", id="ways")
        yield Static(
            "Enter goes on, the arrow keys choose, Tab moves between fields, F1 explains what is under the cursor. "
            "Your answers are kept: you may leave at any time and come back.",
            id="keys",
        )

    def on_mount(self) -> None:
        """The cursor on the first way."""
        self.redraw()
        self.query_one(ChoiceList).focus()
        if self.session.set_aside:
            self.notice(f"! {self.session.set_aside}")

    def redraw(self) -> None:
        """Runs may have been found."""
        ways = self.query_one(ChoiceList)
        lines = [*self._live_lines(), *self._wizard_lines(), *self._resumable_lines(), *self._all_runs_lines()]
        moved = ways.value is not None and ways.highlighted != 0
        ways.show(lines, ways.value if moved else lines[0].value)
        if self._go_when_ready and self.session.settled:
            self._go_when_ready = False
            self.go_on()

    def _live_lines(self) -> list[Line]:
        return [
            _line(f"run:{found.run.id}", "Watch the training", f"{found.state}  {found.run.id}")
            for found in self.wizard.runs.live
        ]

    def _resumable_lines(self) -> list[Line]:
        found = self.wizard.runs.resumable
        return [_line("resume", "Resume the training", f"{found.state}  {found.run.id}")] if found else []

    def _wizard_lines(self) -> list[Line]:
        kept, suited = self.session.kept_page, "with the answers that suit this machine"
        if not self.session.begun:
            return [_line("new", "Set up a training", suited)]
        over = _line("over", "Start over", suited)
        if kept is None:
            return [_line("new", "Set up a training", "with your answers so far"), over]
        return [_line("continue", "Go on where you left", f"page {NAMES[kept]}; your answers are kept"), over]

    def _all_runs_lines(self) -> list[Line]:
        count = self.wizard.runs.count
        return [_line("runs", "See all runs", f"{count} so far")] if count else []

    def _go_to(self, kept: Page) -> None:
        """To a page in the middle, which needs to know the machine."""
        if self.session.settled:
            self.wizard.show_page(kept)
        else:
            self._go_when_ready = True
            self.notice("Looking at this machine first…")

    @on(ChoiceList.Accepted)
    def _accepted(self) -> None:
        self.action_next()

    def go_on(self) -> None:
        """Where the chosen line leads."""
        way = self.query_one(ChoiceList).value or "new"
        kept = self.session.kept_page
        if way == "runs":
            self.wizard.show_runs()
        elif way.startswith("run:"):
            self.wizard.watch_by_id(way.removeprefix("run:"))
        elif way == "resume" and self.wizard.runs.resumable is not None:
            self._resume(self.wizard.runs.resumable.run)
        elif way == "continue" and kept is not None:
            self._go_to(kept)
        else:
            if way == "over":
                self.session.start_over()
            super().go_on()

    def _resume(self, run: RunDirectory) -> None:
        """In a thread: the disk and the engine are asked."""
        self.notice("Starting it again…")
        machine = self.session.machine

        def work() -> Message:
            from bert_tui.runs.create import resume_run
            from bert_tui.wizard.choices import sentence

            try:
                resume_run(run, machine=machine)
            except SpecError as error:
                return Resumed(run, " ".join(sentence(problem) for problem in error.problems))
            return Resumed(run, "")

        in_background(work, self.post_message)

    @on(Resumed)
    def _resumed(self, message: Resumed) -> None:
        if message.refusal:
            self.notice(f"x {message.refusal}", problem=True)
        else:
            self.wizard.watch_run(message.run)

    @on(Broke)
    def _broke(self, message: Broke) -> None:
        raise message.error


def _line(value: str, title: str, detail: str) -> Line:
    return Line(value, Content.assemble(title.ljust(22), (detail, "$muted")), bold=len(title))
