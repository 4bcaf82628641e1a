"""``python -m bert_tui.launchers.fetching.worker FOLDER``: the process of one job. It is handed the lock, held already,
so that there is no moment in which a job that was started is not alive."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from bert_tui.launchers.cpu_image import CPU_IMAGE, build_cpu_image
from bert_tui.launchers.engine import connect
from bert_tui.launchers.fetching.folder import FetchEnd, FetchFolder, FetchOrder, FetchStatus
from bert_tui.launchers.fetching.loading import load
from bert_tui.launchers.fetching.progress import FetchProgress, Phase
from bert_tui.launchers.fetching.pulling import PULL_SILENCE, pull
from bert_tui.launchers.protocol import Step
from bert_tui.processes import host_name
from trainer.spec.problem import EnvironmentRefused, Problem
from trainer.spec.records import read_record, to_json
from trainer.spec.run_directory import write_whole

HEARTBEAT = 1.0
CANCEL_POLL = 0.3


class Cancelled(BaseException):
    """It was asked to end. Like KeyboardInterrupt no Exception: nothing on the way may take it for an error."""


class StatusFile:
    """Writes ``status.json`` each second from a thread of its own, so that the heartbeat shows life also while the
    engine says nothing."""

    def __init__(self, path: Path, first: Phase) -> None:
        self._path = path
        self._lock = threading.Lock()
        now = time.time()
        self._status = FetchStatus(os.getpid(), host_name(), now, 0, FetchProgress(first, moved=now))

    def start(self) -> None:
        """Begins to write."""
        self._write()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def show(self, progress: FetchProgress) -> None:
        """How far the job is; written with the next beat."""
        with self._lock:
            self._status = dataclasses.replace(self._status, progress=progress)

    def show_step(self, step: Step) -> None:
        """A step of building the CPU image."""
        done, total = (int(step.done or 0), int(step.total or 0)) if step.unit == "B" else (0, 0)
        self.show(FetchProgress("build", done, total, detail=step.detail, moved=time.time()))
        if step.total is None:
            print(step.detail, flush=True)

    def _beat(self) -> None:
        while True:
            time.sleep(HEARTBEAT)
            self._write()

    def _write(self) -> None:
        with self._lock:
            self._status = dataclasses.replace(self._status, heartbeat=self._status.heartbeat + 1)
            text = to_json(self._status)
        try:
            write_whole(self._path, text)
        except OSError as error:  # a full disk must not end the heartbeat for good
            print(f"status.json: {error}", file=sys.stderr, flush=True)


def carry_out(order: FetchOrder, status: StatusFile) -> tuple[str, ...]:
    """Fetches what was asked for; gives the names of the images.

    Raises:
        EnvironmentRefused: it cannot be had.
    """
    client = connect(seconds=PULL_SILENCE)
    if order.file:
        return load(client, Path(order.file), status.show)
    if order.image == CPU_IMAGE:
        return (build_cpu_image(client, status.show_step),)
    pull(client, order.image, status.show)
    return (order.image,)


def main(arguments: list[str]) -> int:
    """The job of one folder; what came of it stands in its ``end.json``."""
    folder = FetchFolder(Path(arguments[0]))
    signal.signal(signal.SIGTERM, _cancel)
    signal.signal(signal.SIGINT, _cancel)
    threading.Thread(target=_watch_for_cancel, args=(folder,), name="cancel watch", daemon=True).start()
    end = _outcome(folder)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # too late: the end is being written
    write_whole(folder.end, to_json(end))
    return 0 if end.outcome == "finished" else 1


def _outcome(folder: FetchFolder) -> FetchEnd:
    try:
        order = read_record(FetchOrder, folder.order)
        if order is None:
            raise EnvironmentRefused(Problem("image.no_job", "", str(folder.path)))
        status = StatusFile(folder.status, "read" if order.file else "ask")
        status.start()
        return FetchEnd("finished", time.time(), images=carry_out(order, status))
    except Cancelled:
        return FetchEnd("cancelled", time.time())
    except EnvironmentRefused as refusal:
        return FetchEnd("failed", time.time(), refusal.problems[0])
    except Exception as error:
        traceback.print_exc()
        reason = {"reason": f"{type(error).__name__}: {error}"}
        return FetchEnd("failed", time.time(), Problem("image.crashed", str(folder.log), "", reason))


def _watch_for_cancel(folder: FetchFolder) -> None:
    """Turns the request into a signal, which interrupts whatever the main thread waits for."""
    while not folder.cancel_request.exists():
        time.sleep(CANCEL_POLL)
    os.kill(os.getpid(), signal.SIGTERM)


def _cancel(*_: Any) -> None:
    raise Cancelled


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
