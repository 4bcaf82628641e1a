"""What all ranks must know of the coming step, agreed one step ahead over the CPU.

A tiny asynchronous sum carries the counts of the global batch (the losses are divided by them, so each rank needs
them before its backward pass) and the wishes to stop or to save. Every rank reads the same sums at the same step, so
all decide alike, and neither host nor device waits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist

from trainer.batches import Counts
from trainer.ranks import Ranks


@dataclass(frozen=True)
class Wishes:
    """What the operator asked for; known to rank 0."""

    stop: bool = False
    save: bool = False


@dataclass(frozen=True)
class Header:
    """What holds for one step on all ranks."""

    counts: Counts
    """Of the global batch."""
    wishes: Wishes


class PendingHeader:
    """A header on its way."""

    def __init__(self, ranks: Ranks, share: Counts, wishes: Wishes) -> None:
        # The ranks of a tensor group read the same rows: one of them counts for all.
        counted = ranks.tensor_rank == 0
        counts = (share.masked, share.pairs, share.tokens) if counted else (0, 0, 0)
        self._sums = torch.tensor([*counts, wishes.stop, wishes.save], dtype=torch.int64)
        self._work = dist.all_reduce(self._sums, group=ranks.host_group, async_op=True)

    def wait(self) -> Header:
        """The header, the same on every rank."""
        self._work.wait()
        masked, pairs, tokens, stop, save = self._sums.tolist()
        return Header(Counts(masked, pairs, tokens), Wishes(stop > 0, save > 0))
