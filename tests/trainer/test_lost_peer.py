"""What a rank says when it ends through no fault of the trainer: a peer is gone, the disk is full."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.trainer.small_run import REPOSITORY, rank_error, small_preset, write_attempt, write_dataset
from trainer.rank_end import problem_of
from trainer.spec.problem import Problem
from trainer.spec.records import Progress, read_record
from trainer.spec.run_directory import AttemptDirectory

pytestmark = pytest.mark.timeout(120)


def test_the_survivor_of_a_killed_rank_ends_and_does_not_take_the_blame(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    preset = small_preset(tmp_path, parallel__tensor=2, train__steps=100000, train__decay=100000)
    attempt = write_attempt(tmp_path, 1, preset)
    survivor, victim = _start_without_torchrun(attempt)
    try:
        _wait_for_a_step(attempt)
        victim.kill()
        assert survivor.wait(60) == 1
    finally:
        for process in (survivor, victim):
            process.kill()
            process.wait()
    problem = Problem.from_json(rank_error(attempt)["problem"])
    assert (problem.code, problem.where) == ("training.peer_lost", "rank 0")


def _start_without_torchrun(attempt: AttemptDirectory) -> list[subprocess.Popen[bytes]]:
    """Two ranks; torchrun would end the survivor before it can speak."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
        "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    return [
        subprocess.Popen(
            [sys.executable, "-m", "trainer", str(attempt.path)],
            cwd=REPOSITORY,
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.DEVNULL,
        )
        for rank in range(2)
    ]


def _wait_for_a_step(attempt: AttemptDirectory) -> None:
    until = time.monotonic() + 60
    while (progress := read_record(Progress, attempt.progress)) is None or progress.step == 0:
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_full_disk_is_called_one() -> None:
    assert problem_of(OSError(errno.ENOSPC, "No space left on device", "/x")).code == "training.disk_full"
    assert problem_of(OSError(errno.EACCES, "Permission denied", "/x")).code == "training.exception"


def test_other_errors_of_the_transport_are_no_lost_peer() -> None:
    assert problem_of(RuntimeError("NCCL error: unhandled system error")).code == "training.exception"
