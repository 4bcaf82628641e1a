"""A labelled line to type in, with room below for what is seen there, or wrong with it."""

from __future__ import annotations

import re

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.suggester import Suggester
from textual.widgets import Input, Label, Static

LONGEST = 5000
"""Characters that a line takes; no path has as many."""


def pasted_line(text: str) -> str:
    """What a line takes of pasted text: its first line with anything in it, without escape codes."""
    lines = (_ESCAPE.sub("", line).strip() for line in text.splitlines())
    line = next(filter(None, lines), "")
    return "".join(" " if character == "\t" else character for character in line if character not in _CONTROLS)


_ESCAPE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|[@-_]?)")
"""Colours, movements and marks of terminals (ECMA-48), as copied from a screen or a log."""
_CONTROLS = frozenset(map(chr, (*range(9), *range(10, 32), *range(127, 160))))


class LineInput(Input):
    """An input that costs nothing while nobody types: its cursor does not blink. Pasted text becomes one line."""

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
        super().__init__(value, placeholder=placeholder, suggester=suggester, id=id, max_length=LONGEST)
        self.cursor_blink = False
        self.field = field

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.replace(pasted_line(event.text)[: LONGEST - len(self.value)], *self.selection)


class Field(Vertical):
    """Label, input, and a line that explains; the line says what was seen or is wrong, once that is known."""

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

    def __init__(self, field: str, label: str, line: LineInput, *, hint: str) -> None:
        super().__init__(id=f"field-{field.replace('.', '-')}")
        self.field = field
        self.problem = ""
        self.seen = ""
        self.input = line
        self._label = label
        self._hint = hint

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

    def tell(self, *, problem: str = "", seen: str = "") -> None:
        """Says what is wrong, or else what was seen, or else the hint."""
        if (problem, seen) == (self.problem, self.seen):
            return
        self.problem, self.seen = problem, seen
        below = self.query_one(".below", Static)
        good = Content.assemble(("✓ ", "$success"), seen) if seen else self._hint
        below.update(f"x {problem}" if problem else good)
        below.set_class(bool(problem), "-problem")
