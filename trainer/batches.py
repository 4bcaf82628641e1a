"""Rows of the data as tensors, and who reads which."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from trainer.spec.samples import Batch, RowReader
from trainer.spec.split import Split

TOKENS_AT_ONCE = 1 << 16
"""Of the micro batches that are made together; bounds the memory that takes to some 30 MB."""

T = TypeVar("T")


@dataclass(frozen=True)
class MicroBatch:
    """b rows of s tokens that go through the model at once; ``samples.Batch`` explains the tensors."""

    tokens: Tensor
    """[b, s], int64."""
    positions: Tensor
    """[b, s], int64."""
    types: Tensor
    """[b, s], int64."""
    segments: Tensor
    """[b, s], int32."""
    masked_index: Tensor
    """[n], int64."""
    masked_label: Tensor
    """[n], int64."""
    pair_index: Tensor
    """[p], int64."""
    swapped: Tensor
    """[p], int64."""

    def to(self, device: torch.device) -> MicroBatch:
        """A copy on ``device``; the copying overlaps with what the device does."""
        return MicroBatch(*(getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)))


@dataclass(frozen=True)
class Counts:
    """What the losses are divided by, and what is reported."""

    masked: int
    pairs: int
    tokens: int
    """Padding not counted."""

    @classmethod
    def of(cls, batches: Sequence[Batch]) -> Self:
        """Of all of them together."""
        return cls(
            masked=sum(len(batch.masked_label) for batch in batches),
            pairs=sum(batch.pairs_count for batch in batches),
            tokens=sum(batch.tokens_count for batch in batches),
        )


@dataclass(frozen=True)
class StepBatch:
    """One rank's share of a global batch."""

    micro_batches: tuple[MicroBatch, ...]
    counts: Counts
    """Of this share."""


def positions_of_rank(first: int, rows: int, *, micro_batch: int, data_rank: int, data_size: int) -> list[range]:
    """Which rows of ``first .. first + rows - 1`` a data-parallel rank reads, one range a micro batch.

    Micro batches are dealt out in turn; together the ranks read every row once. The last one may be shorter.
    """
    end = first + rows
    starts = range(first + data_rank * micro_batch, end, micro_batch * data_size)
    return [range(start, min(start + micro_batch, end)) for start in starts]


def most_rows(rows: int, *, micro_batch: int, data_size: int) -> int:
    """What the rank with the largest share of ``rows`` rows reads, its last micro batch taken as whole."""
    return -(-rows // (micro_batch * data_size)) * micro_batch


def read_batches(reader: RowReader, split: Split, micro_batches: Sequence[range]) -> list[Batch]:
    """The rows at the given positions, a batch each. Several are made at once, which takes less time a row."""
    each = max((len(positions) for positions in micro_batches), default=1)
    together = max(1, TOKENS_AT_ONCE // (each * reader.sequence_length))
    return [
        batch
        for first in range(0, len(micro_batches), together)
        for batch in _read_together(reader, split, micro_batches[first : first + together])
    ]


def read_share(reader: RowReader, split: Split, micro_batches: Sequence[range]) -> StepBatch:
    """Reads the rows at the given positions here and now."""
    batches = read_batches(reader, split, micro_batches)
    return StepBatch(tuple(map(_as_tensors, batches)), Counts.of(batches))


def timed(items: Iterable[T]) -> Iterator[tuple[T, float]]:
    """Each item, and the seconds it was waited for."""
    coming = iter(items)
    while True:
        began = time.monotonic()
        try:
            item = next(coming)
        except StopIteration:
            return
        yield item, time.monotonic() - began


def _read_together(reader: RowReader, split: Split, micro_batches: Sequence[range]) -> list[Batch]:
    whole = reader.batch(split, np.concatenate([np.arange(rows.start, rows.stop) for rows in micro_batches]))
    return whole.cut([len(rows) for rows in micro_batches])


def _as_tensors(batch: Batch) -> MicroBatch:
    return MicroBatch(*(torch.from_numpy(getattr(batch, f.name)) for f in fields(MicroBatch)))
