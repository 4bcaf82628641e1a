"""The end of a log, line by line, in bounded memory and fit for a terminal."""

from __future__ import annotations

import os
import re
from collections import deque
from dataclasses import dataclass
from pathlib import Path

OPENING_BYTES = 64 << 10
"""Read from the end when a log is opened, or when it grew faster than it is read."""
POLL_BYTES = 1 << 20
"""Growth between two looks that is still read in full."""
LINE_CHARACTERS = 1000
KEPT_LINES = 1000

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # control sequences: colours, cursor
    r"|\x1b[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)"  # strings: titles, links, clipboards
    r"|\x1b[ -/]*[0-~]"
)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


@dataclass(frozen=True)
class LogLines:
    """The last lines of a log."""

    path: Path
    lines: tuple[str, ...] = ()
    count: int = 0
    """Lines read so far, also those no longer kept; a view adds the last ``count - seen`` of ``lines``."""


class LogTail:
    """Reads what a log gained since the last call. A log replaced or cut short is read from its start again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode: int | None = None
        self._offset = 0
        self._rest = b""
        self._kept: deque[str] = deque(maxlen=KEPT_LINES)
        self._lines = LogLines(path)

    def poll(self) -> LogLines:
        """The lines there are now; the same object while nothing was added. An absent log has none."""
        try:
            with self._path.open("rb", buffering=0) as file:
                data = self._new_bytes(file.fileno())
        except OSError:
            return self._lines
        if not data:
            return self._lines
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = rest[: 4 * LINE_CHARACTERS]
        self._kept.extend(clean_line(line.decode("utf-8", "replace")) for line in whole)
        self._lines = LogLines(self._path, tuple(self._kept), self._lines.count + len(whole))
        return self._lines

    def _new_bytes(self, descriptor: int) -> bytes:
        status = os.fstat(descriptor)
        opening = self._inode is None
        if status.st_ino != self._inode or status.st_size < self._offset:
            self._inode, self._offset, self._rest = status.st_ino, 0, b""
        behind = status.st_size - self._offset
        if behind <= (OPENING_BYTES if opening else POLL_BYTES):
            data = os.pread(descriptor, behind, self._offset)
            self._offset += len(data)
            return data
        data = os.pread(descriptor, OPENING_BYTES, status.st_size - OPENING_BYTES)
        self._offset, self._rest = status.st_size - OPENING_BYTES + len(data), b""
        return data.partition(b"\n")[2]


def clean_line(line: str) -> str:
    """A line that cannot move the cursor, change colours or reorder text, at most LINE_CHARACTERS long.

    Of a progress bar drawn over itself by carriage returns, the last state is kept.
    """
    line = _ESCAPES.sub("", line[: 8 * LINE_CHARACTERS].rstrip("\r").rpartition("\r")[2].expandtabs(4))
    line = _CONTROLS.sub("", line)
    return line if len(line) <= LINE_CHARACTERS else line[: LINE_CHARACTERS - 1] + "…"
