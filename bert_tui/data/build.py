"""From text to an indexed dataset."""

from __future__ import annotations

from collections.abc import Callable

from bert_tui.data.build_folder import BuildFolder
from bert_tui.data.build_records import BuildProgress, BuildResult
from bert_tui.data.order import BuildOrder

Report = Callable[[BuildProgress], None]


def build(order: BuildOrder, report: Report) -> BuildResult:
    """Builds in the foreground."""
    raise NotImplementedError


def carry_out(folder: BuildFolder, order: BuildOrder, report: Report) -> BuildResult:
    """Builds in a folder that is locked already."""
    raise NotImplementedError
