"""What only a machine with GPUs can show; see README.md here. The program that shows it also runs, small, on CPUs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.gpu.measure import Report
from tests.trainer.small_run import torchrun

GOAL = {1: 0.45, 2: 0.40}
"""Share of an H100's or A100's peak that 340m shall reach, by tensor-parallel size."""
PARITY_BF16 = 0.02
"""Nats by which the loss in bf16 may be off that in float32."""


def _measured(folder: Path, ranks: int, device: str, size: str, seconds: float) -> Report:
    path = folder / "report.json"
    done = torchrun(ranks, "tests.gpu.measure", path, device, size, seconds=seconds)
    assert done.returncode == 0, done.stderr[-3000:]
    return Report(**json.loads(path.read_text()))


def _require_sound(report: Report, ranks: int) -> None:
    assert report.collective == ranks
    assert report.attention_apart <= 0.01
    assert report.losses == pytest.approx(report.losses_fp32, rel=0, abs=PARITY_BF16)
    assert report.tokens_per_second > 0
    assert report.checkpoint_pause < 10


def test_the_program_for_gpus_runs_on_cpus(tmp_path: Path) -> None:
    report = _measured(tmp_path, 2, "cpu", "small", 120)
    _require_sound(report, 2)
    assert report.attention.startswith("mask; faster ways that this device or this torch lacks: flash (")
    assert report.memory_planned > 0
    assert (report.memory_peak, report.share_of_peak) == (None, None)


@pytest.mark.gpu
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("tensor", [1, 2, 4, 8])
def test_340m(tensor: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = torch.cuda.device_count()
    if there < tensor:
        pytest.skip(f"not run: needs {tensor} GPUs, this machine has {there}")
    report = _measured(tmp_path, tensor, "cuda", "340m", 1500)
    with capsys.disabled():
        print(f"\n{report}")
    _require_sound(report, tensor)
    assert not report.attention.startswith("mask")
    assert report.memory_peak is not None
    assert report.memory_peak == pytest.approx(report.memory_planned, rel=0.10)
    if tensor in GOAL and any(name in report.device for name in ("H100", "A100")):
        assert report.share_of_peak is not None
        assert report.share_of_peak >= GOAL[tensor]
