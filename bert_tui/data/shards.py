"""Cutting the input into shards: what one worker does in one go, and what an interrupted build need not do again.

Cuts depend on the input alone, not on the number of workers, and fall between documents. Files that lie open are cut
inside; a packed file can only be read from its beginning and stays whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bert_tui.data.compression import Compression
from bert_tui.data.inputs import InputFile, TextKind

SHARD_BYTES = 8 << 20
"""On the disk; two or three seconds of work."""
BLOCK = 1 << 20
OVERLAP = 4096
"""Bytes in which a blank line must fit to be found across two blocks."""
LINE_END = re.compile(rb"\n")
BLANK_LINE = re.compile(rb"\n[ \t\r\f\v]*\n")


@dataclass(frozen=True)
class Segment:
    """A part of a file, or all of it."""

    path: Path
    start: int
    end: int
    """Bytes on the disk; a packed file's are its whole."""
    compression: Compression
    kind: TextKind

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return self.end - self.start


@dataclass(frozen=True)
class Shard:
    """Segments that are read one after the other; several where files are small."""

    number: int
    segments: tuple[Segment, ...]

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(segment.size for segment in self.segments)


def cut_into_shards(files: Iterable[InputFile], shard_bytes: int) -> list[Shard]:
    """The shards of these files, in order.

    Raises:
        OSError: a file cannot be read.
    """
    shards: list[Shard] = []
    gathered: list[Segment] = []
    for segment in (segment for file in files for segment in _segments(file, shard_bytes)):
        gathered.append(segment)
        if sum(part.size for part in gathered) >= shard_bytes:
            shards.append(Shard(len(shards), tuple(gathered)))
            gathered = []
    if gathered:
        shards.append(Shard(len(shards), tuple(gathered)))
    return shards


def _segments(file: InputFile, shard_bytes: int) -> Iterator[Segment]:
    starts = [0]
    if file.compression == "none" and file.kind != "file":
        starts += _cuts(file, shard_bytes)
    for start, end in zip(starts, [*starts[1:], file.size], strict=True):
        yield Segment(file.path, start, end, file.compression, file.kind)


def _cuts(file: InputFile, shard_bytes: int) -> Iterator[int]:
    """Where documents begin, about every ``shard_bytes``."""
    position = shard_bytes
    with file.path.open("rb") as stream:
        while position < file.size:
            stream.seek(position)
            found = _next_border(stream, LINE_END if file.kind == "json" else BLANK_LINE)
            if found is None or position + found >= file.size:
                return
            yield position + found
            position += found + shard_bytes


def _next_border(stream: BinaryIO, pattern: re.Pattern[bytes]) -> int | None:
    """How far from here the first match ends; None if there is none."""
    passed, window = 0, b""
    while block := stream.read(BLOCK):
        window += block
        if match := pattern.search(window):
            return passed + match.end()
        kept = min(OVERLAP, len(window))
        passed += len(window) - kept
        window = window[-kept:]
    return None
