"""The supervisor as a process, over a real torchrun, with a small program in place of the trainer."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import trainer
from tests.trainer.small_run import small_preset, write_attempt, write_dataset
from trainer.process_tree import family
from trainer.spec.preset import Preset
from trainer.spec.preset import replace as replace_settings
from trainer.spec.records import Exit, Status, read_record
from trainer.spec.resolved import Resolved, read_resolved, render_resolved
from trainer.spec.run_directory import AttemptDirectory, RunDirectory
from trainer.spec.run_lock import take_lock
from trainer.supervise import environment

pytestmark = pytest.mark.timeout(120)

RESOLVED = Resolved(
    run_id="20260101-120000-test-0000",
    preset_name="test",
    device="cpu",
    ranks=2,
    threads=1,
    gpus=(),
    data_path=("/nowhere",),
    data_fingerprint="",
    vocab_sha256="",
    image="",
    image_id="",
    code_sha256="",
    program_version="",
)

PROGRAM = """
import json, os, sys, time
from pathlib import Path
from trainer.process_tree import die_with_parent
from trainer.spec.records import Progress, to_json
from trainer.spec.run_directory import AttemptDirectory, write_whole

die_with_parent()
attempt, rank = AttemptDirectory(Path(sys.argv[1])), int(os.environ["RANK"])

def at(step, total=10):
    if rank == 0:
        write_whole(attempt.progress, to_json(Progress("train", 0.0, step, total, 0, 0, 0, 0.0)))

def until_stopped():
    while not attempt.stop_request.exists():
        time.sleep(0.05)

def fails(code, reason):
    problem = {"code": code, "where": "here", "value": "", "params": {"reason": reason}}
    record = {"problem": problem, "message": reason, "traceback": "", "time": time.time()}
    (attempt.rank_errors / f"{rank}.error.json").write_text(json.dumps(record))
    sys.exit(1)

line = f"rank {rank} home {os.environ['HOME']} threads {os.environ['OMP_NUM_THREADS']}\\n"
os.write(1, line.encode())  # at once: the ranks share the log
"""


@dataclass
class Scratch:
    """A run directory whose trainer is a small program."""

    attempt: AttemptDirectory

    def program(self, text: str) -> None:
        (self.attempt.run.code / "trainer" / "__main__.py").write_text(PROGRAM + text)

    def resolve(self, resolved: Resolved) -> None:
        self.attempt.preset.write_text(render_resolved(replace_settings(Preset(), train__micro_batch=1), resolved, ""))

    def start(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {"PYTHONPATH": str(self.attempt.run.code), "PYTHONSAFEPATH": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", "trainer.supervise", str(self.attempt.path)],
            env=environment,
            cwd=self.attempt.run.path,
            stderr=subprocess.PIPE,
        )

    def wait_for_step(self) -> None:
        self.wait_for(lambda: self.attempt.progress.exists())

    def wait_for(self, wanted: object) -> None:
        until = time.monotonic() + 60
        while not wanted():  # type: ignore[operator]
            assert time.monotonic() < until, self.log
            time.sleep(0.05)

    @property
    def log(self) -> str:
        return self.attempt.log.read_text() if self.attempt.log.exists() else ""

    @property
    def exit(self) -> Exit:
        exit = read_record(Exit, self.attempt.exit)
        assert exit is not None, self.log
        return exit


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    attempt = RunDirectory(tmp_path / RESOLVED.run_id).attempt(1)
    for folder in (attempt.control, attempt.telemetry, attempt.rank_errors):
        folder.mkdir(parents=True)
    shutil.copytree(Path(trainer.__file__).parent, attempt.run.code / "trainer")
    made = Scratch(attempt)
    made.resolve(RESOLVED)
    return made


def test_a_run_that_reaches_its_last_step_is_finished(scratch: Scratch) -> None:
    scratch.program("at(10)")
    assert scratch.start().wait(60) == 0
    assert (scratch.exit.outcome, scratch.exit.step) == ("finished", 10)
    status = read_record(Status, scratch.attempt.status)
    assert status is not None
    assert (status.state, status.phase) == ("ended", "end")
    assert f"rank 1 home {scratch.attempt.run.cache} threads 1" in scratch.log
    assert "preflight: torch" in scratch.log


def test_sigterm_is_a_request_to_stop(scratch: Scratch) -> None:
    scratch.program("at(3)\nuntil_stopped()\nat(4)")
    process = scratch.start()
    scratch.wait_for_step()
    process.terminate()
    assert process.wait(60) == 0
    assert (scratch.exit.outcome, scratch.exit.step) == ("stopped", 4)
    assert scratch.attempt.stop_request.exists()


def test_a_stop_during_the_preflight_ends_it(scratch: Scratch) -> None:
    scratch.program("at(10)")
    scratch.attempt.stop_request.touch()
    assert scratch.start().wait(60) == 0
    assert scratch.exit.outcome == "stopped"
    assert not scratch.attempt.progress.exists()


@pytest.mark.parametrize(
    ("text", "code", "rank"),
    [
        ("at(3)", "end.unfinished", None),
        ("sys.exit(7) if rank == 1 else time.sleep(60)", "end.rank_status", 1),
        ("os.kill(os.getpid(), 11) if rank == 1 else time.sleep(60)", "end.rank_killed", 1),
        ("fails('training.out_of_memory', 'x') if rank == 1 else time.sleep(60)", "training.out_of_memory", 1),
        # a killed peer outweighs the exception that its end caused elsewhere
        ("os.kill(os.getpid(), 9) if rank == 1 else fails('training.exception', 'lost')", "end.rank_killed", 1),
    ],
)
def test_a_failure_is_told_by_its_first_cause(scratch: Scratch, text: str, code: str, rank: int | None) -> None:
    scratch.program(text)
    assert scratch.start().wait(60) == 1
    assert scratch.exit.problem is not None
    assert (scratch.exit.outcome, scratch.exit.problem.code, scratch.exit.rank) == ("failed", code, rank)


def test_a_killed_supervisor_takes_every_process_along(scratch: Scratch) -> None:
    scratch.program("at(3)\ntime.sleep(100)")
    process = scratch.start()
    scratch.wait_for_step()
    pids = [member.pid for member in family(process.pid)]
    assert len(pids) == 4  # supervisor, torchrun, two ranks
    process.kill()
    process.wait()
    scratch.wait_for(lambda: not any(family(pid) for pid in pids))


def test_fewer_gpus_than_asked_for_are_refused_before_training(scratch: Scratch) -> None:
    scratch.program("at(10)")
    scratch.resolve(replace(RESOLVED, device="cuda", gpus=("GPU-0", "GPU-1")))
    assert scratch.start().wait(60) == 1
    problem = scratch.exit.problem
    assert problem is not None
    assert problem.english == "asked for 2 GPUs, the container sees 0"
    assert not scratch.attempt.progress.exists()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("raise ModuleNotFoundError('no', name='tensorboard')", "package.missing"),
        ("raise ImportError('libfoo.so: not found')", "package.broken"),
    ],
)
def test_a_package_that_cannot_be_had_is_named(scratch: Scratch, content: str, code: str) -> None:
    scratch.program("at(10)")
    (scratch.attempt.run.code / "tensorboard.py").write_text(content)
    assert scratch.start().wait(60) == 1
    problem = scratch.exit.problem
    assert problem is not None
    assert (problem.code, problem.value) == (code, "tensorboard")


def test_an_attempt_that_cannot_be_read_fails_by_name(scratch: Scratch) -> None:
    scratch.attempt.preset.write_text("schema = 1\n")
    assert scratch.start().wait(60) == 1
    assert scratch.exit.problem is not None
    assert scratch.exit.problem.code == "run.unresolved"


def test_the_lock_admits_one_trainer(scratch: Scratch) -> None:
    scratch.program("at(10)")
    lock = take_lock(scratch.attempt, "supervisor")
    second = scratch.start()
    assert second.wait(60) == 1
    assert second.stderr is not None
    assert f"process {os.getpid()}".encode() in second.stderr.read()
    assert not scratch.attempt.exit.exists()  # this attempt goes on; only the second process was too many
    lock.release()


def test_another_attempts_lock_ends_this_one(scratch: Scratch) -> None:
    lock = take_lock(scratch.attempt.run.attempt(7), "supervisor")
    assert scratch.start().wait(60) == 1
    lock.release()
    assert scratch.exit.problem is not None
    assert scratch.exit.problem.code == "run.locked"


def test_an_attempt_that_has_ended_is_not_started_again(scratch: Scratch) -> None:
    scratch.program("at(10)")
    scratch.attempt.exit.write_text(json.dumps({}))
    assert scratch.start().wait(60) == 1
    assert not scratch.attempt.status.exists()


def test_a_closed_terminal_is_no_reason_to_stop(scratch: Scratch) -> None:
    scratch.program("at(3)\nuntil_stopped()\nat(10)")
    process = scratch.start()
    scratch.wait_for_step()
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    scratch.attempt.stop_request.touch()
    assert process.wait(60) == 0
    assert scratch.exit.outcome == "finished"


@pytest.mark.parametrize(("shard", "queues"), [("none", "1"), ("full", "32")])
def test_shards_are_not_gathered_in_the_queue_that_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shard: str, queues: str
) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=0")
    write_dataset(tmp_path)
    attempt = write_attempt(tmp_path, 1, small_preset(tmp_path, parallel__data=2, parallel__shard=shard))
    exported = environment(attempt, *read_resolved(attempt.preset))
    assert exported["CUDA_DEVICE_MAX_CONNECTIONS"] == queues
    assert exported["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=0"  # the operator's own
