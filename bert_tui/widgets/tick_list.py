"""A list of which any number of lines is taken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.binding import Binding
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from bert_tui.widgets.choice_list import Line


class TickList(OptionList):
    """Lines with a box before them, ticked by Space. Disabled lines are shown and passed over."""

    BINDINGS = [Binding("space", "tick", "Tick", show=False)]

    DEFAULT_CSS = """
    TickList {
        height: auto; max-height: 12; border: none; padding: 0; background: $surface; scrollbar-size-vertical: 1;
        text-wrap: nowrap; text-overflow: ellipsis;
        & > .option-list--option { padding: 0 1; }
        &:focus { border: none; background-tint: $foreground 0%; }
    }
    """

    def __init__(self, lines: Sequence[Line], ticked: Iterable[str]) -> None:
        self._choices = list(lines)
        self._ticked = set(ticked)
        super().__init__(*(Option(self._prompt(line), disabled=line.disabled) for line in lines))

    @property
    def ticked(self) -> tuple[str, ...]:
        """What is taken, in the order of the lines."""
        return tuple(line.value for line in self._choices if line.value in self._ticked)

    def action_tick(self) -> None:
        """Takes the line under the cursor, or gives it back."""
        if self.highlighted is None:
            return
        line = self._choices[self.highlighted]
        self._ticked ^= {line.value}
        self.replace_option_prompt_at_index(self.highlighted, self._prompt(line))

    def _prompt(self, line: Line) -> Content:
        box = ("[x] ", "$accent") if line.value in self._ticked else ("[ ] ", "")
        return Content.assemble(box, line.text)
