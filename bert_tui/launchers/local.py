"""The launcher ``local``: the supervisor as a detached process of this machine, with this program's own Python."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shlex
import sys
import time
from collections.abc import Callable

from bert_tui.checks.check import Check
from bert_tui.invocation import python
from bert_tui.launchers.protocol import Alive, Exited, Handle, Job, Probe, Step, Unknown
from bert_tui.processes import boot_id, host_name, is_alive, kill, spawn_detached, started
from trainer.spec.problem import EnvironmentRefused, Problem
from trainer.spec.requirements import floor_text, torch_is_old

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""PyTorch's own index has a build without CUDA, about a tenth of the size."""
KILL_SECONDS = 10.0


class LocalLauncher:
    """See :class:`bert_tui.launchers.protocol.Launcher`. Holds no state: a handle finds the process again."""

    name = "local"

    def check(self, gpus_wanted: bool, image: str) -> list[Check]:
        """Whether torch is there. It is not imported: that takes seconds, and its version is on record."""
        return [_check_torch(gpus_wanted)]

    def prepare_image(self, image: str, gpus_wanted: bool, report: Callable[[Step], None]) -> tuple[str, str]:
        """There is no image. A torch that cannot train is refused here, before anything is started.

        Raises:
            EnvironmentRefused: no torch, or one that is too old.
        """
        version = torch_version()
        if version is None:
            raise EnvironmentRefused(Problem("package.missing", sys.executable, "torch"))
        if torch_is_old(version):
            raise EnvironmentRefused(Problem("package.old", sys.executable, version, {"floor": floor_text()}))
        return "", ""

    def describe(self, job: Job) -> str:
        """One line for a shell; it stays in the foreground."""
        settings = [f"{name}={value}" for name, value in _settings(job).items()]
        return shlex.join(["env", f"--chdir={job.attempt.run.path}", *settings, *_command(job)])

    def start(self, job: Job, record: Callable[[Handle, tuple[str, ...]], None]) -> Handle:
        """Starts the supervisor in a session of its own. Its id is known only then, and recorded at once; a starter
        that dies in between leaves a supervisor that status.json and the lock still tell of.

        Raises:
            EnvironmentRefused: the process could not be started.
        """
        try:
            pid = spawn_detached(
                _command(job),
                directory=job.attempt.run.path,
                environment=os.environ | _settings(job),
                log=job.attempt.supervisor_log,
            )
        except OSError as error:
            where = error.filename or sys.executable
            raise EnvironmentRefused(Problem("start.os", str(where), "", {"reason": str(error.strerror)})) from error
        handle = {
            "launcher": self.name,
            "host": host_name(),
            "boot_id": boot_id(),
            "pid": pid,
            "pid_started": started(pid),
        }
        record(handle, ())
        return handle

    def probe(self, handle: Handle) -> Probe:
        """By process id and start time; only the machine it was started on can tell."""
        if handle.get("host") != host_name():
            return Unknown(f"it was started on {handle.get('host')}, this is {host_name()}")
        if handle.get("boot_id") != boot_id():
            return Exited(None)
        if not isinstance(handle.get("pid"), int) or not isinstance(handle.get("pid_started"), float):
            return Exited(None)  # it was gone before its start time could be read
        return Alive() if is_alive(handle["pid"], handle["pid_started"]) else Exited(None)

    def kill(self, handle: Handle) -> None:
        """Kills the supervisor; the kernel then ends torchrun and the ranks (trainer.process_tree).

        Raises:
            EnvironmentRefused: it runs elsewhere, is somebody else's, or does not go.
        """
        if isinstance(answer := self.probe(handle), Unknown):
            raise EnvironmentRefused(Problem("kill.unreachable", "", str(handle.get("pid")), {"reason": answer.reason}))
        if isinstance(answer, Exited):
            return
        try:
            kill(handle["pid"], handle["pid_started"])
        except PermissionError as error:
            reason = {"reason": "it was started by another user"}
            raise EnvironmentRefused(Problem("kill.unreachable", "", str(handle["pid"]), reason)) from error
        until = time.monotonic() + KILL_SECONDS
        while isinstance(self.probe(handle), Alive):
            if time.monotonic() > until:
                reason = {"reason": f"it still runs {KILL_SECONDS:g} s after the kill"}
                raise EnvironmentRefused(Problem("kill.unreachable", "", str(handle["pid"]), reason))
            time.sleep(0.05)

    def remove(self, handle: Handle) -> None:
        """A process leaves nothing behind."""


def torch_version() -> str | None:
    """The version of the torch this Python would import, without importing it; None where there is none."""
    if importlib.util.find_spec("torch") is None:
        return None
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"


def _check_torch(gpus_wanted: bool) -> Check:
    name, title, version = "local.torch", "PyTorch beside this program", torch_version()
    install = f"{python()} -m pip install 'torch>={floor_text()}'"
    repair = f"Type: {install}" + ("" if gpus_wanted else f" --index-url {CPU_INDEX}   (the small build without CUDA)")
    if version is None:
        meaning = f"The launcher 'local' trains with it. {sys.executable} has none."
        return Check(name, title, "fail", "not installed", meaning, repair)
    if torch_is_old(version):
        meaning = f"The oldest version that works is {floor_text()}."
        return Check(name, title, "fail", f"torch {version}", meaning, repair)
    if gpus_wanted and version.endswith("+cpu"):
        meaning = "This build knows no GPU."
        repair = f"Type: {python()} -m pip uninstall -y torch; then: {install}"
        return Check(name, title, "fail", f"torch {version}", meaning, repair)
    return Check(name, title, "pass", f"torch {version}")


def _command(job: Job) -> list[str]:
    return [sys.executable, "-m", "trainer.supervise", str(job.attempt.path)]


def _settings(job: Job) -> dict[str, str]:
    """The run's own copy of the trainer is found first, and nothing in the folder it is started from."""
    return {
        "PYTHONPATH": str(job.attempt.run.code),
        "PYTHONSAFEPATH": "1",
        "CUDA_VISIBLE_DEVICES": ",".join(job.gpus),
    }
