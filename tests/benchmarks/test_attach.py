"""Promise 16, for a run of a million steps: how soon its curves are there, in how much memory."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import numpy as np
import pytest

from bert_tui.metrics.follow import MetricsFollower
from trainer.spec.metrics_file import COLUMNS, MetricsWriter

STEPS = 1_000_000


@pytest.mark.benchmark
def test_attaching_to_a_million_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "metrics.bin"
    writer = MetricsWriter(path)
    with path.open("ab") as file:
        for first in range(0, STEPS, 50_000):
            records = np.random.default_rng(first).normal(5.0, 0.2, (50_000, len(COLUMNS)))
            records[:, 0] = np.arange(first + 1, first + 50_001)
            file.write(records.astype("<f8").tobytes())
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
