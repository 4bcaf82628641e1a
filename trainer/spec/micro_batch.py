"""Which micro batches a run may have, and which it was given: ``train.micro_batch = "auto"``.

The plan picks one by what memory is predicted (``memory``). Where memory decides, the trainer then finds the largest
that fits by trying, before it begins. The global batch stays what it is, so every choice divides a group's rows.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Literal

from trainer.spec.memory import Memory, Work, memory_per_rank
from trainer.spec.preset import Preset
from trainer.spec.resolved import Resolved
from trainer.spec.sizing import Layout, Shape

MOST_TOKENS = {"cuda": 1 << 15, "cpu": 1 << 12}
"""Where "auto" ends. Larger micro batches make no CPU faster (docs/speed.md); on GPUs so many tokens fill every matrix
product, and no tensor of a micro batch has more elements than an index of 32 bits can tell."""


def possible(global_batch: int, data: int, sequence_length: int, device: str) -> list[int]:
    """The micro batches that "auto" may become, rising: they share out the rows of each of ``data`` groups."""
    rows = max(1, global_batch // data)
    most = max(1, min(rows, MOST_TOKENS[device] // sequence_length))
    return [size for size in range(1, most + 1) if rows % size == 0]


def possible_of(preset: Preset, resolved: Resolved) -> list[int]:
    """The same for a run."""
    data = resolved.ranks // preset.parallel.tensor
    return possible(preset.train.global_batch, data, preset.model.sequence_length, resolved.device)


def circumstances(preset: Preset, resolved: Resolved) -> str:
    """What decides how much fits; another attempt under the same ones takes the same micro batch."""
    decisive = {
        "device": resolved.device, "gpus": resolved.gpus, "ranks": resolved.ranks, "parallel": asdict(preset.parallel),
        "precision": preset.train.precision, "batch": preset.train.global_batch,
    }  # fmt: skip
    return json.dumps(decisive, sort_keys=True)


def memory_expected(
    preset: Preset, shape: Shape, device: Literal["cpu", "cuda"], *, data: int, micro_batch: int
) -> Memory:
    """What one rank is expected to hold at a micro batch."""
    parallel, precision = preset.parallel, preset.train.precision
    if precision == "auto":
        precision = "bf16" if device == "cuda" else "fp32"
    work = Work(
        micro_batch=micro_batch,
        accumulation=accumulation(preset.train.global_batch, data, micro_batch),
        precision=precision,
        device=device,
        dropout=preset.model.dropout,
        mask_probability=preset.data.mask_probability,
    )
    layout = Layout(parallel.tensor, data, parallel.sequence, parallel.shard, parallel.recompute)
    return memory_per_rank(shape, layout, work)


def accumulation(global_batch: int, data: int, micro_batch: int) -> int:
    """Micro batches a rank works through for one update."""
    return max(1, global_batch // (micro_batch * data))
