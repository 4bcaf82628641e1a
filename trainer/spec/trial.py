"""What a trial container is asked and what it answers: the names and the record shared by both sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trainer.spec.problem import Problem
from trainer.spec.run_directory import AttemptDirectory

SECONDS = 60
"""After this many seconds the trial ends itself, whatever it waits for: nobody may be left who ends it."""
NONCE, ECHO = "nonce", "echo"
"""Files in the attempt's directory: a word written outside, and the same word written inside."""


@dataclass(frozen=True)
class TrialReport:
    """What a container is like inside; printed by ``trainer.trial`` as one line of JSON."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    """Supplementary ones."""
    nonce: str
    """The word found in the attempt's directory; empty where there is none."""
    echo_error: str
    """Why it could not be written back; empty where it was."""
    unreadable: Mapping[str, str]
    """Files of the datasets that cannot be read inside, and why."""
    shared_memory: int
    """Bytes of /dev/shm."""
    ulimits: Mapping[str, int]
    """Soft limits that are in force; -1 is without limit."""
    seen: str
    """Packages and GPUs in the preflight's words; empty where it refused."""
    problem: Problem | None
    """Why the preflight refused."""


def nonce_in(attempt: AttemptDirectory) -> str:
    """The word that was written outside; empty where this attempt has none."""
    try:
        return (attempt.path / NONCE).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
