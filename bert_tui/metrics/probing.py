"""Asking a launcher whether a run is alive, without waiting for an engine that is slow to answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bert_tui.launchers.protocol import Exited, Handle, Probe, Unknown
from bert_tui.runs.state import probe_handle

SECONDS_BETWEEN = 5.0
FIRST_WAIT = 1.0


class PatientProbe:
    """Gives the newest answer at once and asks again in the background; an end is final.

    Called by one thread, once a look; at most one question is under way.
    """

    def __init__(self, ask: Callable[[Handle], Probe] = probe_handle) -> None:
        self._ask = ask
        self._handle: Handle | None = None
        self._answer: Probe = Unknown("")
        self._asked_at = 0.0
        self._asking: threading.Thread | None = None

    def __call__(self, handle: Handle) -> Probe:
        """What is known of this handle; waits a little for the very first answer."""
        if handle != self._handle:
            self._handle, self._answer, self._asking, self._asked_at = handle, Unknown("not asked yet"), None, 0.0
        waiting = self._asking is not None and self._asking.is_alive()
        due = time.monotonic() - self._asked_at >= SECONDS_BETWEEN
        if not waiting and due and not isinstance(self._answer, Exited):
            first, self._asked_at = self._asked_at == 0.0, time.monotonic()
            self._asking = threading.Thread(target=self._question, args=(handle,), name="probe", daemon=True)
            self._asking.start()
            self._asking.join(FIRST_WAIT if first else 0)
        return self._answer

    def _question(self, handle: Handle) -> None:
        answer = self._ask(handle)
        if handle == self._handle:
            self._answer = answer
