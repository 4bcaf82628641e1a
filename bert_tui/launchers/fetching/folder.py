"""``~/.local/state/bert-tui/images/KEY/``: one job that fetches an image, and all that those who watch it share.

===============  =======================================================  ========================
file             what                                                     writer
===============  =======================================================  ========================
``order.json``   what was asked for (:class:`FetchOrder`)                 whoever starts the job
``lock``         held (flock) while the job lives                         whoever starts, the job
``cancel``       its presence asks the job to end                         the operator's programs
``status.json``  heartbeat and progress (:class:`FetchStatus`)            the job
``end.json``     how it ended (:class:`FetchEnd`)                         the job
``fetch.log``    what it prints                                           the job
===============  =======================================================  ========================

The key is made of the image or the file, so that each is fetched by one job at a time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bert_tui.job_folder import JobFolder
from bert_tui.launchers.fetching.progress import FetchProgress
from bert_tui.places import state_folder
from trainer.spec.problem import Problem


@dataclass(frozen=True)
class FetchOrder:
    """``order.json``. One of both is empty."""

    image: str = ""
    """Its full name, or ``bert-tui-cpu`` for the one that is built here."""
    file: str = ""
    """Absolute path of a file that ``docker save`` wrote."""

    @property
    def what(self) -> str:
        """As people name it."""
        return self.image or self.file


@dataclass(frozen=True)
class FetchStatus:
    """``status.json``."""

    pid: int
    host: str
    since: float
    """Unix time at which the job began."""
    heartbeat: int
    """Counts up each second while it lives."""
    progress: FetchProgress


@dataclass(frozen=True)
class FetchEnd:
    """``end.json``."""

    outcome: Literal["finished", "failed", "cancelled"]
    time: float
    problem: Problem | None = None
    images: tuple[str, ...] = ()
    """Names of what is here now."""


@dataclass(frozen=True)
class FetchFolder(JobFolder):
    """The names in the folder; the table above says what they are."""

    @property
    def cancel_request(self) -> Path:
        """Its presence asks the job to end."""
        return self.path / "cancel"

    @property
    def log(self) -> Path:
        """What the job prints."""
        return self.path / "fetch.log"


def folder_of(order: FetchOrder) -> FetchFolder:
    """Where the job of an order works, now or if it were started."""
    key = hashlib.sha256(f"{order.image}\0{order.file}".encode(errors="surrogateescape")).hexdigest()[:16]
    return FetchFolder(state_folder() / "images" / key)


def find_folders() -> list[FetchFolder]:
    """The jobs of this user, the last begun first."""
    found = []
    for path in (state_folder() / "images").glob("*/order.json"):
        try:
            found.append((path.stat().st_mtime, path.parent))
        except FileNotFoundError:  # another program clears up
            continue
    return [FetchFolder(path) for _, path in sorted(found, reverse=True)]
