"""Started by torchrun on the ranks of one tensor-parallel group: everything that a machine with GPUs has to show.

``python -m tests.gpu.measure REPORT DEVICE SIZE`` leaves one JSON object, the fields of :class:`Report`, in the file
REPORT. On ``cpu`` it is the same program on small figures, so that it is known to work before it meets a GPU.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

from tests.trainer.simulation import SHAPES
from trainer.attention import MASK, Choice
from trainer.batches import Counts, MicroBatch
from trainer.checkpoint import Identity, Position
from trainer.device_readings import device_words
from trainer.learner import Learner
from trainer.rank_end import end
from trainer.ranks import Ranks, joined
from trainer.saver import Saver
from trainer.spec import preset as schema
from trainer.spec.gpu_peak import peak_of
from trainer.spec.memory import Work, memory_per_rank
from trainer.spec.preset import Checkpoint, Preset
from trainer.spec.sizing import Layout, Shape, step_flops

SMALL = Shape(2, 64, 4, 64, 512)
ROWS = {"small": 4, "340m": 32}
STEPS = {"small": 3, "340m": 20}
MASKED = 0.15
WARM_UP = 2
PARITY_STEPS = 3


@dataclass(frozen=True)
class Report:
    """Of one tensor-parallel size."""

    device: str
    ranks: int
    collective: float
    """Sum of a one from each rank, through the device's own back end (NCCL on GPUs): the number of ranks."""
    attention: str
    """The kernel taken, and why faster ones were not."""
    attention_apart: float
    """Relative difference of a step's gradient norm from that with the mask."""
    losses: list[float]
    """Of a few steps, in the precision that "auto" picks."""
    losses_fp32: list[float]
    """The same in float32 on each rank alone."""
    tokens_per_second: float
    share_of_peak: float | None
    """None where the GPU is not known (``gpu_peak``)."""
    memory_peak: int | None
    """Bytes torch had allocated at once on rank 0; None on a CPU."""
    memory_planned: int
    """What the plan says for the same, without margin."""
    checkpoint_pause: float
    """Seconds for which a checkpoint holds up training: the copy to pinned memory."""


def main(path: Path, device: str, size: str) -> None:
    """All of it, in the order of :class:`Report`."""
    shape = SHAPES.get(size, SMALL)
    with joined(device, int(os.environ["WORLD_SIZE"])) as ranks:
        batch = packed_batch(shape, ROWS[size])
        alone = replace(
            ranks, mesh=init_device_mesh(ranks.device.type, (ranks.tensor_size, 1), mesh_dim_names=("data", "tensor"))
        )
        precision = "bf16" if device == "cpu" else "auto"
        losses_fp32 = _losses(shape, alone, batch, "fp32")
        losses = _losses(shape, ranks, batch, precision)
        choice, apart = _attention(shape, ranks, batch, precision)
        tokens, peak = _speed(shape, ranks, batch, size, precision)
        report = Report(
            device=device_words(ranks.device), ranks=ranks.tensor_size, collective=_collective(ranks),
            attention=choice, attention_apart=apart, losses=losses, losses_fp32=losses_fp32,
            tokens_per_second=tokens, share_of_peak=_share(shape, ranks, tokens), memory_peak=peak,
            memory_planned=_planned(shape, ranks, size), checkpoint_pause=_pause(shape, ranks, batch, precision),
        )  # fmt: skip
        if ranks.rank == 0:
            path.write_text(json.dumps(asdict(report)), encoding="utf-8")
        dist.barrier(ranks.host_group)


def packed_batch(shape: Shape, rows: int) -> MicroBatch:
    """Rows of two samples each, full to the last token; the same on every rank."""
    draw, length = torch.Generator().manual_seed(1), shape.sequence_length
    first = torch.randint(length // 4, length // 2, (rows, 1), generator=draw)
    column = torch.arange(length).expand(rows, length)
    second = column >= first
    masked = torch.randperm(rows * length, generator=draw)[: int(rows * length * MASKED)].sort().values
    tokens = torch.randint(5, shape.vocab_size, (rows, length), generator=draw)
    starts = torch.arange(rows).unsqueeze(1) * length
    pairs = torch.cat([starts, starts + first], dim=1).flatten()
    return MicroBatch(
        tokens=tokens, positions=column - first * second, types=second.long() * 0, segments=second.int() + 1,
        masked_index=masked, masked_label=tokens.flatten()[masked], pair_index=pairs, swapped=pairs % 2,
    )  # fmt: skip


def _learner(shape: Shape, ranks: Ranks, precision: str, dropout: float) -> Learner:
    preset = schema.replace(
        Preset(),
        model__layers=shape.layers, model__hidden=shape.hidden, model__heads=shape.heads,
        model__sequence_length=shape.sequence_length, model__vocab_size=shape.vocab_size, model__dropout=dropout,
        train__steps=1000, train__warmup=0, train__learning_rate=1e-4, train__precision=precision,
        parallel__tensor=ranks.tensor_size,
    )  # fmt: skip
    return Learner(shape, preset, ranks)


def _counts(batch: MicroBatch, ranks: Ranks) -> Counts:
    """Data-parallel ranks all read the same rows here."""
    times = ranks.data_size
    return Counts(len(batch.masked_index) * times, len(batch.pair_index) * times, batch.tokens.numel() * times)


def _losses(shape: Shape, ranks: Ranks, batch: MicroBatch, precision: str) -> list[float]:
    learner, counts = _learner(shape, ranks, precision, dropout=0.0), _counts(batch, ranks)
    return [learner.learn(step, [batch], counts).wait().lm_loss for step in range(1, PARITY_STEPS + 1)]


def _attention(shape: Shape, ranks: Ranks, batch: MicroBatch, precision: str) -> tuple[str, float]:
    norms, choice = [], ""
    for masked in (False, True):
        learner = _learner(shape, ranks, precision, dropout=0.0)
        if masked:
            learner.attention = Choice(MASK, {})
            for layer in learner.model.layers:
                layer.get_submodule("attention.core").kernel = MASK  # type: ignore[assignment]
        else:
            choice = str(learner.attention)
        norms.append(learner.learn(1, [batch], _counts(batch, ranks)).wait().grad_norm)
    return choice, abs(norms[0] / norms[1] - 1)


def _speed(shape: Shape, ranks: Ranks, batch: MicroBatch, size: str, precision: str) -> tuple[float, int | None]:
    """Tokens a second with dropout, and the peak of memory meanwhile."""
    learner, counts, cuda = _learner(shape, ranks, precision, 0.1), _counts(batch, ranks), ranks.device.type == "cuda"
    for step in range(1, WARM_UP + 1):
        learner.learn(step, [batch], counts).wait()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    results = [learner.learn(WARM_UP + step, [batch], counts) for step in range(1, STEPS[size] + 1)]
    results[-1].wait()
    seconds = time.perf_counter() - began
    return counts.tokens * STEPS[size] / seconds, torch.cuda.max_memory_allocated() if cuda else None


def _share(shape: Shape, ranks: Ranks, tokens: float) -> float | None:
    peak = peak_of(device_words(ranks.device))
    if peak is None:
        return None
    flops = step_flops(shape, 1, MASKED) / shape.sequence_length * tokens
    return flops / (peak.tflops * 1e12 * ranks.tensor_size)


def _planned(shape: Shape, ranks: Ranks, size: str) -> int:
    device = "cuda" if ranks.device.type == "cuda" else "cpu"
    work = Work(ROWS[size], precision="bf16", device=device, mask_probability=MASKED)  # type: ignore[arg-type]
    return memory_per_rank(shape, Layout(tensor=ranks.tensor_size), work).tensors


def _collective(ranks: Ranks) -> float:
    one = torch.ones((), device=ranks.device)
    dist.all_reduce(one, group=ranks.tensor_group)
    return one.item()


def _pause(shape: Shape, ranks: Ranks, batch: MicroBatch, precision: str) -> float:
    """Of the second checkpoint; the first one also reserves the memory."""
    learner, pauses = _learner(shape, ranks, precision, 0.0), []
    with tempfile.TemporaryDirectory() as name:
        folder = [name]
        dist.broadcast_object_list(folder, group=ranks.host_group)
        saver = Saver(
            learner, Identity("", "", {}), Path(folder[0]), Checkpoint(), lambda done: pauses.append(done.pause)
        )
        for step in (1, 2):
            learner.learn(step, [batch], _counts(batch, ranks)).wait()
            saver.begin(Position(step), since=time.monotonic(), asked=False)
            done = saver.wait()
            assert done is not None
            assert done.saved, done.problem
        dist.barrier(ranks.host_group)
    return pauses[-1]


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
    end(0)
