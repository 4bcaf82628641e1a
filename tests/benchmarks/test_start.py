"""How long it takes from torchrun to the end of the first step, for a model of bert-tiny's size on two ranks."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.trainer.small_run import metrics, small_preset, torchrun, train, write_attempt, write_dataset

ROUNDS = 3
GOAL = 15.0
"""Seconds from torchrun to the first step."""
OUR_GOAL = 5.0
"""Seconds of it beyond what torch itself takes."""
WIDE = 5
"""How many times worse than its goal a figure may be before the test fails: this machine may be busy."""


@pytest.mark.benchmark
def test_from_torchrun_to_the_first_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    preset = small_preset(
        tmp_path,
        model__hidden=128, model__heads=2, model__sequence_length=128, train__steps=1, train__warmup=1,
        train__global_batch=16, train__micro_batch=16, train__decay=1, parallel__tensor=2,
    )  # fmt: skip
    bare, whole = [], []
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_dataset(folder)
        attempt = write_attempt(folder, 1, preset)
        began = time.time()
        train(attempt, preset)
        whole.append(metrics(attempt.run)[0]["time"] - began)
        began = time.time()
        torchrun(2, "tests.benchmarks.bare_start", folder / "sign")
        bare.append((folder / "sign").stat().st_mtime - began)
    ours = min(whole) - min(bare)
    with capsys.disabled():
        print(f"\nfirst step {min(whole):.1f} s after torchrun, {ours:.1f} s ours (torch alone {min(bare):.1f} s)")
    assert min(whole) <= GOAL * WIDE
    assert ours <= OUR_GOAL * WIDE
