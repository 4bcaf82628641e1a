"""A field for a path: completed while it is typed; a browser opens from it (F4, bound by the pages)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bert_tui.widgets.field import Field, LineInput
from bert_tui.widgets.path_suggester import PathSuggester

if TYPE_CHECKING:
    from bert_tui.wizard.browsing import Wanted


class PathInput(LineInput):
    """The line itself."""

    def __init__(
        self, value: str = "", *, wanted: Wanted, field: str = "", placeholder: str = "", id: str | None = None
    ) -> None:
        suggester = PathSuggester(dataset=wanted == "dataset")
        super().__init__(value, field=field, placeholder=placeholder, suggester=suggester, id=id)
        self._wanted: Wanted = wanted

    def browse(self) -> None:
        """Opens the browser where the path leads."""
        from bert_tui.screens.browser import Browser

        self.app.push_screen(Browser(self.value, self._wanted), self._take)

    def _take(self, path: str | None) -> None:
        if path is not None:
            self.value = path
            self.cursor_position = len(path)


class PathField(Field):
    """Label, path, and a line that says what lies there."""

    def __init__(self, field: str, label: str, value: str, *, wanted: Wanted, example: str, hint: str) -> None:
        path = PathInput(value, wanted=wanted, field=field, placeholder=example)
        super().__init__(field, label, path, hint=hint)
