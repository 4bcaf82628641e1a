"""Loading images from a file that ``docker save`` wrote: the way into a closed network."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bert_tui.launchers.engine import engine_errors, explain
from bert_tui.launchers.fetching.progress import FetchProgress, LayerTable
from bert_tui.launchers.fetching.pulling import Report
from bert_tui.launchers.fetching.room import image_disk, require_room
from bert_tui.pace import Pace
from trainer.spec.problem import EnvironmentRefused, Problem

CHUNK = 1 << 20
HEAD = 512
PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\x00": "xz", b"BZh": "bzip2"}
"""First bytes of the ways of packing that engines unpack themselves."""
LOADED = ("Loaded image: ", "Loaded image ID: ")


@dataclass(frozen=True)
class Archive:
    """A file that may hold images."""

    size: int
    """Bytes."""
    packing: str
    """As in :data:`PACKED`; empty for a plain .tar."""


def require_archive(path: Path) -> Archive:
    """The file, where it may be what ``docker save`` wrote.

    Raises:
        EnvironmentRefused: it is absent, no plain file, empty, may not be read, or is no archive.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise _unfit(path, "it is not a plain file")
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise _unfit(path, error.strerror or str(error)) from error
    if not head:
        raise _unfit(path, "it is empty")
    packing = next((name for first, name in PACKED.items() if head.startswith(first)), "")
    if not packing and head[257:262] != b"ustar":
        raise _unfit(path, "it is no .tar, .tar.gz or .tar.zst")
    return Archive(found.st_size, packing)


def load(client: Any, path: Path, report: Report) -> tuple[str, ...]:
    """Loads what is in the file; gives the names of the images, or their ids where they have none.

    Raises:
        EnvironmentRefused: the file is no archive of images or is cut off, or there is too little room.
    """
    archive = require_archive(path)
    with engine_errors():
        require_room(archive.size, image_disk(client.info()))
        loaded: list[str] = []
        layers = LayerTable()
        for event in client.load_image(_read(path, archive.size, report), quiet=False):
            if "error" in event:
                raise EnvironmentRefused(_meaning(path, archive, event["error"]))
            loaded += _loaded(str(event.get("stream", "")))
            layers.note(event)
            report(replace(layers.progress(), phase="unpack"))
    if not loaded:
        raise _unfit(path, "there is no image in it")
    return tuple(loaded)


def _read(path: Path, size: int, report: Report) -> Iterator[bytes]:
    """The bytes of the file, reported as they go."""
    pace, done = Pace(), 0
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        while chunk := file.read(CHUNK):
            yield chunk
            done += len(chunk)
            rate = pace.rate(done)
            left = (size - done) / rate if rate else None
            report(FetchProgress("read", done, size, rate, left, moved=time.time()))


def _loaded(line: str) -> list[str]:
    return [line.removeprefix(start).strip() for start in LOADED if line.startswith(start)]


def _meaning(path: Path, archive: Archive, message: str) -> Problem:
    """What the engine finds wrong with the file; what has nothing to do with it is explained as ever."""
    known = explain(message)
    if known.code in ("docker.disk_full", "docker.silent"):
        return known
    if archive.packing == "zstd" and "invalid tar header" in message:
        message = f"this Docker Engine cannot unpack zstd, as 23 and later can; type 'zstd -d {path}', load the .tar"
    return _unfit(path, message).problems[0]


def _unfit(path: Path, reason: str) -> EnvironmentRefused:
    return EnvironmentRefused(Problem("image.file", str(path), "", {"reason": reason}))
