"""Following ``metrics.bin`` while it grows.

The file is read, not mapped: a resumed run cuts off a torn tail, and touching a mapped page that is gone kills the
reader.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bert_tui.metrics.binning import MinMaxBins
from bert_tui.metrics.series import Bin, Series
from trainer.spec.metrics_file import Layout, read_layout

CURVES = {"lm_loss": True, "sop_loss": True, "lm_loss_validation": False, "sop_loss_validation": False}
"""The columns kept as curves, and whether a value that is not finite breaks them: a validation is NaN at most steps."""
RECENT = 1000
"""Records kept as they are."""
CHUNK_BYTES = 8 << 20
LARGEST_STEP = 10**12
"""Steps beyond are noise in a damaged file."""

Records = npt.NDArray[np.float64]  # (records, columns)


@dataclass(frozen=True)
class _Source:
    """The file as it was opened: another inode is another file."""

    inode: int
    layout: Layout


class MetricsFollower:
    """Reads what was appended since the last call; keeps bins of each curve and the last records as they are.

    A record whose step is not above the last one tells of a resume: what was known from that step on is forgotten, so
    a step done again counts once, as in TensorBoard with ``purge_step``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begin(None)

    def poll(self) -> bool:
        """Reads on to the end; says whether anything changed. A torn or absent file is "not yet"."""
        try:
            with self._path.open("rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                changed = self._notice_another_file(status)
                if self._source is None:
                    return changed
                count = (status.st_size - self._source.layout.offset) // self._source.layout.record_bytes
                for records in self._read(file.fileno(), self._taken, count):
                    self._take(file.fileno(), records)
                    changed = True
        except OSError:
            return False
        return changed

    def curve(self, column: str, most: int = 512) -> Series:
        """A curve over the whole run in at most ``most`` bins."""
        return self._curves[column].series(most)

    def recent(self, column: str) -> Series:
        """The last :data:`RECENT` records of a curve, each as it is."""
        position = self._position(column)
        if position is None:
            return Series()
        steps, values = self._recent[:, self._step_position], self._recent[:, position]
        kept = np.isfinite(values) if not CURVES[column] else np.ones(len(values), dtype=np.bool_)
        values = np.where(np.isfinite(values), values, np.nan)[kept]
        return Series(1, tuple(Bin(int(s), v, v, v) for s, v in zip(steps[kept], values.tolist(), strict=True)))

    def last(self, column: str) -> float | None:
        """The newest value of a column that is finite, among the last :data:`RECENT`."""
        position = self._position(column)
        if position is None:
            return None
        values = self._recent[:, position]
        finite = values[np.isfinite(values)]
        return float(finite[-1]) if len(finite) else None

    @property
    def not_finite(self) -> int:
        """How many of the last :data:`RECENT` steps had an MLM loss that is no finite number."""
        position = self._position("lm_loss")
        return 0 if position is None else int(np.count_nonzero(~np.isfinite(self._recent[:, position])))

    def _begin(self, source: _Source | None) -> None:
        self._source = source
        self._taken = 0  # records
        self._last_step = -1
        self._curves = {column: MinMaxBins(gaps=gaps) for column, gaps in CURVES.items()}
        columns = source.layout.columns if source else ("step",)
        self._step_position = columns.index("step")
        self._recent: Records = np.empty((0, len(columns)))

    def _notice_another_file(self, status: os.stat_result) -> bool:
        """Starts again when the file was replaced, or cut by more than its torn tail."""
        source = self._source
        if source is not None:
            read = source.layout.offset + self._taken * source.layout.record_bytes
            if source.inode == status.st_ino and status.st_size >= read:
                return False
        layout = read_layout(self._path)
        if layout is not None and "step" not in layout.columns:
            layout = None
        self._begin(_Source(status.st_ino, layout) if layout else None)
        return source is not None

    def _read(self, descriptor: int, first: int, end: int) -> Iterator[Records]:
        """The records from ``first`` up to ``end``, in pieces."""
        assert self._source is not None
        layout = self._source.layout
        piece = max(1, CHUNK_BYTES // layout.record_bytes)
        for start in range(first, end, piece):
            wanted = (min(start + piece, end) - start) * layout.record_bytes
            data = os.pread(descriptor, wanted, layout.offset + start * layout.record_bytes)
            whole = len(data) // layout.record_bytes
            if whole:
                yield np.frombuffer(data, dtype="<f8", count=whole * len(layout.columns)).reshape(whole, -1)
            if whole * layout.record_bytes < wanted:
                return

    def _take(self, descriptor: int, records: Records) -> None:
        before = self._taken
        self._taken += len(records)
        valid = self._standing(records, LARGEST_STEP)
        if not len(valid):
            return
        first = int(valid[0, self._step_position])
        if first <= self._last_step:
            self._go_back(descriptor, before, first)
        self._add(valid, CURVES)
        self._last_step = int(valid[-1, self._step_position])
        self._recent = np.concatenate((self._recent, valid[-RECENT:]))[-RECENT:].copy()

    def _standing(self, records: Records, below: int) -> Records:
        """The records whose step is below that of every later one, and below ``below``; so their steps rise."""
        steps = records[:, self._step_position]
        usable = np.where((steps >= 0) & (steps < LARGEST_STEP), np.floor(steps), np.inf)
        lowest_after = np.minimum.accumulate(np.append(usable, below)[::-1])[::-1][1:]
        standing: Records = records[usable < lowest_after]
        return standing

    def _go_back(self, descriptor: int, count: int, step: int) -> None:
        """Forgets the steps from ``step`` on. Bins that begin before it are filled again from the file."""
        self._recent = self._recent[self._recent[:, self._step_position] < step]
        starts = {column: curve.forget_from(step) for column, curve in self._curves.items()}
        for records in self._read_back(descriptor, count, step, min(starts.values())):
            steps = records[:, self._step_position]
            for column, start in starts.items():
                self._add(records[steps >= start], (column,))

    def _read_back(self, descriptor: int, count: int, below: int, down_to: int) -> list[Records]:
        """Standing records with steps from ``down_to`` to ``below``, out of the first ``count``; in rising order."""
        assert self._source is not None
        found: list[Records] = []
        piece = max(1, min(4096, CHUNK_BYTES // self._source.layout.record_bytes))
        while count > 0 and below > down_to:
            first = max(0, count - piece)
            for records in self._read(descriptor, first, count):
                standing = self._standing(records, below)
                if len(standing):
                    below = int(standing[0, self._step_position])
                    found.insert(0, standing)
            count = first
        return found

    def _add(self, records: Records, columns: dict[str, bool] | tuple[str, ...]) -> None:
        steps = records[:, self._step_position].astype(np.int64)
        for column in columns:
            position = self._position(column)
            if position is not None:
                self._curves[column].add(steps, records[:, position])

    def _position(self, column: str) -> int | None:
        columns = self._source.layout.columns if self._source else ()
        return columns.index(column) if column in columns else None
