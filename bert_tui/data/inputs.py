"""From what the operator typed to files of text, in an order that is always the same, and what kind each is."""

from __future__ import annotations

import glob
import math
import re
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bert_tui.data.compression import Compression, Opened, compression_of, is_damage
from bert_tui.data.order import BuildOrder
from trainer.spec.problem import DatasetError, Problem

TextKind = Literal["json", "text", "file"]
HEAD = 1 << 16
"""Bytes of content by which a file's kind is told."""
JSON_BEGINNING = re.compile(rb'(?:\xef\xbb\xbf)?\s*\[?\s*\{\s*["}]')
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class InputFile:
    """A file of text."""

    path: Path
    size: int
    """Bytes on the disk."""
    modified: int
    """Time of its last change, in nanoseconds."""
    compression: Compression
    kind: TextKind


def find_files(order: BuildOrder, *, until: float = math.inf) -> list[Path]:
    """The files that the inputs of an order mean, each once: the inputs in their order, what is in a folder or fits a
    pattern sorted by name. Hidden files in folders and what this build makes itself are passed over.

    Raises:
        DatasetError: names every input where there is nothing.
        TimeoutError: not all folders were read by the time ``until`` (of ``time.monotonic``).
    """
    found: dict[Path, None] = {}
    missing = []
    for text in order.inputs:
        files = [path for path in _files_of(text, until) if not _is_made_by(order, path)]
        found |= dict.fromkeys(files)
        if not files:
            missing.append(Problem("build.nothing_found", text))
    if missing:
        raise DatasetError(*missing)
    return list(found)


def look_at(path: Path, order: BuildOrder) -> InputFile | None:
    """What a file is; None if it is empty.

    Raises:
        DatasetError: it is not readable, no plain file, damaged, or holds no text.
    """
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise DatasetError(Problem("build.no_file", str(path)))
        compression = compression_of(path)
        with Opened(path, compression) as opened:
            head = opened.stream.read(HEAD)
    except Exception as error:
        if not is_damage(error):
            raise
        raise DatasetError(damaged(path, error)) from error
    if not head:
        return None
    if b"\0" in head or head.startswith(UTF16_MARKS):
        raise DatasetError(Problem("build.not_text", str(path)))
    return InputFile(path, facts.st_size, facts.st_mtime_ns, compression, _kind(head, order))


def damaged(path: Path, error: BaseException) -> Problem:
    """The refusal of a file that cannot be read to its end."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Problem("build.damaged", str(path), "", {"reason": reason})


def _kind(head: bytes, order: BuildOrder) -> TextKind:
    if order.format != "auto":
        return order.format
    if JSON_BEGINNING.match(head):
        return "json"
    return "text" if order.markup == "keep" else "file"


def _files_of(text: str, until: float) -> Iterable[Path]:
    path = Path(text)
    if path.is_dir():
        return _inside(path, until)
    if path.exists():
        return [path]
    matches = map(Path, glob.glob(text, recursive=True))  # noqa: PTH207 (a whole path with the pattern in it)
    return sorted(path for path in matches if not path.is_dir())


def _inside(folder: Path, until: float) -> Iterator[Path]:
    """Every file in a folder and in those below, by name."""
    if time.monotonic() > until:
        raise TimeoutError(str(folder))
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _inside(entry, until)
        else:
            yield entry


def _is_made_by(order: BuildOrder, path: Path) -> bool:
    """Whether a file is part of what the build makes, which may lie among its inputs."""
    made = [order.trained_vocabulary, order.summary]
    made += [Path(f"{order.prefix(key)}{ending}") for key in order.json_keys for ending in (".bin", ".idx")]
    return path in made or order.folder in path.parents
