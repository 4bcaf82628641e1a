"""``status.json`` of a build: progress with a heartbeat, and the rate of work."""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from bert_tui.data.build_folder import BuildFolder, BuildStatus
from bert_tui.data.build_records import BuildPhase, BuildProgress
from bert_tui.pace import Pace
from bert_tui.processes import host_name, started
from trainer.spec.problem import Problem
from trainer.spec.records import to_json
from trainer.spec.run_directory import write_whole

HEARTBEAT = 1.0

Report = Callable[[BuildProgress], None]


class StatusFile:
    """Writes the file each second from a thread of its own, so that the heartbeat shows life also while nothing is
    counted; passes every change on to whoever watches in the foreground."""

    def __init__(self, folder: BuildFolder, report: Report) -> None:
        self._path = folder.status
        self._report = report
        self._pace = Pace()
        pid = os.getpid()
        self._status = BuildStatus(pid, started(pid) or 0.0, host_name(), time.time(), 0, BuildProgress("look"))
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="build heartbeat", daemon=True)

    def __enter__(self) -> StatusFile:
        self._write()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._write()

    def enter(self, phase: BuildPhase, total_bytes: int = 0, resumed_bytes: int = 0) -> None:
        """A new phase begins; counts of documents and so on stay."""
        self._pace = Pace()
        self._pace.rate(resumed_bytes)
        self._change(
            phase=phase,
            done_bytes=resumed_bytes,
            total_bytes=total_bytes,
            resumed_bytes=resumed_bytes,
            bytes_per_second=0.0,
            seconds_left=None,
            detail="",
        )

    def caution(self, problem: Problem) -> None:
        """Something the operator should know."""
        self._change(cautions=(*self._status.progress.cautions, problem))

    def show(self, done_bytes: int, **counts: Any) -> None:
        """How far the phase is; ``counts`` are fields of :class:`BuildProgress`."""
        rate = self._pace.rate(done_bytes)
        left = max(self._status.progress.total_bytes - done_bytes, 0)
        self._change(done_bytes=done_bytes, bytes_per_second=rate, seconds_left=left / rate if rate else None, **counts)

    def _change(self, **changes: Any) -> None:
        with self._lock:
            progress = dataclasses.replace(self._status.progress, **changes)
            self._status = dataclasses.replace(self._status, progress=progress)
        self._report(progress)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT):
            self._write()

    def _write(self) -> None:
        with self._lock:
            self._status = dataclasses.replace(self._status, heartbeat=self._status.heartbeat + 1)
            text = to_json(self._status)
        try:
            write_whole(self._path, text, mode=0o644)
        except OSError as error:  # a full disk must not end the heartbeat for good
            print(f"status.json: {error}", file=sys.stderr, flush=True)
