"""How fast the trainer is, beside Hugging Face's BERT and the machine's own matrix product (docs/speed.md).

All contestants are there at once and take turns, so that whatever else the machine does meets all of them.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.benchmarks.training_data import BATCHES, MASKED
from tests.benchmarks.training_speed import MATMUL, SIZES, Turn
from trainer.spec.sizing import BERT_VOCAB, Shape, step_flops
from trainer.supervise import CPU_MEMORY

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]

THREADS = 2
WARM_UP = 2
"""Steps that do not count."""
STEPS = {"A": 3 * BATCHES, "B": BATCHES}
"""That do count: every batch equally often, because samples of mixed lengths fill batches differently."""
GOALS = {("A", "full"): 2.55, ("B", "full"): 1.3, ("A", "mixed"): 4.65, ("B", "mixed"): 2.5}
"""Tokens a second, ours over theirs, that a sketch in plain PyTorch reached."""
WIDE = 5
"""How many times worse than its goal a figure may be before a test fails: this machine may be busy."""


class Contestant:
    """Its processes; rank 0 takes a step when asked."""

    def __init__(self, processes: list[subprocess.Popen[str]]) -> None:
        self._processes = processes
        self.turns: list[Turn] = []

    def take_turn(self) -> None:
        """One step."""
        first = self._processes[0]
        assert first.stdin is not None
        assert first.stdout is not None
        first.stdin.write("\n")
        first.stdin.flush()
        self.turns.append(Turn(**json.loads(first.stdout.readline())))

    @property
    def counted(self) -> list[Turn]:
        """Turns after the first ones."""
        return self.turns[WARM_UP:]

    @property
    def seconds(self) -> float:
        """Median."""
        return statistics.median(turn.seconds for turn in self.counted)

    @property
    def tokens(self) -> float:
        """A second: those of all batches at the median time of a step, which does not depend on how full it is."""
        return statistics.mean(turn.tokens for turn in self.counted) / self.seconds


@contextmanager
def contestant(name: str, size: str, lengths: str, steps: int, *, memory: bool = True) -> Iterator[Contestant]:
    """Started; ended again. ``memory``: with the allocator settings that the supervisor gives to the trainer."""
    ranks = 2 if name in ("tensor", "data", "sharded") else 1
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = os.environ | (CPU_MEMORY if memory else {})
    environment |= {"OMP_NUM_THREADS": str(THREADS // ranks), "GLOO_SOCKET_IFNAME": "lo", "LOCAL_RANK": "0"}
    environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(ranks)}
    command = [sys.executable, "-m", "tests.benchmarks.training_speed", name, size, lengths, str(steps)]
    processes = [
        subprocess.Popen(
            command, cwd=Path(__file__).parents[2], env=environment | {"RANK": str(rank)}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for rank in range(ranks)
    ]  # fmt: skip
    try:
        yield Contestant(processes)
        for process in processes:
            process.communicate(timeout=60)
    finally:
        for process in processes:
            process.kill()


@pytest.mark.parametrize("lengths", ["full", "mixed"])
@pytest.mark.parametrize("size", ["A", "B"])
def test_against_hugging_face(size: str, lengths: str, capsys: pytest.CaptureFixture[str]) -> None:
    total = WARM_UP + STEPS[size]
    with ExitStack() as stack:
        matmul, ours, theirs, tuned = (
            stack.enter_context(contestant(name, size, lengths, total, memory=memory))
            for name, memory in (("matmul", True), ("ours", True), ("theirs", False), ("theirs", True))
        )
        _in_turn([matmul, ours, theirs, tuned], total)
    ratio, tuned_ratio = _ratio(ours, theirs), _ratio(ours, tuned)
    layers, hidden, heads, rows = SIZES[size]
    flops = step_flops(Shape(layers, hidden, heads, 128, BERT_VOCAB), rows, MASKED) / ours.seconds
    peak = 2 * MATMUL**3 / matmul.seconds
    with capsys.disabled():
        print(
            f"\n{size} {lengths}: {ours.tokens:,.0f} tokens/s, Hugging Face {theirs.tokens:,.0f}: {ratio:.2f}x"
            f" (with our allocator settings {tuned.tokens:,.0f}: {tuned_ratio:.2f}x);"
            f" step {_spread(ours)}, {flops / 1e9:.0f} GFLOP/s of {peak / 1e9:.0f}: {flops / peak:.0%}"
        )
    assert ratio >= GOALS[size, lengths] / WIDE


@pytest.mark.parametrize("size", ["A", "B"])
def test_two_ranks_against_one(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    total = WARM_UP + STEPS[size]
    with ExitStack() as stack:
        one, tensor, data, sharded = (
            stack.enter_context(contestant(name, size, "full", total)) for name in ("ours", "tensor", "data", "sharded")
        )
        _in_turn([one, tensor, data, sharded], total)
    with capsys.disabled():
        for name, two in (("tensor 2", tensor), ("data 2", data), ("FSDP2 2", sharded)):
            waiting = statistics.median(turn.waiting for turn in two.counted)
            times = 1 / _ratio(two, one)
            print(
                f"\n{size} {name}: {times:.2f}x the time of one process, step {_spread(two)} against {_spread(one)};"
                f" {waiting:.0%} waiting for the other"
            )
    assert 1 / _ratio(tensor, one) <= 1.15 * WIDE
    assert 1 / _ratio(data, one) <= 1.15 * WIDE
    assert 1 / _ratio(sharded, one) <= 1.4 * WIDE


@pytest.mark.parametrize("size", ["A", "B"])
def test_what_the_allocator_settings_gain(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    total = WARM_UP + STEPS[size]
    with ExitStack() as stack:
        with_them, without = (
            stack.enter_context(contestant("ours", size, "full", total, memory=memory)) for memory in (True, False)
        )
        _in_turn([with_them, without], total)
    with capsys.disabled():
        print(f"\n{size}: without CPU_MEMORY {_ratio(with_them, without):.2f}x the time of {_spread(with_them)}")


def _in_turn(contestants: list[Contestant], turns: int) -> None:
    for _ in range(turns):
        for each in contestants:
            each.take_turn()


def _ratio(left: Contestant, right: Contestant) -> float:
    """Tokens a second, left over right: tokens of all batches, times by the median over turns taken side by side."""
    pairs = zip(left.counted, right.counted, strict=True)
    times = statistics.median(b.seconds / a.seconds for a, b in pairs)
    return times * sum(turn.tokens for turn in left.counted) / sum(turn.tokens for turn in right.counted)


def _spread(contestant: Contestant) -> str:
    seconds = [turn.seconds * 1000 for turn in contestant.counted]
    return f"{contestant.seconds * 1000:,.0f} ms ({min(seconds):,.0f}-{max(seconds):,.0f})"
