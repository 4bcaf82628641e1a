"""How large is the model, and how long does it train?"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Label, Static

from bert_tui.fit import known_vocabulary
from bert_tui.forecast import roughly
from bert_tui.plan import trial_plan
from bert_tui.screens.page import Obstacle, WizardPage
from bert_tui.widgets.choice_list import ChoiceList, Line
from bert_tui.widgets.field import LineInput
from bert_tui.wizard import choices, defaults, edit
from bert_tui.wizard.fields import HEADINGS, KNOBS
from bert_tui.wizard.review import count
from trainer.spec.preset import setting_of
from trainer.spec.sizing import GIB

COLUMNS = "   Size       Layers  Width  Heads   Parameters  Memory each"


class ModelPage(WizardPage):
    """The sizes side by side; a compact row of what people change first."""

    page = "model"
    heading = HEADINGS["model"]
    DEFAULT_CSS = """
    ModelPage {
        #columns { color: $muted; }
        #knobs { height: 2; margin-top: 1; }
        .knob { width: 19; height: 2; }
        .knob Label { color: $muted; height: 1; }
        .knob LineInput { width: 16; }
        #effect { color: $muted; margin-top: 1; height: auto; min-height: 1; }
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
        with Horizontal(id="knobs"):
            for name, label in KNOBS.items():
                with Vertical(classes="knob"):
                    yield Label(label)
                    yield LineInput(self._value(name), field=name, placeholder=setting_of(name).example, id=_id(name))
        yield Static("", id="effect", markup=False)

    def on_mount(self) -> None:
        """The cursor on the size."""
        sizes = choices.sizes(self.session.answers, self.session.known_machine)
        table = self.query_one("#sizes", ChoiceList)
        table.show([_size_line(size) for size in sizes], self.session.answers.size)
        table.focus()
        self._show_effect()

    def obstacles(self) -> Iterator[Obstacle]:
        """The first knob with a value that does not fit."""
        for name in KNOBS:
            if self._problem(name):
                yield Obstacle(self._knob(name), f"{KNOBS[name]} cannot be used yet.")

    def _knob(self, name: str) -> LineInput:
        return self.query_one(f"#{_id(name)}", LineInput)

    def _value(self, name: str) -> str:
        return edit.shown(self.session.preset, name)

    def _problem(self, name: str) -> str:
        return edit.problem_of(self.session.preset, name, self._knob(name).value, self.session.answers.size)

    @on(ChoiceList.Accepted)
    def _accepted(self) -> None:
        self.action_next()

    @on(ChoiceList.Taken, "#sizes")
    def _size_taken(self, event: ChoiceList.Taken) -> None:
        if event.value == self.session.answers.size:
            return
        self.session.take(defaults.with_size(self.session.answers, event.value, self.session.known_machine))
        for name in KNOBS:
            self._knob(name).value = self._value(name)
        self._show_effect()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        name = getattr(event.input, "field", "")
        typed = event.input.value  # the event tells of an earlier one where keys come faster than they are answered
        if name not in KNOBS or typed == self._value(name):
            return
        if not self._problem(name):
            changed = edit.set_field(self.session.preset, name, typed, self.session.answers.size)
            self.session.change(defaults.with_possible_tensor(changed, self.session.known_machine))
        self._show_effect()

    def _show_effect(self) -> None:
        """What is wrong with a knob, or what all of them amount to."""
        effect = self.query_one("#effect", Static)
        problems = [f"x {KNOBS[name]}: {problem}" for name in KNOBS if (problem := self._problem(name))]
        effect.set_class(bool(problems), "-problem")
        effect.update(problems[0] if problems else self._amount())
        self.notice("")

    def _amount(self) -> str:
        train, length = self.session.preset.train, self.session.preset.model.sequence_length
        steps = train.steps or 0
        tokens = count(steps * train.global_batch * length)
        seconds = trial_plan(self.session.preset, self.session.known_machine).seconds
        time = "" if seconds is None else f", in about {roughly(seconds)} on this machine"
        return (
            f"It reads up to {tokens} tokens{time}. The learning rate rises for {train.warmup:,} steps, then falls to "
            f"{Decimal(f'{train.min_learning_rate:.3g}'):f}."
        )


def _id(name: str) -> str:
    return f"knob-{name.replace('.', '-')}"


def _size_line(size: choices.SizeChoice) -> Line:
    shape = size.shape
    columns = (
        f"{size.size:<10}{shape.layers:>7}{shape.hidden:>7}{shape.heads:>7}{count(size.parameters):>13}"
        f"{size.memory / GIB:>9.1f} GiB"
    )
    if size.reason:
        return Line(size.size, Content(f"{columns}  {size.reason}"), disabled=True)
    split = f"  split over {size.tensor}" if size.tensor > 1 else ""
    return Line(size.size, Content.assemble(columns, (split, "$muted")), bold=len(size.size))
