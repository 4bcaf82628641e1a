"""Keeping answers on a disk that may hang, without holding up the keys."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from bert_tui.wizard import answers as storage
from bert_tui.wizard.answers import Answers

PATIENCE = 0.08
"""Seconds that a key waits for the disk; mostly the answers are kept by then."""
SILENT_SECONDS = 2.0
"""After which a disk that has not answered is told as one that does not."""


class Keeper:
    """Writes the newest answers, in a thread of its own while there are any to be written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._change = threading.Condition()
        self._wanted: list[Answers | None] = []
        """What is to be written next, one at most; None is no answers at all."""
        self._begun: float | None = None
        """When the write that is under way began (``time.monotonic``)."""
        self._failure = ""

    @property
    def problem(self) -> str:
        """Why the newest answers are not on the disk; empty where they are, or are about to be."""
        with self._change:
            silent = self._begun is not None and time.monotonic() - self._begun > SILENT_SECONDS
            return f"{self._path}: the disk does not answer" if silent else self._failure

    def keep(self, answers: Answers | None) -> None:
        """Takes what is to be on the disk from now on; None removes it."""
        with self._change:
            self._wanted = [answers]
            if self._begun is not None:
                return
            self._begun = time.monotonic()
        threading.Thread(target=self._write_all, name="keep answers", daemon=True).start()
        self.wait(PATIENCE)

    def wait(self, seconds: float) -> bool:
        """Whether everything was written, or refused, within so many seconds."""
        with self._change:
            return self._change.wait_for(lambda: self._begun is None, seconds)

    def _write_all(self) -> None:
        while (wanted := self._next()) is not None:
            try:
                self._write(*wanted)
            except OSError as error:
                failure = f"{self._path}: {error.strerror or error}"
            else:
                failure = ""
            with self._change:
                self._failure = failure

    def _next(self) -> list[Answers | None] | None:
        with self._change:
            if not self._wanted:
                self._begun = None
                self._change.notify_all()
                return None
            wanted, self._wanted = self._wanted, []
            self._begun = time.monotonic()
            return wanted

    def _write(self, answers: Answers | None) -> None:
        if answers is None:
            self._path.unlink(missing_ok=True)
        else:
            storage.save(answers, self._path)
