"""Promise 25: memory as ``trainer.spec.memory`` predicts it, a simulation of the real model finds it, and torch
allocates it on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from tests.trainer.simulation import SHAPES, fake_ranks, simulate
from tests.trainer.small_run import small_preset
from trainer.batches import Counts, MicroBatch
from trainer.learner import Learner
from trainer.placement import local
from trainer.spec.memory import Work, memory_per_rank
from trainer.spec.preset import replace as replace_settings
from trainer.spec.sizing import Layout, Shape, parameters_per_rank

PROMISED = 0.10

FLAT = {"4b": 6, "20b": 6}
"""Layers in the test run, so that it stays short; the benchmark simulates all 48."""

LAYOUTS = [
    ("tiny", Layout(tensor=2), Work(16, precision="fp32", dropout=0.0)),
    ("base", Layout(data=8), Work(4)),
    ("base", Layout(tensor=4), Work(1, accumulation=2)),
    ("340m", Layout(), Work(4, accumulation=8)),
    ("340m", Layout(), Work(32, attention="mask")),
    ("340m", Layout(tensor=4, data=2, sequence=True), Work(4, accumulation=2)),
    ("340m", Layout(recompute="full"), Work(32, accumulation=2)),
    ("340m", Layout(data=512, shard="full"), Work(4, precision="fp16")),
    ("4b", Layout(tensor=2, data=4, sequence=True, shard="full"), Work(4, accumulation=2)),
    ("4b", Layout(data=8, shard="full", recompute="full"), Work(4)),
    ("20b", Layout(tensor=8, sequence=True), Work(4, accumulation=2)),
    ("20b", Layout(tensor=8, data=2, sequence=True, shard="full"), Work(2, accumulation=2)),
    ("20b", Layout(tensor=8, data=64, sequence=True, shard="full", recompute="selective"), Work(8)),
]


@pytest.mark.parametrize(("size", "layout", "work"), LAYOUTS, ids=str)
def test_prediction_is_what_the_simulated_model_holds(size: str, layout: Layout, work: Work) -> None:
    shape = replace(SHAPES[size], layers=FLAT.get(size, SHAPES[size].layers))
    seen, predicted = simulate(shape, layout, work), memory_per_rank(shape, layout, work)
    assert predicted.tensors == pytest.approx(seen.peak, rel=PROMISED)
    if layout.shard == "none":
        assert seen.state == 12 * parameters_per_rank(shape, layout.tensor)


ON_CPU = [
    (Layout(), Work(8, accumulation=2, dropout=0.0, precision="fp32", device="cpu")),
    (Layout(), Work(8, precision="fp32", device="cpu")),
    (Layout(), Work(2, accumulation=2, precision="bf16", device="cpu")),
    (Layout(recompute="full"), Work(8, accumulation=2, precision="fp32", device="cpu")),
    (Layout(recompute="selective"), Work(8, accumulation=2, precision="fp32", device="cpu")),
    (Layout(tensor=2), Work(8, accumulation=2, precision="fp32", device="cpu")),
    (Layout(tensor=2, sequence=True), Work(8, accumulation=2, precision="fp32", device="cpu")),
    (Layout(data=2, shard="full"), Work(8, accumulation=2, precision="fp32", device="cpu")),
    (Layout(data=4, shard="full"), Work(8, precision="bf16", device="cpu")),
    (Layout(tensor=2, data=2, sequence=True, shard="full"), Work(8, precision="fp32", device="cpu")),
]


@pytest.mark.parametrize(("layout", "work"), ON_CPU, ids=str)
def test_prediction_is_what_a_cpu_allocates(layout: Layout, work: Work) -> None:
    shape = Shape(layers=4, hidden=128, heads=2, sequence_length=128, vocab_size=2048)
    preset = replace_settings(
        small_preset(Path("unused"), model__dropout=work.dropout, train__precision=work.precision),
        **{f"parallel__{name}": value for name, value in asdict(layout).items()},
    )
    batches, counts = [full_batch(shape, work)] * work.accumulation, Counts(masked=1, pairs=1, tokens=1)
    with fake_ranks(layout) as ranks:  # what they exchange is nothing, but memory is real
        learner = Learner(shape, preset, ranks)
        learner.learn(1, batches, counts).wait()
        state = 3 * sum(local(parameter).nbytes for parameter in learner.model.parameters())
        seen = state + allocated(lambda: learner.learn(2, batches, counts).wait())
    assert memory_per_rank(shape, layout, work).tensors == pytest.approx(seen, rel=PROMISED)


def full_batch(shape: Shape, work: Work) -> MicroBatch:
    """Rows of one sample each."""
    rows, length = work.micro_batch, shape.sequence_length
    masked = round(rows * length * work.mask_probability)
    grid = torch.zeros(rows, length, dtype=torch.int64)
    places, firsts = torch.arange(masked), torch.arange(rows) * length
    return MicroBatch(grid, grid, grid, grid.to(torch.int32) + 1, places, places, firsts, firsts * 0)


def allocated(work: Callable[[], object]) -> int:
    """The most bytes that torch's allocator has given out at once during ``work``, beside what was there before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    events = profiler.profiler.kineto_results.events()
    now = most = 0
    for _, size in sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"):
        now += size
        most = max(most, now)
    return most
