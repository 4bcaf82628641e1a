"""Looking at a run from a thread of its own, so that a disk or an engine that hangs never holds up the keys."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

from trainer.spec.problem import SpecError
from trainer.spec.run_directory import RunDirectory

if TYPE_CHECKING:
    from bert_tui.metrics.snapshot import Snapshot

SECONDS_BETWEEN = 1.0


@dataclass
class Looked(Message, bubble=False):
    """A look at the run; a newer one takes the place of one that still waits."""

    snapshot: Snapshot

    def can_replace(self, message: Message) -> bool:
        """Only the newest counts."""
        return isinstance(message, Looked)


@dataclass
class LookFailed(Message, bubble=False):
    """The run could not be looked at."""

    reason: str


@dataclass
class Broke(Message, bubble=False):
    """A mistake of this program in a background thread, to be raised where it is seen."""

    error: Exception


class Watch:
    """A daemon thread that posts a Looked once a second until it is stopped."""

    def __init__(self, run: RunDirectory, post: Callable[[Message], object]) -> None:
        self._run = run
        self._post = post
        self._stopped = False
        self._wake = threading.Event()

    def start(self) -> None:
        """Begins to look."""
        threading.Thread(target=self._look_until_stopped, name="watch", daemon=True).start()

    def stop(self) -> None:
        """Looks no more; does not wait for a look under way."""
        self._stopped = True
        self._wake.set()

    def look_now(self) -> None:
        """Looks at once: something was just asked of the run."""
        self._wake.set()

    def _look_until_stopped(self) -> None:
        from bert_tui.metrics.run_view import RunWatcher  # numpy, only once the first frame is painted

        try:
            watcher = RunWatcher(self._run)
            while not self._stopped:
                try:
                    self._post(Looked(watcher.poll()))
                except (OSError, SpecError) as error:
                    self._post(LookFailed(str(error)))
                self._wake.wait(SECONDS_BETWEEN)
                self._wake.clear()
        except Exception as error:
            self._post(Broke(error))


def in_background(work: Callable[[], Message], post: Callable[[Message], object]) -> None:
    """Does ``work`` in a daemon thread and posts the message it gives; a mistake in it becomes a Broke."""

    def call() -> None:
        try:
            message = work()
        except Exception as error:
            message = Broke(error)
        post(message)

    threading.Thread(target=call, name="background", daemon=True).start()
