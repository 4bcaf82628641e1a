"""The checklist: one line a question, filled in as the answers come."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from bert_tui.checks.check import Answer, Check
from bert_tui.checks.runner import Question

SIGNS: dict[Answer, tuple[str, str]] = {
    "pass": ("ok", "$success"),
    "warn": (" !", "bold $warning"),
    "fail": (" x", "bold $error"),
    "unknown": (" ?", "bold $warning"),
}
"""Sign and colour of each answer."""
TITLE_WIDTH = 20


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

    field = "checks"

    def __init__(self, questions: Sequence[Question], id: str | None = None) -> None:
        super().__init__(*(Option(_pending(question.title)) for question in questions), id=id)
        self._names = [question.name for question in questions]
        self._titles = [question.title for question in questions]
        self._checks: dict[str, Check] = {}
        self.styles.max_height = max(1, len(questions))

    @property
    def current(self) -> Check | None:
        """The answer under the cursor."""
        return None if self.highlighted is None else self._checks.get(self._names[self.highlighted])

    @property
    def current_is_cut_off(self) -> bool:
        """Whether the line under the cursor ends before its answer does."""
        room = self.scrollable_content_region.width - len(" ok ") - TITLE_WIDTH - 1
        return self.current is not None and len(self.current.seen) > room

    def show(self, check: Check) -> None:
        """Fills in an answer; nothing is drawn where it is already there."""
        if self._checks.get(check.name) == check:
            return
        self._checks[check.name] = check
        index = self._names.index(check.name)
        self.replace_option_prompt_at_index(index, _answered(self._titles[index], check))

    def clear_answers(self) -> None:
        """Takes all answers away: they are being asked again."""
        self._checks.clear()
        for index, title in enumerate(self._titles):
            self.replace_option_prompt_at_index(index, _pending(title))

    def point_out(self) -> None:
        """Moves the cursor to the first answer that is no pass."""
        answered = (self._checks.get(name) for name in self._names)  # the last ones may still be looked at
        troubled = (index for index, check in enumerate(answered) if check is not None and check.answer != "pass")
        self.highlighted = next(troubled, 0)


def _pending(title: str) -> Content:
    return Content.assemble((" … ", "$muted"), (title.ljust(TITLE_WIDTH), "$muted"), ("looking", "$muted"))


def _answered(title: str, check: Check) -> Content:
    sign, colour = SIGNS[check.answer]
    return Content.assemble((f"{sign} ", colour), title.ljust(TITLE_WIDTH), (check.seen, "$muted"))
