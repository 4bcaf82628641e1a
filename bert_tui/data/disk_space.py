"""Whether a dataset has room on the disk, before it is built."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from bert_tui.data.build_folder import BuildFolder
from bert_tui.data.order import BuildOrder
from bert_tui.data.shards import Shard
from trainer.spec.problem import DatasetError, Problem

UNPACKED = 3.0
"""Bytes of text in a byte of a packed file; prose packs to a third or less."""
DATASET_SHARE = 0.4
"""Bytes of a dataset (ids of two bytes, and the index) for one of text, from below: more is written while it is built
and the disk may fill up all the same, but what does not fit by this measure never does."""


def require_space(order: BuildOrder, shards: Sequence[Shard], folder: BuildFolder) -> None:
    """Refuses to begin what the disk cannot hold: the finished shards and the dataset that is joined from them.

    Raises:
        DatasetError: names what is needed and what is free.
    """
    text = sum(
        segment.size * (1.0 if segment.compression == "none" else UNPACKED)
        for shard in shards
        for segment in shard.segments
    )
    there = sum(file.stat().st_size for file in folder.shards.rglob("*.bin"))
    needed = int(2 * text * DATASET_SHARE) - there
    free = shutil.disk_usage(folder.path).free
    if free < needed:
        facts = {"needed": gigabytes(needed), "free": gigabytes(free)}
        raise DatasetError(Problem("build.no_space", str(order.output.parent), "", facts))


def gigabytes(size: int) -> str:
    """As people read it."""
    return f"{size / 1e9:.1f}"
