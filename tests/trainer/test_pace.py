"""Speed as it is told."""

from __future__ import annotations

import pytest

from trainer.pace import RECENT, Pace, StepPace


def test_the_last_steps_and_all_of_them() -> None:
    pace = Pace(ranks=4, peak_tflops=100.0)
    pace.add(StepPace(seconds=80.0, data_wait=0.0, tokens=80, flops=0.0))
    for _ in range(RECENT):
        pace.add(StepPace(seconds=2.0, data_wait=0.5, tokens=4000, flops=400e12))
    last = pace.last
    assert last.tokens_per_second == 2000
    assert last.data_wait_share == 0.25
    assert pace.median_seconds == 2.0
    assert pace.tflops_per_rank(last) == pytest.approx(50.0)
    assert pace.share_of_peak(last) == pytest.approx(0.5)
    assert pace.mean_tokens_per_second == pytest.approx((80 + RECENT * 4000) / (80 + RECENT * 2))
    assert Pace(ranks=4, peak_tflops=None).share_of_peak(last) is None
