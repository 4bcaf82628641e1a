"""Which other runs are laid over the curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.content import Content

from bert_tui.metrics.chart_picture import OVERLAYS
from bert_tui.screens.dialog import Dialog
from bert_tui.widgets.choice_list import Line
from bert_tui.widgets.tick_list import TickList

if TYPE_CHECKING:
    from bert_tui.metrics.comparison import Comparable


class CompareDialog(Dialog[tuple[Path, ...]]):
    """A list to tick; runs of the same model shape come first."""

    field = "compare"
    heading = "Lay which runs over this one?"
    lead = f"Space ticks, Enter takes the choice: up to {len(OVERLAYS)}, drawn with the letters a, b and c."

    def __init__(self, runs: Sequence[Comparable], chosen: Sequence[Path]) -> None:
        super().__init__()
        self._runs = runs
        self._chosen = [str(path) for path in chosen]

    def compose_body(self) -> ComposeResult:
        """One line a run."""
        yield TickList([_line(comparable) for comparable in self._runs], self._chosen)

    def on_mount(self) -> None:
        """The cursor in the list."""
        self.query_one(TickList).focus()

    def obstacle(self) -> str:
        """More than can be told apart."""
        count = len(self.query_one(TickList).ticked)
        return f"{count} are ticked, {len(OVERLAYS)} can be shown." if count > len(OVERLAYS) else ""

    def result(self) -> tuple[Path, ...]:
        """The run directories."""
        return tuple(Path(value) for value in self.query_one(TickList).ticked)


def _line(comparable: Comparable) -> Line:
    same = "same model" if comparable.same_shape else comparable.shape
    return Line(str(comparable.run.path), Content.assemble(comparable.run.id.ljust(36), (f"{same}", "$muted")))
