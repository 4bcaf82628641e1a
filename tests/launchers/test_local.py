"""The launcher ``local`` with real processes."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bert_tui.launchers import launcher_named, local
from bert_tui.launchers.local import LocalLauncher
from bert_tui.launchers.protocol import Alive, Exited, Handle, Job, Unknown
from bert_tui.processes import is_alive, started
from trainer.spec.problem import EnvironmentRefused
from trainer.spec.run_directory import RunDirectory

PROGRAM = """
import os, sys, time
print(sys.argv[1], os.environ["CUDA_VISIBLE_DEVICES"], os.getcwd(), os.getsid(0) == os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job whose supervisor is a small program."""
    run = RunDirectory(tmp_path / "a run")
    attempt = run.attempt(1)
    attempt.path.mkdir(parents=True)
    package = run.code / "trainer"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "supervise.py").write_text(PROGRAM)
    return Job(attempt, "cuda", ("GPU-1", "GPU-2"), 2, 1, "", (), (), 30)


@pytest.fixture
def handle(job: Job) -> Iterator[Handle]:
    recorded: list[Handle] = []
    handle = LocalLauncher().start(job, lambda handle, notices: recorded.append(handle))
    assert recorded == [handle]
    yield handle
    LocalLauncher().kill(handle)


def words(job: Job) -> str:
    """What the program printed, once it has."""
    until = time.monotonic() + 10
    while not (text := job.attempt.supervisor_log.read_text()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return text


def expected(job: Job) -> str:
    return f"{job.attempt.path} GPU-1,GPU-2 {job.attempt.run.path} True\n"


def test_the_supervisor_runs_in_a_session_of_its_own(job: Job, handle: Handle) -> None:
    assert words(job) == expected(job)
    assert LocalLauncher().probe(handle) == Alive()


def test_the_printed_line_does_the_same(job: Job) -> None:
    line = LocalLauncher().describe(job)
    process = subprocess.Popen(shlex.split(line), stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == expected(job)
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_killed_process_is_known_to_be_gone(job: Job, handle: Handle) -> None:
    LocalLauncher().kill(handle)
    assert LocalLauncher().probe(handle) == Exited(None)
    LocalLauncher().kill(handle)  # and once more is no error
    LocalLauncher().remove(handle)


def test_a_zombie_has_exited() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    began = started(child.pid)
    assert began is not None
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(child.pid, began)
    child.wait()


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"pid_started": 1.0}, Exited(None)),  # the id is somebody else's now
        ({"boot_id": "before"}, Exited(None)),
        ({"pid_started": None}, Exited(None)),
        ({"pid": "x"}, Exited(None)),
        ({"host": "node7"}, Unknown),
    ],
)
def test_only_the_very_process_is_alive(handle: Handle, changes: Mapping[str, Any], answer: Any) -> None:
    seen = LocalLauncher().probe({**handle, **changes})
    assert seen == answer or (answer is Unknown and isinstance(seen, Unknown) and "node7" in seen.reason)


def test_what_runs_elsewhere_is_not_killed(handle: Handle) -> None:
    with pytest.raises(EnvironmentRefused, match="node7"):
        LocalLauncher().kill({**handle, "host": "node7"})
    assert LocalLauncher().probe(handle) == Alive()


def test_a_closed_terminal_does_not_reach_it(job: Job) -> None:
    """A process that starts the job and dies with its whole process group leaves the job running."""
    script = (
        "import sys, os, signal, json\n"
        "from pathlib import Path\n"
        "from bert_tui.launchers.local import LocalLauncher\n"
        "from bert_tui.launchers.protocol import Job\n"
        "from trainer.spec.run_directory import AttemptDirectory\n"
        "job = Job(AttemptDirectory(Path(sys.argv[1])), 'cpu', (), 1, 1, '', (), (), 30)\n"
        "print(json.dumps(LocalLauncher().start(job, lambda handle, notices: None)), flush=True)\n"
        "os.killpg(0, signal.SIGHUP)\n"
    )
    repository = str(Path(local.__file__).parent.parent.parent)
    starter = subprocess.run(
        [sys.executable, "-c", script, str(job.attempt.path)],
        env=os.environ | {"PYTHONPATH": repository},
        stdout=subprocess.PIPE,
        start_new_session=True,
        timeout=30,
        check=False,
    )
    assert starter.returncode == -signal.SIGHUP
    handle = json.loads(starter.stdout)
    assert LocalLauncher().probe(handle) == Alive()
    LocalLauncher().kill(handle)


def test_torch_is_looked_up_without_being_imported() -> None:
    code = (
        "import sys; from bert_tui.launchers.local import LocalLauncher;"
        "print(LocalLauncher().check(False, 'auto')[0].answer, 'torch' in sys.modules)"
    )
    repository = str(Path(local.__file__).parent.parent.parent)
    seen = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": repository},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert seen.stdout.split()[1] == "False"


@pytest.mark.parametrize(
    ("version", "gpus_wanted", "answer", "code"),
    [
        (None, False, "fail", "package.missing"),
        ("2.5.1", False, "fail", "package.old"),
        ("2.6.0+cpu", False, "pass", None),
        ("2.13.0+cpu", True, "fail", None),
        ("2.13.0", True, "pass", None),
    ],
)
def test_a_missing_or_old_torch_is_refused_with_what_to_type(
    monkeypatch: pytest.MonkeyPatch, version: str | None, gpus_wanted: bool, answer: str, code: str | None
) -> None:
    monkeypatch.setattr(local, "torch_version", lambda: version)
    (check,) = LocalLauncher().check(gpus_wanted, "auto")
    assert check.answer == answer
    assert (f"{sys.executable} -m pip install 'torch>=" in check.repair) == (answer == "fail")
    if code is None:
        assert LocalLauncher().prepare_image("auto", gpus_wanted, lambda step: None) == ("", "")
    else:
        with pytest.raises(EnvironmentRefused) as refused:
            LocalLauncher().prepare_image("auto", gpus_wanted, lambda step: None)
        assert refused.value.problems[0].code == code


def test_launchers_go_by_name() -> None:
    assert launcher_named("local").name == "local"
    with pytest.raises(ValueError, match="slurm"):
        launcher_named("slurm")
