"""The names inside a run directory, and how a file in it is written whole.

The directory is all that the screen and the trainer share. Every file has exactly one writer (``docs/architecture.md``
has the table); a file that is replaced is written beside, synced and renamed, so a reader sees the old or the new one.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RUN_ID = re.compile(r"\d{8}-\d{6}-[a-z0-9][a-z0-9_.-]*-[0-9a-f]{4}")
"""YYYYMMDD-HHMMSS-preset-xxxx; also valid as a container's name."""
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where there is no room left, on the disk or for this user."""


@dataclass(frozen=True)
class AttemptDirectory:
    """``attempts/NNN``: one start of a run."""

    path: Path

    @property
    def number(self) -> int:
        """1 for the first start, 2 for the first resume."""
        return int(self.path.name)

    @property
    def run(self) -> RunDirectory:
        """The run it belongs to."""
        return RunDirectory(self.path.parent.parent)

    @property
    def request(self) -> Path:
        """Whoever asked for the attempt, once (records.Request)."""
        return self.path / "request.json"

    @property
    def preset(self) -> Path:
        """Starter, once: what this attempt runs, complete (resolved.read_resolved). All that the trainer reads."""
        return self.path / "attempt.toml"

    @property
    def preparation(self) -> Path:
        """Starter: what it is doing before there is a supervisor (records.Preparation)."""
        return self.path / "preparation.json"

    @property
    def starter_log(self) -> Path:
        """Starter: its own output and the image build's."""
        return self.path / "starter.log"

    @property
    def supervisor_log(self) -> Path:
        """Supervisor started by ``local``: its own few words; in a container they are the container's log."""
        return self.path / "supervisor.log"

    @property
    def launch(self) -> Path:
        """Starter: what was started (records.Launch)."""
        return self.path / "launch.json"

    @property
    def status(self) -> Path:
        """Supervisor: state, phase and heartbeat (records.Status)."""
        return self.path / "status.json"

    @property
    def progress(self) -> Path:
        """Rank 0: step, losses, speed (records.Progress)."""
        return self.path / "progress.json"

    @property
    def control(self) -> Path:
        """Folder of requests; whoever may write creates files in it."""
        return self.path / "control"

    @property
    def stop_request(self) -> Path:
        """Its presence asks: save, then end."""
        return self.control / "stop"

    @property
    def checkpoint_request(self) -> Path:
        """Its presence asks: save, and go on. Rank 0 removes it when the checkpoint is there."""
        return self.control / "checkpoint"

    @property
    def telemetry(self) -> Path:
        """Folder of device readings, one ``NODE.jsonl`` a node."""
        return self.path / "telemetry"

    @property
    def rank_errors(self) -> Path:
        """Folder of ``N.error.json``: the exception that ended rank N."""
        return self.path / "ranks"

    @property
    def micro_batch(self) -> Path:
        """Supervisor, once: what an automatic micro batch became (records.MicroBatchChoice)."""
        return self.path / "micro_batch.json"

    @property
    def trial(self) -> Path:
        """Folder of the trials of micro batches, one numbered folder each: ``tried.jsonl`` by rank 0, and errors."""
        return self.path / "trial"

    @property
    def log(self) -> Path:
        """Supervisor: what the ranks print."""
        return self.path / "train.log"

    @property
    def exit(self) -> Path:
        """Whoever sees the end first, once (records.Exit)."""
        return self.path / "exit.json"


@dataclass(frozen=True)
class RunDirectory:
    """``CHECKPOINT_PATH/RUN_ID``: one training with all its attempts."""

    path: Path

    @property
    def id(self) -> str:
        """The run's name."""
        return self.path.name

    @property
    def request(self) -> Path:
        """Whoever asked for the run, once: the preset as it was asked for."""
        return self.path / "preset.toml"

    @property
    def preset(self) -> Path:
        """Starter, once: the first attempt's preset with ``[resolved]``; replays the run."""
        return self.path / "run.toml"

    @property
    def code(self) -> Path:
        """Starter: the trainer package as it was, and pynvml; every attempt runs this copy."""
        return self.path / "code"

    @property
    def vocabulary(self) -> Path:
        """Starter: a copy of the vocabulary."""
        return self.path / "vocab.txt"

    @property
    def lock(self) -> Path:
        """Held (flock) by the starter while it prepares and by the supervisor while it lives; names its holder."""
        return self.path / "lock"

    @property
    def metrics(self) -> Path:
        """Rank 0: one record a step (metrics_file)."""
        return self.path / "metrics.bin"

    @property
    def checkpoints(self) -> Path:
        """Rank 0: ``step-00001000`` folders (checkpoint_folder)."""
        return self.path / "checkpoints"

    @property
    def cache(self) -> Path:
        """HOME, TMPDIR and compile caches of the trainer."""
        return self.path / "cache"

    @property
    def data_cache(self) -> Path:
        """Beside the runs: built datasets and sample indexes that this user's runs share, one folder a fingerprint.

        Private like the runs, so each user of one CHECKPOINT_PATH has a folder of their own.
        """
        return self.path.parent / f".cache-{os.getuid()}" / "data"

    def attempt(self, number: int) -> AttemptDirectory:
        """The directory of one attempt, there or not."""
        return AttemptDirectory(self.path / "attempts" / f"{number:03d}")

    def attempts(self) -> Iterator[AttemptDirectory]:
        """The attempts that are there, first to last."""
        folder = self.path / "attempts"
        names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
        yield from (AttemptDirectory(folder / name) for name in names if re.fullmatch(r"\d{3,}", name))

    def latest(self) -> AttemptDirectory | None:
        """The last attempt."""
        return max(self.attempts(), key=lambda attempt: attempt.number, default=None)


def write_whole(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Replaces ``path`` at once: readers see the old text or the new, also after a power cut."""
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).chmod(mode)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write_once(path: Path, text: str, *, mode: int = 0o600) -> bool:
    """Creates ``path`` with this text unless it is there; says whether it did. The first of several callers wins."""
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).chmod(mode)
        try:
            os.link(beside, path)
        except FileExistsError:
            return False
    finally:
        Path(beside).unlink(missing_ok=True)
    sync_directory(path.parent)
    return True


def sync_directory(path: Path) -> None:
    """Makes renames and new names inside ``path`` last."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
