"""One of a few words in a row: the arrow keys to the left and right take another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Label, Static


@dataclass(frozen=True)
class Option:
    """One of the words."""

    value: str
    title: str


class ChoiceRow(Horizontal):
    """A label and the words."""

    DEFAULT_CSS = """
    ChoiceRow { height: 1; & Label { width: 24; } }
    """

    @dataclass
    class Taken(Message):
        """Another word was taken."""

        row: ChoiceRow
        value: str

        @property
        def control(self) -> ChoiceRow:
            """The row, for ``@on`` selectors."""
            return self.row

    def __init__(self, field: str, label: str, options: Sequence[Option], value: str) -> None:
        super().__init__(id=f"field-{field.replace('.', '-')}")
        self._label = label
        self.words = Words(field, options, value)

    def compose(self) -> ComposeResult:
        """One line."""
        yield Label(self._label)
        yield self.words

    @property
    def value(self) -> str:
        """What is taken."""
        return self.words.value

    def offer(self, options: Sequence[Option], value: str) -> None:
        """Other words. A single one is shown and cannot be left."""
        self.words.offer(options, value)


class Words(Static, can_focus=True):
    """The words, one of them marked."""

    DEFAULT_CSS = """
    Words { width: 1fr; height: 1; padding: 0 1; background: $background; &:focus { background: $panel; } }
    """
    BINDINGS = [Binding("left", "move(-1)", show=False), Binding("right,space", "move(1)", show=False)]

    def __init__(self, field: str, options: Sequence[Option], value: str) -> None:
        super().__init__()
        self.field = field
        self._options = tuple(options)
        self._taken = next(number for number, option in enumerate(options) if option.value == value)

    @property
    def value(self) -> str:
        """What is taken."""
        return self._options[self._taken].value

    def offer(self, options: Sequence[Option], value: str) -> None:
        """Other words, one of them taken."""
        self._options = tuple(options)
        self._taken = next(number for number, option in enumerate(options) if option.value == value)
        self.can_focus = len(self._options) > 1
        self.refresh()

    def render(self) -> Content:
        """Every word, as the lists of the wizard show their lines."""
        if len(self._options) == 1:
            return Content.assemble("  ", (self._options[0].title, "$muted"))
        parts: list[Content | str | tuple[str, str]] = []
        for number, option in enumerate(self._options):
            if number == self._taken:
                parts += [("▸ ", "bold $accent"), (option.title, "bold"), "   "]
            else:
                parts.append(f"  {option.title}   ")
        return Content.assemble(*parts)

    def action_move(self, steps: int) -> None:
        """Takes the next word, or the one before; at the ends the other end."""
        self._take((self._taken + steps) % len(self._options))

    def on_click(self, event: events.Click) -> None:
        """Takes the word that was clicked."""
        left = 0
        for number, option in enumerate(self._options):
            left += len(option.title) + 5
            if event.get_content_offset_capture(self).x < left:
                self._take(number)
                return

    def _take(self, number: int) -> None:
        if number == self._taken:
            return
        self._taken = number
        self.refresh()
        assert isinstance(self.parent, ChoiceRow)
        self.parent.post_message(ChoiceRow.Taken(self.parent, self.value))
