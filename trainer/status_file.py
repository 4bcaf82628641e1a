"""``status.json``: what the supervisor is doing, with a heartbeat that counts up while it lives."""

from __future__ import annotations

import dataclasses
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Literal

from trainer.spec.problem import Problem
from trainer.spec.records import Phase, Status, to_json
from trainer.spec.run_directory import write_whole

HEARTBEAT = 5.0


class StatusFile:
    """Writes at every change, and every five seconds from a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._status = Status("running", "preflight", time.time(), 0, os.getpid(), socket.gethostname())
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Writes the first status and begins to beat."""
        self._write()
        self._thread.start()

    def enter(self, phase: Phase) -> None:
        """A phase begins, or goes on."""
        if phase != self._status.phase:
            self._write(phase=phase, since=time.time())

    def stopping(self) -> None:
        """A stop was asked for and is on its way."""
        self._write(state="stopping")

    def end(self, problem: Problem | None) -> None:
        """The last status."""
        self._ended.set()
        self._write(state="ended", phase="end", since=time.time(), problem=problem)

    @property
    def state(self) -> Literal["running", "stopping", "ended"]:
        """As last written."""
        return self._status.state

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT):
            self._write()

    def _write(self, **changes: object) -> None:
        """A full disk ends neither the heartbeat nor the training: the next beat tries again."""
        with self._lock:
            heartbeat = self._status.heartbeat + 1
            self._status = dataclasses.replace(self._status, heartbeat=heartbeat, **changes)  # type: ignore[arg-type]
            try:
                write_whole(self._path, to_json(self._status))
            except OSError as error:
                print(f"status.json: {error}", file=sys.stderr, flush=True)
