"""Which tensor-parallel groups would talk over the slowest link that GPUs of one machine have."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from bert_tui.machine import Gpu
from trainer.spec.devices import PeerLink
from trainer.spec.problem import Problem


def crossing_groups(gpus: Sequence[Gpu], tensor: int, links: Iterable[PeerLink]) -> list[Sequence[Gpu]]:
    """The groups of which two GPUs are joined by nothing but the link between processors. ``gpus`` are in the order of
    the ranks; tensor-parallel ranks are neighbours, as in ``trainer.ranks``."""
    slow = {(link.first, link.second) for link in links if link.join == "sockets"}
    groups = [gpus[start : start + tensor] for start in range(0, len(gpus), tensor)]
    return [group for group in groups if any(pair in slow for pair in _pairs(group))]


def crossing_caution(groups: Sequence[Sequence[Gpu]]) -> Problem:
    """What to say of such groups."""
    return Problem("plan.sockets", "parallel.tensor", "; ".join(indices(group) for group in groups))


def _pairs(group: Sequence[Gpu]) -> Iterable[tuple[int, ...]]:
    return itertools.combinations(sorted(gpu.index for gpu in group), 2)


def indices(gpus: Iterable[Gpu]) -> str:
    """GPUs by their numbers: "GPU 0, 2"."""
    return f"GPU {', '.join(str(gpu.index) for gpu in gpus)}"
