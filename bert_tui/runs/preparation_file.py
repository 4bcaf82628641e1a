"""``preparation.json``: what the starter is doing, with a heartbeat that counts up while it lives."""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bert_tui.processes import host_name, started
from trainer.spec.records import Phase, Preparation, to_json
from trainer.spec.run_directory import write_whole

HEARTBEAT = 2.0
Show = Callable[[float | None, float | None, str, str], None]
"""Called with (done, total, unit, detail); None where it cannot be counted."""


class PreparationFile:
    """Written at every phase, and every two seconds from a thread of its own; reports in between wait for that."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._ended = threading.Event()
        pid = os.getpid()
        self._state = Preparation("data", time.time(), 0, pid, started(pid) or 0.0, host_name())
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Writes the first state and begins to beat."""
        self._write()
        self._thread.start()

    def stop(self) -> None:
        """The last state stays."""
        self._ended.set()
        self._thread.join()

    @property
    def phase(self) -> Phase:
        """As last entered."""
        return self._state.phase

    def enter(self, phase: Phase) -> None:
        """A new phase begins."""
        with self._lock:
            self._state = dataclasses.replace(
                self._state, phase=phase, since=time.time(), done=None, total=None, unit="", detail=""
            )
        self._write()

    def report(self, done: float | None, total: float | None, unit: str, detail: str) -> None:
        """How far the phase is. May be called thousands of times."""
        with self._lock:
            self._state = dataclasses.replace(self._state, done=done, total=total, unit=unit, detail=detail)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT):
            try:
                self._write()
            except OSError as error:  # a full disk must not end the heartbeat for good
                print(f"preparation.json: {error}", file=sys.stderr, flush=True)

    def _write(self) -> None:
        with self._lock:
            self._state = dataclasses.replace(self._state, heartbeat=self._state.heartbeat + 1)
            write_whole(self._path, to_json(self._state))
