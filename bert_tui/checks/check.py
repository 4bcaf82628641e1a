"""The answer to one question of the checklist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Answer = Literal["pass", "warn", "fail", "unknown"]
"""``unknown`` is for what could not be looked at (timed out, not allowed): a caution, never a pass."""


@dataclass(frozen=True)
class Check:
    """What was asked, seen and concluded."""

    name: str
    """Stable identifier such as ``docker.engine``; what ``--json`` prints."""
    title: str
    """The question in a few words, as shown: "Docker engine"."""
    answer: Answer
    seen: str
    """What was seen, one line: "Engine 28.2.2, overlay2"."""
    meaning: str = ""
    """What follows from it, where the answer is no plain pass."""
    repair: str = ""
    """What to type or do, where something can be done."""
    waived: str = ""
    """Why the present choice does not need it, where that makes a pass of what is none."""


@dataclass(frozen=True)
class Finding:
    """The answer to a question that knows its own name and title: a :class:`Check` without them."""

    answer: Answer
    seen: str
    meaning: str = ""
    repair: str = ""


SYMBOLS: dict[Answer, str] = {"pass": "ok", "warn": "!", "fail": "x", "unknown": "?"}
"""Each answer in one or two signs that need no colour."""


def answer_lines(check: Check) -> list[str]:
    """A check as lines of text."""
    first = f"{SYMBOLS[check.answer]:>2}  {check.title}: {check.seen}"
    return [first, *(f"    {line}" for line in (check.meaning, check.repair) if line)]
