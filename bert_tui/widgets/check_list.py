"""The checklist: what needs attention first, the rest a line for each subject, filled in as the answers come."""

from __future__ import annotations

from collections.abc import Sequence

from textual.binding import Binding
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from bert_tui.checks.check import Answer, Check
from bert_tui.checks.groups import Row, rows
from bert_tui.checks.runner import Question

SIGNS: dict[Answer, tuple[str, str]] = {
    "pass": ("ok", "$success"),
    "warn": (" !", "bold $warning"),
    "fail": (" x", "bold $error"),
    "unknown": (" ?", "bold $warning"),
}
"""Sign and colour of each answer."""
PENDING = (" …", "$muted")
TITLE_WIDTH = 20
"""Of the longest title that is indented."""
INDENT = "  "


class CheckList(OptionList):
    """Lines of sign, title and what was seen. The line under the cursor is explained by the page."""

    DEFAULT_CSS = """
    CheckList {
        border: none; padding: 0; background: $background; scrollbar-size-vertical: 1;
        text-wrap: nowrap; text-overflow: ellipsis;
        & > .option-list--option { padding: 0 1; }
        & > .option-list--option-highlighted { background: $surface; }
        &:focus > .option-list--option-highlighted { background: $panel; }
        &:focus { border: none; background-tint: $foreground 0%; }
    }
    """

    BINDINGS = [Binding("space", "unfold", "Show all", tooltip="Shows the lines of a group, or folds them again")]

    field = "checks"

    def __init__(self, questions: Sequence[Question], id: str | None = None) -> None:
        super().__init__(id=id)
        self._questions = questions
        self._checks: dict[str, Check] = {}
        self._opened: set[str] = set()
        self._rows: list[Row] = []
        self._arrange()

    @property
    def current(self) -> Row | None:
        """The line under the cursor."""
        return None if self.highlighted is None else self._rows[self.highlighted]

    @property
    def current_is_cut_off(self) -> bool:
        """Whether the line under the cursor ends before its text does."""
        row = self.current
        if row is None:
            return False
        room = self.scrollable_content_region.width - len(" ok ") - TITLE_WIDTH - 1 - len(INDENT) * row.inner
        return len(row.text) > room

    def show(self, checks: Sequence[Check]) -> None:
        """Takes the answers there are; nothing is drawn where they are the same as before."""
        self._checks = {check.name: check for check in checks}
        self._arrange()

    def clear_answers(self) -> None:
        """Takes all answers away: they are being asked again."""
        self._checks.clear()
        self._arrange()

    def point_out(self) -> None:
        """Moves the cursor to the first line, where what needs attention stands."""
        self.highlighted = 0 if self._rows else None

    def action_unfold(self) -> None:
        """Shows the lines of the group under the cursor, or folds them again."""
        row = self.current
        if row is not None and row.group:
            self._opened ^= {row.key}
            self._arrange()

    def _arrange(self) -> None:
        """Brings the lines up to date. The cursor stays with its line."""
        before, self._rows = self._rows, rows(self._questions, self._checks, self._opened)
        if self._rows == before:
            return
        if [row.key for row in self._rows] == [row.key for row in before]:
            for index, (old, new) in enumerate(zip(before, self._rows, strict=True)):
                if old != new:
                    self.replace_option_prompt_at_index(index, _line(new))
            return
        held = before[self.highlighted].key if self.highlighted is not None else None
        self.set_options([Option(_line(row)) for row in self._rows])
        self.highlighted = next((index for index, row in enumerate(self._rows) if row.key == held), None)
        self.styles.max_height = max(1, len(self._rows))


def _line(row: Row) -> Content:
    sign, colour = PENDING if row.answer is None else SIGNS[row.answer]
    title = (INDENT * row.inner + row.title).ljust(TITLE_WIDTH)
    return Content.assemble((f"{sign} ", colour), title, (" " + row.text, "$muted"))
