"""A labelled line to type in, with room below for what is wrong with it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.suggester import Suggester
from textual.widgets import Input, Label, Static


class LineInput(Input):
    """An input that costs nothing while nobody types: its cursor does not blink."""

    DEFAULT_CSS = """
    LineInput {
        border: none; height: 1; padding: 0 1; background: $surface;
        &:focus { border: none; background: $panel; background-tint: $foreground 0%; }
        &.-invalid, &.-invalid:focus { border: none; }
        &:ansi, &:ansi:focus { border-left: solid ansi_default; }
        & > .input--placeholder { color: $text-disabled; }
    }
    """

    def __init__(
        self,
        value: str = "",
        *,
        field: str = "",
        placeholder: str = "",
        suggester: Suggester | None = None,
        id: str | None = None,
    ) -> None:
        super().__init__(value, placeholder=placeholder, suggester=suggester, id=id)
        self.cursor_blink = False
        self.field = field


class Field(Vertical):
    """Label, input, and a line that explains; the line says what is wrong where something is."""

    DEFAULT_CSS = """
    Field {
        height: auto;
        & > Horizontal { height: 1; }
        & Label { width: 24; }
        & LineInput { width: 1fr; }
        & .below { height: auto; min-height: 1; padding-left: 25; color: $muted; }
        & .below.-problem { color: $error; }
    }
    """

    def __init__(
        self, field: str, label: str, value: str, *, example: str, hint: str, suggester: Suggester | None = None
    ) -> None:
        super().__init__(id=f"field-{field.replace('.', '-')}")
        self.field = field
        self.problem = ""
        self._label = label
        self._hint = hint
        self.input = LineInput(value, field=field, placeholder=example, suggester=suggester)

    def compose(self) -> ComposeResult:
        """Two lines."""
        with Horizontal():
            yield Label(self._label)
            yield self.input
        yield Static(self._hint, classes="below", markup=False)

    @property
    def value(self) -> str:
        """What is typed."""
        return self.input.value

    def show_problem(self, problem: str) -> None:
        """Says what is wrong, or the hint where nothing is."""
        if problem == self.problem:
            return
        self.problem = problem
        below = self.query_one(".below", Static)
        below.update(f"x {problem}" if problem else self._hint)
        below.set_class(bool(problem), "-problem")
