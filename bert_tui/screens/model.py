"""How large is the model, and how long does it train?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Label, Static

from bert_tui.fit import known_vocabulary
from bert_tui.forecast import roughly
from bert_tui.plan import Plan, trial_plan
from bert_tui.screens.page import Obstacle, WizardPage
from bert_tui.widgets.choice_list import ChoiceList, Line
from bert_tui.widgets.field import LineInput
from bert_tui.wizard import choices, defaults, edit
from bert_tui.wizard.fields import ALL_KNOBS, HEADINGS, KNOBS, MORE_KNOBS
from bert_tui.wizard.review import count
from trainer.spec.preset import Preset, setting_of
from trainer.spec.sizing import GIB

COLUMNS = f"   {'Size':<9}Layers Width Heads   Parameters   Memory       Tokens      Time"
IN_A_ROW = 4
"""Knobs side by side."""


class ModelPage(WizardPage):
    """The sizes side by side; below, a row of what people change first, and more when asked for."""

    page = "model"
    heading = HEADINGS["model"]
    BINDINGS = [("f5", "set_back", "As shipped"), ("f6", "more", "More settings")]
    DEFAULT_CSS = """
    ModelPage {
        #columns { color: $muted; }
        #good { color: $muted; height: 1; padding-left: 3; }
        .knobs { height: 2; margin-top: 1; }
        .more { margin-top: 0; display: none; }
        &.-more .more { display: block; }
        &.-more #lead { display: none; }
        &.-more #columns { margin-top: 1; }
        .knob { width: 19; height: 2; }
        .knob Label { color: $muted; height: 1; }
        .knob LineInput { width: 16; }
        #effect { color: $muted; margin-top: 1; height: auto; min-height: 1; }
        #effect.-caution { color: $warning; }
        #effect.-problem { color: $error; }
    }
    """

    @property
    def lead(self) -> str:  # type: ignore[override]
        """What size costs, and which vocabulary the figures count."""
        cost = "A larger one learns more, and needs more memory and time."
        size = known_vocabulary(self.session.preset)
        if size is None:
            return f"{cost} Counted with BERT's vocabulary: yours cannot be read yet."
        whose = "the sample text's" if self.session.preset.data.source == "sample" else "your"
        return f"{cost} Counted with {whose} vocabulary of {size:,} pieces."

    def compose_body(self) -> ComposeResult:
        """Table, then knobs."""
        yield Static(COLUMNS, id="columns")
        yield ChoiceList(field="sizes", id="sizes")
        yield Static("", id="good", markup=False)
        yield self._row(KNOBS, "knobs")
        further = list(MORE_KNOBS.items())
        for start in range(0, len(further), IN_A_ROW):
            yield self._row(dict(further[start : start + IN_A_ROW]), "knobs more")
        yield Static("", id="effect", markup=False)

    def _row(self, knobs: Mapping[str, str], classes: str) -> Horizontal:
        return Horizontal(*(self._labelled(name, label) for name, label in knobs.items()), classes=classes)

    def _labelled(self, name: str, label: str) -> Vertical:
        line = LineInput(self._value(name), field=name, placeholder=setting_of(name).example, id=_id(name))
        return Vertical(Label(label), line, classes="knob")

    def on_mount(self) -> None:
        """The cursor on the size; more settings are shown where some of them were changed."""
        self._began: Preset = self.session.preset
        """The preset as it was when the cursor came to a knob: what is typed there changes this one, however often."""
        sizes = choices.sizes(self.session.answers, self.session.known_machine)
        self._good_for = {size.size: size.good_for for size in sizes}
        self.set_class(bool(MORE_KNOBS.keys() & self._changes().keys()), "-more")
        table = self.query_one("#sizes", ChoiceList)
        table.show([_size_line(size) for size in sizes], self.session.answers.size)
        table.focus()
        self._show_effect()

    def obstacles(self) -> Iterator[Obstacle]:
        """The first knob with a value that does not fit."""
        for name, label in ALL_KNOBS.items():
            if self._problem(name):
                yield Obstacle(self._knob(name), f"{label} cannot be used yet.")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only a changed size can be set back."""
        if action == "set_back":
            return self.is_mounted and bool(self._changes())
        return super().check_action(action, parameters)

    def action_set_back(self) -> None:
        """The size as it is proposed on this machine."""
        answers = self.session.answers
        self.session.take(defaults.with_size(answers, answers.size, self.session.known_machine))
        self._began = self.session.preset
        self._show_knobs()
        self._show_effect()

    def action_more(self) -> None:
        """Shows further settings, or hides them."""
        self.toggle_class("-more")
        first = self._knob(next(iter(MORE_KNOBS)))
        if self.has_class("-more"):
            first.focus()
        elif self.focused is not None and getattr(self.focused, "field", "") in MORE_KNOBS:
            self.query_one("#sizes").focus()

    def _knob(self, name: str) -> LineInput:
        return self.query_one(f"#{_id(name)}", LineInput)

    def _value(self, name: str) -> str:
        return edit.shown(self.session.preset, name)

    def _changes(self) -> dict[str, str]:
        return choices.changes(self.session.answers, self.session.known_machine)

    def _problem(self, name: str) -> str:
        typed = self._knob(name).value
        if typed == self._value(name):
            return ""
        return edit.problem_of(self._began, name, typed, self.session.answers.size)

    @on(ChoiceList.Accepted)
    def _accepted(self) -> None:
        self.action_next()

    @on(ChoiceList.Taken, "#sizes")
    def _size_taken(self, event: ChoiceList.Taken) -> None:
        if event.value != self.session.answers.size:
            self.session.take(defaults.with_size(self.session.answers, event.value, self.session.known_machine))
            self._began = self.session.preset
            self._show_knobs()
        self._show_effect()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """From here on, what is typed changes the preset as it is now."""
        if getattr(event.widget, "field", "") in ALL_KNOBS:
            self._began = self.session.preset

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        name = getattr(event.input, "field", "")
        typed = event.input.value  # the event tells of an earlier one where keys come faster than they are answered
        if name not in ALL_KNOBS or typed == self._value(name):
            return
        preset, size = self._began, self.session.answers.size
        if not edit.problem_of(preset, name, typed, size):
            preset = edit.set_field(preset, name, typed, size)
        self.session.change(defaults.with_possible_tensor(preset, self.session.known_machine))
        self._show_knobs(but=name)
        self._show_effect()

    def _show_knobs(self, but: str = "") -> None:
        """What counts, in every knob but the one that is typed in."""
        for name in ALL_KNOBS:
            if name != but:
                self._knob(name).value = self._value(name)

    def _show_effect(self) -> None:
        """What is wrong with a knob, or what all of them amount to."""
        self.query_one("#good", Static).update(self._good_for[self.session.answers.size])
        problems = [f"x {label}: {problem}" for name, label in ALL_KNOBS.items() if (problem := self._problem(name))]
        plan = trial_plan(self.session.preset, self.session.known_machine)
        caution = choices.first_problem(plan)
        effect = self.query_one("#effect", Static)
        effect.set_class(bool(problems), "-problem")
        effect.set_class(bool(caution) and not problems, "-caution")
        effect.update(problems[0] if problems else f"! {caution}" if caution else self._amount(plan))
        self.notice("")
        self.refresh_bindings()

    def _amount(self, plan: Plan) -> str:
        time = "" if plan.seconds is None else f", in about {roughly(plan.seconds)} on this machine"
        name = choices.changes_in_words(self.session.answers, self.session.known_machine) or self.session.answers.size
        return (
            f"{name}. {count(plan.parameters)} parameters, {plan.memory.total / GIB:.1f} GiB each; reads up to "
            f"{count(choices.tokens(self.session.preset))} tokens{time}."
        )


def _gib(size: int) -> str:
    return f"{size / GIB:.1f}" if size < 100 * GIB else f"{size / GIB:,.0f}"


def _id(name: str) -> str:
    return f"knob-{name.replace('.', '-')}"


def _size_line(size: choices.SizeChoice) -> Line:
    shape = size.shape
    columns = (
        f"{size.size:<9}{shape.layers:>6}{shape.hidden:>6}{shape.heads:>6}{count(size.parameters):>13}"
        f"{_gib(size.memory):>5} GiB"
    )
    if size.reason:
        return Line(size.size, Content(f"{columns}  {size.reason}"), disabled=True)
    time = "not known" if size.seconds is None else roughly(size.seconds)
    return Line(size.size, Content(f"{columns}{count(size.tokens):>13}{time:>10}"), bold=len(size.size))
