"""``train.log``: what the ranks print, from a pipe into a file of bounded size."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

LARGEST = 256 << 20
"""Bytes after which the log becomes ``train.log.1`` and a new one begins."""


class TrainLog:
    """Copies a pipe into the log in a thread of its own."""

    def __init__(self, path: Path, largest: int = LARGEST) -> None:
        self._path = path
        self._largest = largest
        self._file = path.open("ab", buffering=0)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def write(self, data: bytes) -> None:
        """Appends, and turns over when the log is full."""
        with self._lock:
            self._file.write(data)
            if self._file.tell() >= self._largest:
                self._turn_over()

    def _turn_over(self) -> None:
        """Begins a new log. Where the disk has no room for one, the old one goes on and the next write tries again."""
        beside = self._path.with_name(self._path.name + ".new")
        fresh = beside.open("ab", buffering=0)
        self._path.replace(self._path.with_name(self._path.name + ".1"))
        beside.replace(self._path)
        self._file.close()
        self._file = fresh

    def copy(self, pipe: int) -> None:
        """Reads a pipe's descriptor to its end in a thread, and closes it."""
        thread = threading.Thread(target=self._copy, args=(pipe,), name="train.log", daemon=True)
        thread.start()
        self._threads.append(thread)

    def drain(self, seconds: float = 5.0) -> None:
        """Waits until all that was written into the pipes is in the file."""
        for thread in self._threads:
            thread.join(seconds)

    def _copy(self, pipe: int) -> None:
        try:
            while data := os.read(pipe, 1 << 16):
                try:
                    self.write(data)
                except OSError as error:  # a full disk: the ranks must be able to go on printing
                    print(f"{self._path.name}: {error}", file=sys.stderr, flush=True)
        finally:
            os.close(pipe)
