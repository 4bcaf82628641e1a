"""Following ``metrics.bin`` while it grows.

The file is read, not mapped: a resumed run cuts off a torn tail, and touching a mapped page that is gone kills the
reader.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bert_tui.metrics.binning import BINS, MinMaxBins
from bert_tui.metrics.charts import TOKENS_PER_SECOND
from bert_tui.metrics.gap_list import GapList
from bert_tui.metrics.record_index import RecordIndex
from bert_tui.metrics.series import Bin, Gap, Series
from trainer.spec.metrics_file import Layout, read_layout

CURVES = {"lm_loss": True, "sop_loss": True, "lm_loss_validation": False, "sop_loss_validation": False}
"""The columns kept as curves, and whether a value that is not finite breaks them: a validation is NaN at most steps."""
RECENT = 1000
"""Records kept as they are."""
LOOK_BACK = 10_000
"""So many steps before a step are searched for the last value of a column that has few."""
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

    def __init__(self, path: Path, columns: Mapping[str, bool] = CURVES, *, bins: int = BINS) -> None:
        """``columns``: those kept as curves of ``bins`` bins, and whether what is not finite breaks them."""
        self._path = path
        self._columns = dict(columns)
        self._bins = bins
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

    def window(self, low: int, high: int, most: int = 512) -> dict[str, Series]:
        """Every curve between two steps in at most ``most`` bins: read again from the file where that shows more.

        A bin more than fits may stand at each end.
        """
        width = min(curve.width for curve in self._curves.values())
        if (
            width > 1
            and (high - low) // width < most // 2
            and (finer := self._read_window(low, high, most)) is not None
        ):
            return finer
        return {column: curve.series(most, low, high) for column, curve in self._curves.items()}

    def record(self, step: int) -> dict[str, float]:
        """Each column of the last record up to ``step``; empty where there is none."""
        rows = self._read_steps(max(0, step - LOOK_BACK), step)[-2:]
        found = {}
        for column in (*self._layout.columns, TOKENS_PER_SECOND) if len(rows) else ():
            values = column_values(self._layout, rows, column)
            if values is not None:
                found[column] = float(values[-1])
        return found

    def last_finite(self, column: str, step: int) -> tuple[int, float] | None:
        """The last finite value of a column up to ``step`` and its step; looks :data:`LOOK_BACK` steps back."""
        rows = self._read_steps(max(0, step - LOOK_BACK), step)
        values = column_values(self._layout, rows, column)
        finite = np.flatnonzero(np.isfinite(values)) if values is not None else np.empty(0, dtype=np.int64)
        if values is None or not len(finite):
            return None
        last = int(finite[-1])
        return int(rows[last, self._step_position]), float(values[last])

    def gaps(self, column: str, low: int, high: int) -> tuple[Gap, ...]:
        """Steps in between at which a curve that gaps break had no finite value."""
        return self._gap_lists[column].between(low, high)

    @property
    def first_time(self) -> float | None:
        """Unix time of the first record; None while there is none, and without that column among the curves."""
        bins = self._curves["time"].series(1).bins if "time" in self._curves else ()
        return bins[0].low if bins and not bins[0].is_gap else None

    @property
    def last_step(self) -> int:
        """The last step recorded; -1 while there is none."""
        return self._last_step

    def recent(self, column: str) -> Series:
        """The last :data:`RECENT` records of a curve, each as it is."""
        position = self._position(column)
        if position is None:
            return Series()
        steps, values = self._recent[:, self._step_position], self._recent[:, position]
        kept = np.isfinite(values) if not self._columns[column] else np.ones(len(values), dtype=np.bool_)
        values = np.where(np.isfinite(values), values, np.nan)[kept]
        return Series(1, tuple(Bin(int(s), v, v, v) for s, v in zip(steps[kept], values.tolist(), strict=True)))

    def recent_values(self, column: str) -> npt.NDArray[np.float64]:
        """A column of the last :data:`RECENT` records, NaN included; empty where the file has no such column."""
        values = column_values(self._layout, self._recent, column)
        return np.empty(0) if values is None else values

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
        self._curves = {column: MinMaxBins(gaps=gaps, bins=self._bins) for column, gaps in self._columns.items()}
        self._gap_lists = {column: GapList() for column, gaps in self._columns.items() if gaps}
        self._index = RecordIndex()
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
        layout = self._layout
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
        self._index.add(before, self._usable_steps(records))
        valid = self._standing(records, LARGEST_STEP)
        if not len(valid):
            return
        first = int(valid[0, self._step_position])
        if first <= self._last_step:
            self._go_back(descriptor, before, first)
        self._add(valid, self._columns, self._recent[-1:])
        for column, gaps in self._gap_lists.items():
            values = column_values(self._layout, valid, column)
            if values is not None:
                gaps.add(valid[:, self._step_position].astype(np.int64), values)
        self._last_step = int(valid[-1, self._step_position])
        self._recent = np.concatenate((self._recent, valid[-RECENT:]))[-RECENT:].copy()

    def _usable_steps(self, records: Records) -> npt.NDArray[np.float64]:
        """The steps; infinite where they are no steps."""
        steps = records[:, self._step_position]
        return np.where((steps >= 0) & (steps < LARGEST_STEP), np.floor(steps), np.inf)

    def _standing(self, records: Records, below: int) -> Records:
        """The records whose step is below that of every later one, and below ``below``; so their steps rise."""
        usable = self._usable_steps(records)
        lowest_after = np.minimum.accumulate(np.append(usable, below)[::-1])[::-1][1:]
        standing: Records = records[usable < lowest_after]
        return standing

    def _go_back(self, descriptor: int, count: int, step: int) -> None:
        """Forgets the steps from ``step`` on. Bins that begin before it are filled again from the file."""
        self._recent = self._recent[self._recent[:, self._step_position] < step]
        for gaps in self._gap_lists.values():
            gaps.forget_from(step)
        starts = {column: curve.forget_from(step) for column, curve in self._curves.items()}
        before = self._recent[:0]
        for records in self._read_back(descriptor, 0, count, step, min(starts.values()) - 1):
            steps = records[:, self._step_position]
            for column, start in starts.items():
                earlier = np.concatenate((before, records[steps < start]))
                self._add(records[steps >= start], (column,), earlier[-1:])
            before = records[-1:]

    def _read_window(self, low: int, high: int, most: int) -> dict[str, Series] | None:
        """Bins of the records between two steps; None where the file cannot be read now."""
        rows = self._read_steps(low - 1, high)
        steps = rows[:, self._step_position].astype(np.int64)
        kept = steps >= low
        if not kept.any():
            return None
        found = {}
        for column, gaps in self._columns.items():
            bins = MinMaxBins(gaps=gaps, bins=2 * most)
            values = column_values(self._layout, rows, column)
            if values is not None:
                bins.add(steps[kept] - low, values[kept])
            series = bins.series(most)
            found[column] = Series(series.width, tuple(item._replace(step=item.step + low) for item in series.bins))
        return found

    def _read_steps(self, low: int, high: int) -> Records:
        """The standing records from step ``low`` to ``high``; none where the file cannot be read now."""
        nothing: Records = np.empty((0, max(1, self._recent.shape[1])))
        if self._source is None:
            return nothing
        first, end = self._index.records(low, high)
        try:
            with self._path.open("rb", buffering=0) as file:
                if os.fstat(file.fileno()).st_ino != self._source.inode:
                    return nothing
                pieces = self._read_back(file.fileno(), first, min(end, self._taken), high + 1, low)
        except OSError:
            return nothing
        rows = np.concatenate((nothing, *pieces))
        kept: Records = rows[rows[:, self._step_position] >= low]
        return kept

    def _read_back(self, descriptor: int, begin: int, end: int, below: int, down_to: int) -> list[Records]:
        """Standing records with steps from ``down_to`` to ``below``, out of those from ``begin`` to ``end``.

        In rising order; the first piece may reach lower.
        """
        found: list[Records] = []
        piece = max(1, min(4096, CHUNK_BYTES // self._layout.record_bytes))
        while end > begin and below > down_to:
            first = max(begin, end - piece)
            for records in self._read(descriptor, first, end):
                standing = self._standing(records, below)
                if len(standing):
                    below = int(standing[0, self._step_position])
                    found.insert(0, standing)
            end = first
        return found

    def _add(self, records: Records, columns: Mapping[str, bool] | tuple[str, ...], before: Records) -> None:
        """Puts standing records into bins; ``before`` holds the one before them, if any."""
        steps = records[:, self._step_position].astype(np.int64)
        for column in columns:
            values = column_values(self._layout, records, column, before)
            if values is not None:
                self._curves[column].add(steps, values)

    @property
    def _layout(self) -> Layout:
        return self._source.layout if self._source else Layout(("step",), 0)

    def _position(self, column: str) -> int | None:
        return _position(self._layout, column)


def column_values(
    layout: Layout, records: Records, column: str, before: Records | None = None
) -> npt.NDArray[np.float64] | None:
    """The values (n) of a column in standing records (n, columns); None where the file has no such column.

    ``before`` holds the record before them, if any: without it the first step's tokens are not known.
    """
    if column != TOKENS_PER_SECOND:
        position = _position(layout, column)
        return None if position is None else records[:, position]
    places = [_position(layout, name) for name in ("step", "tokens", "step_seconds")]
    if None in places:
        return None
    rows = records if before is None else np.concatenate((before, records))
    steps, tokens, seconds = (rows[:, place] for place in places)
    with np.errstate(divide="ignore", invalid="ignore"):
        speeds = np.diff(tokens, prepend=np.nan) / np.diff(steps, prepend=np.nan) / seconds
    speeds = np.where(seconds > 0, speeds, np.nan)
    return speeds[len(rows) - len(records) :]


def _position(layout: Layout, column: str) -> int | None:
    return layout.columns.index(column) if column in layout.columns else None
