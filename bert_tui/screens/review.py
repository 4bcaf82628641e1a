"""What will happen, in words and as the exact command, before anything does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Label, Static

from bert_tui.checks.check import Check
from bert_tui.checks.runner import Subject, run_checks
from bert_tui.invocation import program
from bert_tui.measured import with_measured
from bert_tui.places import state_folder
from bert_tui.plan import Plan, make_plan
from bert_tui.screens.page import Obstacle, WizardPage
from bert_tui.screens.save_preset import Saved, SavePreset
from bert_tui.wizard import choices, review
from bert_tui.wizard.fields import HEADINGS
from trainer.spec.problem import PresetError
from trainer.spec.run_directory import write_whole


class Fact(Horizontal):
    """An aspect in one column, its sentence in the other."""

    DEFAULT_CSS = """
    Fact {
        height: auto;
        & Label { width: 10; color: $muted; }
        & .sentence { width: 1fr; height: auto; }
    }
    """

    def __init__(self, sentence: review.Sentence) -> None:
        super().__init__()
        self._sentence = sentence

    def compose(self) -> ComposeResult:
        """Both columns."""
        yield Label(self._sentence.about, markup=False)
        caution = f"\n! {self._sentence.caution}" if self._sentence.caution else ""
        yield Static(Content.assemble(self._sentence.text, (caution, "$warning")), classes="sentence")


class Command(VerticalScroll, can_focus=True):
    """The command, to be scrolled where it is long."""

    DEFAULT_CSS = """
    Command {
        background: $surface; padding: 0 1; height: 1fr; min-height: 3; scrollbar-size-vertical: 1;
        &:focus { background: $panel; }
    }
    """
    field = "command"


class ReviewPage(WizardPage):
    """The plan in words, the command, and the last Enter."""

    page = field = "review"
    heading = HEADINGS["review"]
    lead = ""
    next_label = "Start training"

    BINDINGS = [
        ("f3", "next", "Start"),
        ("f6", "copy", "Copy command"),
        ("f7", "save", "Save preset"),
        Binding("pageup", "turn_command(-1)", show=False),
        Binding("pagedown", "turn_command(1)", show=False),
    ]

    DEFAULT_CSS = """
    ReviewPage {
        #body { overflow-y: hidden; }
        #lead { height: 0; }
        #command-title { color: $muted; margin-top: 1; }
        #bar #next { min-width: 18; }
    }
    """

    @dataclass
    class Answered(Message):
        """One of the last questions was answered."""

        check: Check

    def __init__(self) -> None:
        super().__init__()
        self._plan: Plan | None = None
        self._refusal = ""
        self._command = ""
        self._answers = 0
        self._start_when_ready = False

    def compose_body(self) -> ComposeResult:
        """Words and command."""
        self._resolve()
        if self._plan is not None:
            yield from (Fact(sentence) for sentence in review.in_words(self._plan))
        yield Static("The command that does it (Page Down shows more)", id="command-title", markup=False)
        with Command(id="command"):
            yield Static(self._command, id="command-text", markup=False)

    def _resolve(self) -> None:
        answers = self.session.answers
        try:
            machine = self.session.known_machine
            self._plan = with_measured(make_plan(answers.preset, answers.name, machine), machine)
        except PresetError as error:
            self._refusal = choices.sentence(error.problems[0])
        else:
            self._refusal = choices.first_problem(self._plan)
            self._command = self.wizard.describe(self._plan)

    def on_mount(self) -> None:
        """The cursor on the button that starts; a last look at everything chosen."""
        self.query_one("#next").focus()
        if self._refusal:
            self.notice(f"x {self._refusal}", problem=True)
        elif self._plan is not None:
            subject = Subject(self._plan.preset, self.session.known_machine)
            run_checks(self.wizard.last_questions, subject, self._tell)

    def _tell(self, check: Check) -> None:
        self.post_message(self.Answered(check))

    def on_review_page_answered(self, event: Answered) -> None:
        """A failure holds the start back. The start waits for the last answer."""
        self._answers += 1
        if event.check.answer == "fail" and not self._refusal:
            self._refusal = f"{event.check.title}: {event.check.seen} {event.check.repair}".strip()
            self.notice(f"x {self._refusal}", problem=True)
        if self._start_when_ready and self._looked:
            self.action_next()

    @property
    def _looked(self) -> bool:
        return self._answers == len(self.wizard.last_questions)

    def action_next(self) -> None:
        """Starts, once everything was looked at."""
        if self._refusal or self._looked:
            super().action_next()
            return
        self._start_when_ready = True
        self.notice("Looking at your files once more…")

    def obstacles(self) -> Iterator[Obstacle]:
        """A plan that cannot start."""
        if self._refusal:
            yield Obstacle(self.query_one("#back"), self._refusal)

    def go_on(self) -> None:
        """Starts."""
        assert self._plan is not None
        self.wizard.launch(self._plan)

    def action_turn_command(self, pages: int) -> None:
        """Shows more of a long command, wherever the cursor is."""
        command = self.query_one(Command)
        command.scroll_relative(y=pages * command.size.height, animate=False)

    def action_copy(self) -> None:
        """To the terminal's clipboard (OSC 52), and to a file for terminals that have none."""
        path = state_folder() / "command.sh"
        self.app.copy_to_clipboard(self._command)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(path, self._command + "\n")
        except OSError as error:
            self.notice(f"Copied. It could not be written to {path}: {error.strerror}.", problem=True)
        else:
            self.notice(f"Copied; it also lies in {path}")

    def action_save(self) -> None:
        """Asks where."""
        answers = self.session.answers
        self.app.push_screen(SavePreset(answers.preset, answers.name), self._saved)

    def _saved(self, saved: Saved | None) -> None:
        if saved is not None:
            self.notice(f"Saved. Run it again with: {program()} run {saved.path}")
