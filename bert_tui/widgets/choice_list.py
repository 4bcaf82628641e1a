"""A list of which one line is taken: moving to a line takes it, Enter goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option


@dataclass(frozen=True)
class Line:
    """One line of a choice list."""

    value: str
    text: Content
    bold: int = 0
    """Characters at its beginning that stand out while it is taken."""
    disabled: bool = False


class ChoiceList(OptionList):
    """Lines with a mark before the one that is taken. Disabled lines are shown and passed over."""

    DEFAULT_CSS = """
    ChoiceList {
        height: auto; border: none; padding: 0; background: $background; scrollbar-size-vertical: 1;
        text-wrap: nowrap; text-overflow: ellipsis;
        & > .option-list--option { padding: 0 1; }
        & > .option-list--option-disabled { color: $text-disabled; }
        &:focus { border: none; background-tint: $foreground 0%; }
    }
    """

    @dataclass
    class Taken(Message):
        """Another line was taken."""

        list: ChoiceList
        value: str

        @property
        def control(self) -> ChoiceList:
            """The list, for ``@on`` selectors."""
            return self.list

    @dataclass
    class Accepted(Message):
        """Enter was pressed on the line that is taken."""

        list: ChoiceList

        @property
        def control(self) -> ChoiceList:
            """The list, for ``@on`` selectors."""
            return self.list

    def __init__(self, *, field: str = "", id: str | None = None) -> None:
        super().__init__(id=id, compact=False)
        self.field = field
        self._choices: list[Line] = []
        self._marked: int | None = None

    @property
    def value(self) -> str | None:
        """What is taken."""
        return None if self._marked is None else self._choices[self._marked].value

    @property
    def lines(self) -> Sequence[Line]:
        """All lines, in their order."""
        return self._choices

    def show(self, lines: Sequence[Line], value: str | None) -> None:
        """Shows other lines, the one with ``value`` taken; the first that can be, where it cannot."""
        if list(lines) == self._choices and value == self.value:
            return
        self._choices, self._marked = list(lines), None
        self.set_options(Option(self._prompt(line, False), disabled=line.disabled) for line in lines)
        possible = [index for index, line in enumerate(lines) if not line.disabled]
        wanted = [index for index in possible if lines[index].value == value]
        self.highlighted = next(iter(wanted or possible), None)

    def watch_highlighted(self, highlighted: int | None) -> None:
        """Moves the mark with the cursor."""
        super().watch_highlighted(highlighted)
        if highlighted == self._marked or highlighted is None or highlighted >= len(self._choices):
            return
        before, self._marked = self._marked, highlighted
        for index in (before, highlighted):
            if index is not None:
                self.replace_option_prompt_at_index(index, self._prompt(self._choices[index], index == highlighted))
        self.post_message(self.Taken(self, self._choices[highlighted].value))

    def action_select(self) -> None:
        """Enter. Where there is no line yet, the page knows what it waits for."""
        self.post_message(self.Accepted(self))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click."""
        event.stop()
        self.post_message(self.Accepted(self))

    @staticmethod
    def _prompt(line: Line, marked: bool) -> Content:
        if not marked:
            return Content.assemble("  ", line.text)
        return Content.assemble(("▸ ", "bold $accent"), line.text.stylize("bold", 0, line.bold))
