"""Folders of files that are complete or absent: built beside under a hidden name, then renamed."""

from __future__ import annotations

import glob
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainer.spec.run_directory import sync_directory

ABANDONED_SECONDS = 24 * 3600
"""No build takes so long: a hidden folder this old was left by a builder that was killed."""


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder to build ``folder`` in. It is renamed when the block ends, and removed if the block fails. Where
    somebody else was faster, theirs stays: both are the same to the byte. The files must be synced by then."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(folder)
    beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield beside
        _publish(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _publish(beside: Path, folder: Path) -> None:
    beside.chmod(0o755)
    sync_directory(beside)
    try:
        beside.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
    sync_directory(folder.parent)


def _remove_abandoned(folder: Path) -> None:
    for hidden in folder.parent.glob(f".{glob.escape(folder.name)}.*"):
        if hidden.is_dir() and time.time() - hidden.stat().st_mtime > ABANDONED_SECONDS:
            shutil.rmtree(hidden, ignore_errors=True)  # another builder may be removing it
