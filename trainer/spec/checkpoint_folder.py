"""Which checkpoints of a run are whole.

A checkpoint is a folder ``step-00001000``. It is written under a hidden name and renamed when every byte is on the
disk, so a folder by that name is complete or was damaged later; ``.metadata`` (written last by
torch.distributed.checkpoint) and ``progress.json`` are looked for all the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

STEP_FOLDER = re.compile(r"step-(\d{8,})")
PROGRESS = "progress.json"
"""Step, rows, tokens, layout and fingerprint, readable without torch."""
METADATA = ".metadata"


@dataclass(frozen=True)
class SavedCheckpoint:
    """A complete checkpoint."""

    step: int
    path: Path


def folder_name(step: int) -> str:
    """The name a checkpoint of this step has."""
    return f"step-{step:08d}"


def complete_checkpoints(folder: Path) -> list[SavedCheckpoint]:
    """The complete checkpoints in a run's ``checkpoints`` folder, oldest first."""
    if not folder.is_dir():
        return []
    found = [
        SavedCheckpoint(int(match[1]), entry)
        for entry in folder.iterdir()
        if (match := STEP_FOLDER.fullmatch(entry.name))
        and (entry / METADATA).is_file()
        and (entry / PROGRESS).is_file()
    ]
    return sorted(found, key=lambda checkpoint: checkpoint.step)
