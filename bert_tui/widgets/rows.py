"""A widget of plain rows that sends only the rows that changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

Part = tuple[str, str]
"""Text, and the name of its style: one of :data:`STYLES` or ""."""
Row = tuple[Part, ...]

STYLES = (
    "title", "muted", "faint", "busy", "good", "caution", "bad", "quiet",
    "training", "raw", "validation", "baseline", "first", "second", "third", "reference",
)  # fmt: skip


class Rows(Widget):
    """Shows rows of styled text, cut at its right edge."""

    DEFAULT_CSS = """
    Rows > .rows--title { text-style: bold; }
    Rows > .rows--muted { color: $muted; }
    Rows > .rows--faint { color: $faint; }
    Rows > .rows--busy { color: $primary; text-style: bold; }
    Rows > .rows--good { color: $success; text-style: bold; }
    Rows > .rows--caution { color: $warning; text-style: bold; }
    Rows > .rows--bad { color: $error; text-style: bold; }
    Rows > .rows--quiet { text-style: bold; }
    Rows > .rows--training { color: $primary; }
    Rows > .rows--raw { color: $faint; }
    Rows > .rows--validation { color: $warning; text-style: bold; }
    Rows > .rows--baseline { color: $secondary; }
    Rows > .rows--first { color: $success; }
    Rows > .rows--second { color: $error; }
    Rows > .rows--third { color: $foreground; }
    Rows > .rows--reference { color: $secondary; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"rows--{name}" for name in STYLES}

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._rows: tuple[Row, ...] = ()

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Takes new rows and refreshes those that differ."""
        before, self._rows = self._rows, tuple(rows)
        for y in range(max(len(before), len(self._rows))):
            if before[y : y + 1] != self._rows[y : y + 1]:
                self.refresh(Region(0, y, self.size.width, 1))

    @property
    def text(self) -> str:
        """What is shown, without styles."""
        return "\n".join("".join(text for text, _ in row) for row in self._rows)

    def render_line(self, y: int) -> Strip:
        """One row as it was last given."""
        if y >= len(self._rows):
            return Strip.blank(self.size.width, self.rich_style)
        segments = [
            Segment(text, self.get_component_rich_style(f"rows--{name}") if name else self.rich_style)
            for text, name in self._rows[y]
        ]
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)
