"""The end of a log, following it."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import Log

from bert_tui.metrics.log_tail import KEPT_LINES, LogLines


class LogView(Log):
    """Shows what a LogTail read; keeps as many lines as that does."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(highlight=False, max_lines=KEPT_LINES, id=id)
        self._path: Path | None = None
        self._seen = 0
        self._following = True

    def show(self, log: LogLines) -> None:
        """Adds the lines that are new, in one batch. Another file begins anew."""
        if log.path != self._path:
            self.clear()
            self._path, self._seen = log.path, 0
        self._following = self.is_vertical_scroll_end
        fresh = min(log.count - self._seen, len(log.lines))
        if fresh > 0:
            self.write_lines(log.lines[-fresh:], scroll_end=self._following)
        self._seen = log.count

    def on_resize(self) -> None:
        """The end stays in view."""
        if self._following:
            self.scroll_end(animate=False)
