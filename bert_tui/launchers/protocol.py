"""What every launcher can do. All calls are synchronous and bounded in time; callers on a screen use a thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from bert_tui.checks.check import Check
from trainer.spec.run_directory import AttemptDirectory

Handle = Mapping[str, Any]
"""What finds a started job again; JSON. Always has ``launcher``; docker adds ``container``, local ``pid`` and
``pid_started``, both the ``host``."""


@dataclass(frozen=True)
class Job:
    """One attempt, ready to be started."""

    attempt: AttemptDirectory
    device: Literal["cpu", "cuda"]
    gpus: tuple[str, ...]
    """UUIDs; empty on a CPU."""
    ranks: int
    threads: int
    image: str
    """Empty for ``local``."""
    readable: tuple[Path, ...]
    """Files and folders the trainer reads: code, data, sample index."""
    writable: tuple[Path, ...]
    """Folders it writes: the run directory, the run's TensorBoard folder."""
    stop_seconds: int
    """How long a stop may take before it is cut short: 30 s and twice the time of a checkpoint."""


@dataclass(frozen=True)
class Alive:
    """It runs."""


@dataclass(frozen=True)
class Exited:
    """It ended."""

    code: int | None
    out_of_memory: bool = False


@dataclass(frozen=True)
class Unknown:
    """It could not be told: other host, engine not answering."""

    reason: str


Probe = Alive | Exited | Unknown


@dataclass(frozen=True)
class Step:
    """Progress of preparing an image, for the screen."""

    detail: str
    done: float | None = None
    total: float | None = None
    unit: str = ""


class Launcher(Protocol):
    """Starts attempts and finds them again."""

    name: str

    def check(self, gpus_wanted: bool, image: str) -> list[Check]:
        """Whether this launcher could start a run here."""

    def prepare_image(self, image: str, gpus_wanted: bool, report: Callable[[Step], None]) -> tuple[str, str]:
        """Pulls or builds what is needed; gives the image's name and id (both empty where there is none).

        ``image`` is the preset's ``launch.image``: "auto" becomes NVIDIA's image for the driver, or the CPU image.

        Raises:
            EnvironmentRefused: it cannot be had; names what to do.
        """

    def describe(self, job: Job) -> str:
        """The command line that :meth:`start` amounts to, to be read, copied and run."""

    def start(self, job: Job, record: Callable[[Handle, tuple[str, ...]], None]) -> Handle:
        """Starts the supervisor, detached. ``record`` gets the handle and notices (what was done otherwise than
        asked) before anything runs, so that nothing runs unrecorded; where the id is known only afterwards, at once.

        Raises:
            EnvironmentRefused: it could not be started; nothing is left behind.
        """

    def probe(self, handle: Handle) -> Probe:
        """Whether it runs."""

    def kill(self, handle: Handle) -> None:
        """Ends it at once, without a checkpoint."""

    def remove(self, handle: Handle) -> None:
        """Clears away what an ended job left in the engine. Nothing to do is no error."""
