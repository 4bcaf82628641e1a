"""Which checkpoints of a run are whole, and which are kept.

A checkpoint is a folder ``step-00001000``. It is written under a hidden name and renamed when every byte is on the
disk, so a folder by that name is complete or was damaged later; ``.metadata`` (written last by
torch.distributed.checkpoint) and ``progress.json`` are looked for all the same, and ``progress.json`` holds length and
checksum of every other file.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STEP_FOLDER = re.compile(r"step-(\d{8,})")
PROGRESS = "progress.json"
"""Step, rows, tokens, layout, fingerprint and what the other files must be, readable without torch."""
METADATA = ".metadata"
PARTIAL = ".partial-"
"""Begins the name of a folder that is being written, or being deleted."""
CHUNK = 1 << 22


@dataclass(frozen=True)
class SavedCheckpoint:
    """A checkpoint on the disk."""

    step: int
    path: Path


@dataclass(frozen=True)
class FileFacts:
    """What a file must be to be the one that was written."""

    bytes: int
    crc32: int

    @classmethod
    def of(cls, path: Path) -> FileFacts:
        """As it is now; reads all of it.

        Raises:
            OSError: it cannot be read.
        """
        length = checksum = 0
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                length, checksum = length + len(chunk), zlib.crc32(chunk, checksum)
        return cls(length, checksum)


def folder_name(step: int) -> str:
    """The name a checkpoint of this step has."""
    return f"step-{step:08d}"


def step_folders(folder: Path) -> list[SavedCheckpoint]:
    """All that is named as a checkpoint in a run's ``checkpoints`` folder, whole or damaged, oldest first."""
    if not folder.is_dir():
        return []
    found = [
        SavedCheckpoint(int(match[1]), entry)
        for entry in folder.iterdir()
        if (match := STEP_FOLDER.fullmatch(entry.name))
    ]
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def complete_checkpoints(folder: Path) -> list[SavedCheckpoint]:
    """The complete checkpoints in a run's ``checkpoints`` folder, oldest first."""
    return [
        found
        for found in step_folders(folder)
        if (found.path / METADATA).is_file() and (found.path / PROGRESS).is_file()
    ]


def superfluous(
    checkpoints: Sequence[SavedCheckpoint], keep_last: int, keep_every: int | None
) -> list[SavedCheckpoint]:
    """Those of ``checkpoints``, oldest first, that are neither among the last ``keep_last`` nor of a step that is a
    multiple of ``keep_every``."""
    return [old for old in checkpoints[:-keep_last] if keep_every is None or old.step % keep_every]


def wrong_length(checkpoint: Path, files: Mapping[str, FileFacts]) -> str:
    """Which of the files is absent, short or long; empty if none is. Reads no file."""
    for name, facts in files.items():
        path = checkpoint / name
        if not path.is_file():
            return f"{name} is missing"
        if (length := path.stat().st_size) != facts.bytes:
            return f"{name} has {length} bytes, should have {facts.bytes}"
    return ""


def wrong_content(checkpoint: Path, files: Mapping[str, FileFacts]) -> str:
    """Which of the files is not what was written; empty if none is. Reads them.

    Raises:
        OSError: one cannot be read.
    """
    for name, facts in files.items():
        if FileFacts.of(checkpoint / name) != facts:
            return f"the checksum of {name} is wrong"
    return ""
