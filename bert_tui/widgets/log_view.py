"""The end of a log, following it."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import Log

from bert_tui.metrics.log_tail import KEPT_LINES, LogLines


class LogView(Log):
    """Shows what a LogTail read; keeps as many lines as that does."""

    def __init__(self, *, scrollable: bool, id: str | None = None) -> None:
        """``scrollable``: the operator may scroll back, which ends the following until the end is in view again.
        Otherwise the end is always in view."""
        super().__init__(highlight=False, max_lines=KEPT_LINES, id=id)
        self.can_focus = scrollable
        self._path: Path | None = None
        self._seen = 0

    def show(self, log: LogLines) -> None:
        """Adds the lines that are new, in one batch. Another file begins anew."""
        if log.path != self._path:
            self.clear()
            self._path, self._seen = log.path, 0
        fresh = min(log.count - self._seen, len(log.lines))
        if fresh > 0:
            follow = not self.can_focus or not self._seen or self.is_vertical_scroll_end
            self.write_lines(log.lines[-fresh:], scroll_end=follow)
        self._seen = log.count

    def on_resize(self) -> None:
        """The end stays in view."""
        if not self.can_focus:
            self.scroll_end(animate=False)
