"""Which micro batches fit, by trying: ``python -m trainer.try_micro_batch ATTEMPT_DIR FOLDER SIZES`` on every rank.

Takes whole steps of growing micro batches, until one does not fit. A rank that runs out of memory ends, and with it all
others, wherever they wait for it: these processes are thrown away, and training begins in new ones, with untouched
weights and random numbers. ``FOLDER/tried.jsonl`` says how far it came.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist

from trainer.batches import Counts, MicroBatch
from trainer.device_readings import free_share, read_memory, reset_peak
from trainer.host_memory import limit_memory
from trainer.learner import Learner
from trainer.micro_batch_search import TRIED
from trainer.placement import local
from trainer.rank_end import end, run_rank
from trainer.ranks import Ranks, joined
from trainer.spec.preset import Preset
from trainer.spec.records import TriedMicroBatch, to_json
from trainer.spec.resolved import Resolved, read_resolved
from trainer.spec.run_directory import AttemptDirectory
from trainer.spec.sizing import Shape, shape_of
from trainer.spec.vocabulary import read_vocabulary

MARGIN = 0.05
"""Share of the memory that must be left: a step may ask for a little more than the trial, and memory may fragment."""
STEPS = 3
"""Of each size; optimizer and allocator have come to rest in the last."""


def try_sizes(preset: Preset, resolved: Resolved, vocabulary_size: int, folder: Path, sizes: list[int]) -> None:
    """Tries the sizes, which rise, until one does not fit. Every rank calls it.

    Raises:
        torch.OutOfMemoryError, RuntimeError: the size of the last line was too large for this rank.
    """
    with joined(resolved.device, preset.parallel.tensor) as ranks:
        if resolved.device == "cpu":
            limit_memory(resolved.ranks, margin=MARGIN)
        dist.barrier(ranks.host_group)  # all have looked at what is free before any of them takes it
        learner = Learner(shape_of(preset.model, vocabulary_size), preset, ranks)
        held = _held_beside(learner)
        for size in sizes:
            tried = TriedMicroBatch(size)
            _note(folder, ranks, tried)
            tried = _try(learner, preset, size, tried)
            _note(folder, ranks, tried)
            if tried.outcome != "fits":
                break
        del held


def _held_beside(learner: Learner) -> list[torch.Tensor]:
    """What training holds on a CPU beside its steps: TensorBoard, and the copy from which a checkpoint is written."""
    if learner.ranks.device.type != "cpu":
        return []
    if learner.ranks.rank == 0:
        import trainer.report_files  # noqa: F401
    weights = [local(parameter.detach()) for parameter in learner.model.parameters()]
    return [torch.empty_like(weight) for weight in weights for _ in ("weight", "first moment", "second moment")]


def _try(learner: Learner, preset: Preset, size: int, begun: TriedMicroBatch) -> TriedMicroBatch:
    ranks = learner.ranks
    reset_peak(ranks.device)
    rounds = min(2, preset.train.global_batch // (size * ranks.data_size))  # gradients are kept from the second on
    batch = heaviest(learner.shape, size, preset.data.mask_probability, sentence_order=preset.data.sentence_order)
    of_all = rounds * ranks.data_size
    counts = Counts(len(batch.masked_index) * of_all, len(batch.pair_index) * of_all, batch.tokens.numel() * of_all)
    for step in range(1, STEPS + 1):
        began = time.monotonic()
        learner.learn(step, [batch] * rounds, counts).wait()
    seconds, peak = (time.monotonic() - began) / rounds, read_memory(ranks.device).peak
    # The fullest rank decides, so all decide alike.
    left, peak = -_largest(-free_share(ranks.device), ranks), int(_largest(peak, ranks))
    return replace(begun, outcome="fits" if left >= MARGIN else "too_tight", bytes=peak, seconds=seconds)


def heaviest(shape: Shape, rows: int, mask_probability: float, *, sentence_order: bool) -> MicroBatch:
    """Rows as heavy as they come: one sample each, as long as the row, with as much to guess as any."""
    length = shape.sequence_length
    generator = torch.Generator().manual_seed(0)
    place = torch.arange(rows * length)
    masked = torch.rand(rows, length, generator=generator).argsort(1)[:, : -int(-mask_probability * length // 1)]
    masked_index = (masked + torch.arange(rows)[:, None] * length).flatten().sort().values
    pairs = place[::length] if sentence_order else place[:0]
    return MicroBatch(
        tokens=torch.randint(shape.vocab_size, (rows, length), generator=generator),
        positions=(place % length).view(rows, length),
        types=(place % length >= length // 2).long().view(rows, length),
        segments=torch.ones(rows, length, dtype=torch.int32),
        masked_index=masked_index,
        masked_label=masked_index % shape.vocab_size,
        pair_index=pairs,
        swapped=torch.zeros_like(pairs),
    )


def _largest(value: float, ranks: Ranks) -> float:
    held = torch.tensor([value], dtype=torch.float64)
    dist.all_reduce(held, dist.ReduceOp.MAX, group=ranks.host_group)
    return held.item()


def _note(folder: Path, ranks: Ranks, tried: TriedMicroBatch) -> None:
    if ranks.rank == 0:
        with (folder / TRIED).open("a", encoding="utf-8") as file:
            file.write(to_json(tried) + "\n")


def main(arguments: list[str]) -> int:
    """Tries; returns the exit status."""
    attempt, folder, sizes = AttemptDirectory(Path(arguments[0])), Path(arguments[1]), json.loads(arguments[2])

    def work() -> None:
        preset, resolved = read_resolved(attempt.preset)
        try_sizes(preset, resolved, read_vocabulary(attempt.run.vocabulary).size, folder, sizes)

    return run_rank(work, folder)


if __name__ == "__main__":
    end(main(sys.argv[1:]))
