"""A disk that takes no more: training goes on, says so, and saves again as soon as it can."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainer.full_disk import FULL_SECONDS
from tests.trainer.small_run import (
    REPOSITORY,
    progress_when,
    small_preset,
    start_torchrun,
    write_attempt,
    write_dataset,
)
from trainer.process_tree import family
from trainer.spec.checkpoint_folder import complete_checkpoints
from trainer.spec.preset import replace
from trainer.spec.problem import Problem
from trainer.spec.records import Progress
from trainer.spec.run_directory import AttemptDirectory

UNSHARE = ["unshare", "--map-root-user", "--mount"]

pytestmark = pytest.mark.timeout(150)


def test_training_goes_on_while_the_disk_is_full(tmp_path: Path) -> None:
    """Also what the small files have no room for is there in the end."""
    trial = subprocess.run(
        [*UNSHARE, "mount", "-t", "tmpfs", "disk", str(tmp_path)], capture_output=True, text=True, check=False
    )
    if trial.returncode:
        pytest.skip(f"this user may not mount a small disk: {trial.stderr.strip()}")
    disk, log = tmp_path / "disk", tmp_path / "log"
    disk.mkdir()
    done = subprocess.run(
        [*UNSHARE, sys.executable, "-m", "tests.trainer.full_disk", disk, log],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=140, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-1000:] + log.read_text()[-3000:]
    seen = json.loads(done.stdout)
    assert seen["code"] == "checkpoint.no_room"
    assert seen["exit"] == 0, log.read_text()[-3000:]
    meanwhile = [time for _, time in seen["records"] if seen["full"] < time < seen["emptied"]]
    assert max(meanwhile) - min(meanwhile) > 0.8 * FULL_SECONDS
    steps = dict.fromkeys(step for step, _ in seen["records"])  # a step that was validated has two records
    assert list(steps) == list(range(1, len(steps) + 1))


def test_one_rank_that_cannot_write_keeps_all_from_saving_and_none_from_training(tmp_path: Path) -> None:
    """Only the last save, with which the run ends, is worth a failure."""
    write_dataset(tmp_path)
    preset = small_preset(tmp_path, parallel__data=2, train__steps=100000, train__decay=100000)
    preset = replace(preset, checkpoint__every=100000)
    attempt = write_attempt(tmp_path, 1, preset)
    with (tmp_path / "log").open("w") as output, start_torchrun(2, "trainer", attempt.path, output=output) as process:
        try:
            progress_when(attempt, lambda seen: seen.step > 0)
            first = _ask_for_checkpoint(attempt)
            _limit_files(process.pid, rank=1, largest=10_000)
            failed = _ask_for_checkpoint(attempt)
            _limit_files(process.pid, rank=1, largest=resource.RLIM_INFINITY)
            second = _ask_for_checkpoint(attempt)
            _limit_files(process.pid, rank=1, largest=10_000)
            attempt.stop_request.touch()
            assert process.wait(60) != 0
        finally:
            process.kill()
    assert failed.not_saved is not None
    assert failed.not_saved.problem.code == "checkpoint.not_written"
    assert failed.not_saved.problem.params == {"reason": "File too large"}
    assert first.not_saved is second.not_saved is None
    assert first.last_checkpoint == failed.last_checkpoint
    saved = [checkpoint.step for checkpoint in complete_checkpoints(attempt.run.checkpoints)]
    assert saved == [first.last_checkpoint, second.last_checkpoint]
    assert not list(attempt.run.checkpoints.glob(".*"))
    # Whichever rank ends first: torchrun ends the other, which may not come to its own record.
    told = [json.loads(path.read_text())["problem"] for path in attempt.rank_errors.glob("*.error.json")]
    assert {Problem.from_json(problem).code for problem in told} == {"checkpoint.not_written"}


def _ask_for_checkpoint(attempt: AttemptDirectory) -> Progress:
    """What the run says when it has answered."""
    attempt.checkpoint_request.touch()
    progress_when(attempt, lambda _: not attempt.checkpoint_request.exists())
    return progress_when(attempt, lambda _: True)


def _limit_files(torchrun: int, rank: int, largest: int) -> None:
    """From now on the rank may write no file longer than that."""
    for process in family(torchrun):
        environment = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        if f"RANK={rank}".encode() in environment and process.pid != os.getpid():
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
