"""What will happen, in words, as the exact command and as a preset, before anything does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Label, Static

from bert_tui.checks.check import Check
from bert_tui.checks.runner import Subject, run_checks
from bert_tui.measured import with_measured
from bert_tui.places import state_folder
from bert_tui.plan import Plan, make_plan
from bert_tui.screens.page import Obstacle, WizardPage
from bert_tui.screens.save_preset import Saved, SavePreset
from bert_tui.screens.watch import Broke, in_background
from bert_tui.widgets.choice_row import ChoiceRow, Option
from bert_tui.wizard import choices, review, saving
from bert_tui.wizard.fields import HEADINGS
from trainer.spec.problem import PresetError, SpecError
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


@dataclass(frozen=True)
class View:
    """One way to show what will happen."""

    title: str
    """In the row of views."""
    lead: str
    """Over the text."""
    file: str
    """Where a copy of the text lies."""


VIEWS = {
    "summary": View("Summary", "The command that does it (Page Down shows more)", "command.sh"),
    "command": View("Command", "What will be run, exactly", "command.sh"),
    "preset": View("Preset", "The same as a file: F7 saves it", "preset.toml"),
    "changes": View("Changes", "Beside the preset that it began with", "changes.txt"),
}


class Text(VerticalScroll, can_focus=True):
    """The text of a view, to be scrolled where it is long."""

    DEFAULT_CSS = """
    Text {
        background: $surface; padding: 0 1; height: 1fr; min-height: 3; scrollbar-size-vertical: 1;
        &:focus { background: $panel; }
    }
    """
    field = "review.text"


class ReviewPage(WizardPage):
    """The plan in words, as a command, as a preset, beside the preset it began with; and the last Enter."""

    page = field = "review"
    heading = HEADINGS["review"]
    lead = ""
    next_label = "Start training"

    BINDINGS = [
        ("f3", "next", "Start"),
        ("f5", "next_view", "View"),
        ("f6", "copy", "Copy"),
        ("f7", "save", "Save preset"),
        Binding("pageup", "turn_text(-1)", show=False),
        Binding("pagedown", "turn_text(1)", show=False),
    ]

    DEFAULT_CSS = """
    ReviewPage {
        #body { overflow-y: hidden; }
        #lead { height: 0; margin-bottom: 0; }
        #field-review-view Label { width: 8; color: $muted; }
        #words { height: auto; }
        #text-lead { color: $muted; margin-top: 1; }
        #bar #next { min-width: 18; }
    }
    """

    @dataclass
    class Answered(Message):
        """One of the last questions was answered."""

        check: Check

    @dataclass
    class Described(Message):
        """The command is known, or why there can be none."""

        command: str
        refusal: str = ""

    def __init__(self) -> None:
        super().__init__()
        self._plan: Plan | None = None
        self._refusal = ""
        self._command = ""
        self._view = "summary"
        self._answers = 0
        self._start_when_ready = False

    def compose_body(self) -> ComposeResult:
        """The row of views, the words, and the text of the view."""
        self._resolve()
        yield ChoiceRow("review.view", "Show", [Option(name, view.title) for name, view in VIEWS.items()], self._view)
        with Vertical(id="words"):
            yield from (Fact(sentence) for sentence in (review.in_words(self._plan) if self._plan else ()))
        yield Static(id="text-lead", markup=False)
        with Text(id="text"):
            yield Static(id="text-content", markup=False)

    def _resolve(self) -> None:
        answers = self.session.answers
        try:
            machine = self.session.known_machine
            self._plan = with_measured(make_plan(answers.preset, answers.name, machine), machine)
        except PresetError as error:
            self._refusal = choices.sentence(error.problems[0])
        else:
            self._refusal = choices.first_problem(self._plan)

    def on_mount(self) -> None:
        """The cursor on the button that starts; a last look at everything chosen."""
        self.query_one("#next").focus()
        self._show_view()
        if self._refusal:
            self.notice(f"x {self._refusal}", problem=True)
        elif self._plan is not None:
            subject = Subject(self._plan.preset, self.session.known_machine)
            run_checks(self.wizard.last_questions, subject, self._tell)
        if self._plan is not None:
            in_background(partial(self._describe, self._plan), self.post_message)

    @on(ChoiceRow.Taken)
    def _view_taken(self, event: ChoiceRow.Taken) -> None:
        self._view = event.value
        self._show_view()

    def action_next_view(self) -> None:
        """The view to the right, or from the last the first."""
        self.query_one(ChoiceRow).words.action_move(1)

    def _show_view(self) -> None:
        self.query_one("#words").display = self._view == "summary"
        self.query_one("#text-lead", Static).update(VIEWS[self._view].lead)
        self.query_one("#text-content", Static).update(self._text())
        self.query_one(Text).scroll_home(animate=False)

    def _text(self) -> str:
        """Of the view; what F6 copies."""
        if self._view == "preset":
            return saving.preset_text(self.session.answers)
        if self._view == "changes":
            return "\n".join(review.changes(self.session.answers).lines)
        return self._command

    def _tell(self, check: Check) -> None:
        self.post_message(self.Answered(check))

    def _describe(self, plan: Plan) -> Described:
        """In a thread: the disks are asked where links lead."""
        try:
            return self.Described(self.wizard.describe(plan))
        except SpecError as error:
            return self.Described("", choices.sentence(error.problems[0]))

    def on_review_page_described(self, event: Described) -> None:
        """Shows the command."""
        self._command = event.command
        self._show_view()
        if event.refusal and not self._refusal:
            self._refusal = event.refusal
            self.notice(f"x {event.refusal}", problem=True)

    def on_broke(self, event: Broke) -> None:
        """A mistake of this program."""
        raise event.error

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

    def action_turn_text(self, pages: int) -> None:
        """Shows more of a long text, wherever the cursor is."""
        text = self.query_one(Text)
        text.scroll_relative(y=pages * text.size.height, animate=False)

    def action_copy(self) -> None:
        """To the terminal's clipboard (OSC 52), and to a file for terminals that have none."""
        path, text = state_folder() / VIEWS[self._view].file, self._text()
        if not text:
            self.notice("The command is not known yet.")
            return
        self.app.copy_to_clipboard(text)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(path, f"{text.rstrip()}\n")
        except OSError as error:
            self.notice(f"Copied. It could not be written to {path}: {error.strerror}.", problem=True)
        else:
            self.notice(f"Copied; it also lies in {path}")

    def action_save(self) -> None:
        """Asks where."""
        self.app.push_screen(SavePreset(self.session.answers), self._saved)

    def _saved(self, saved: Saved | None) -> None:
        """The run is called as the file from now on, so that a replay is the same to the letter."""
        if saved is None:
            return
        self.session.take(saving.named_after(saved.path, self.session.answers))
        if self._plan is not None:
            self._plan = replace(self._plan, name=self.session.answers.name)
        self._show_view()
        self.notice(f"Saved. Run it again with: {saving.replay_command(saved.path)}")
