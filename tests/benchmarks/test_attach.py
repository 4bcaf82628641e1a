"""Promise 16, for runs of millions of steps: how soon their curves are there, in how much memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from bert_tui.metrics.chart_picture import ChartWish
from bert_tui.metrics.chart_reader import ChartReader
from bert_tui.metrics.follow import MetricsFollower
from bert_tui.metrics.window import Window
from trainer.spec.metrics_file import COLUMNS, MetricsWriter
from trainer.spec.run_directory import RunDirectory

STEPS = 1_000_000


def write_steps(path: Path, count: int) -> MetricsWriter:
    """A run of so many steps; gives the writer, to go on with."""
    writer = MetricsWriter(path)
    with path.open("ab") as file:
        for first in range(0, count, 50_000):
            records = np.random.default_rng(first).normal(5.0, 0.2, (50_000, len(COLUMNS)))
            records[:, 0] = np.arange(first + 1, first + 50_001)
            file.write(records.astype("<f8").tobytes())
    return writer


@pytest.mark.benchmark
def test_attaching_to_a_million_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "metrics.bin"
    writer = write_steps(path, STEPS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    follower = MetricsFollower(path)
    follower.poll()
    curve = follower.curve("lm_loss")
    opened = time.perf_counter() - begun
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    writer.append({"step": STEPS + 1, "lm_loss": 5.0})
    begun = time.perf_counter()
    follower.poll()
    follower.curve("lm_loss")
    updated = time.perf_counter() - begun
    with capsys.disabled():
        print(
            f"\n{STEPS:,} records: attached in {opened:.2f} s, memory +{grown:.0f} MB, update {1000 * updated:.1f} ms",
            end="",
        )
    assert len(curve.bins) > 200
    assert opened <= 0.5 * 5
    assert grown <= 50
    assert updated <= 0.02 * 5


@pytest.mark.benchmark
@pytest.mark.timeout(120)
def test_a_chart_of_ten_million_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The screen of curves: its first chart, a step more, and the slowest of many zooms."""
    (tmp_path / "attempts").mkdir()
    writer = write_steps(tmp_path / "metrics.bin", 10 * STEPS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reader = ChartReader(RunDirectory(tmp_path))
    opened = seconds(lambda: reader.read(ChartWish()))
    writer.append({"step": 10 * STEPS + 1, "lm_loss": 5.0})
    updated = seconds(lambda: reader.read(ChartWish()))
    window, zooms = Window(0, 10 * STEPS), []
    while window.width > 100:
        window = window.zoomed(0.5, 7_000_000, 10 * STEPS)
        wish = ChartWish(window=window, cursor=7_000_000)
        zooms.append(seconds(partial(reader.read, wish)))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    with capsys.disabled():
        print(
            f"\n{10 * STEPS:,} records: chart in {opened:.2f} s, update {1000 * updated:.1f} ms, slowest zoom "
            f"{1000 * max(zooms):.0f} ms of {len(zooms)}, memory +{grown:.0f} MB",
            end="",
        )
    assert opened <= 2 * 5
    assert updated <= 0.02 * 5
    assert max(zooms) <= 0.5
    assert grown <= 50


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
