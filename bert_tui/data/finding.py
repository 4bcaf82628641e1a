"""One thing that an inspection found wrong or odd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bert_tui.advice.words import Words, describe, in_full
from trainer.spec.problem import Problem


@dataclass(frozen=True)
class Finding:
    """A problem, whether anything can be trained with it, and how often it was seen."""

    problem: Problem
    fatal: bool
    """False: odd, but allowed."""
    times: int = 1
    """In the part that was looked at; the problem names the first place."""

    @property
    def words(self) -> Words:
        """What is wrong and what to do, for people."""
        return describe(self.problem)

    def as_json(self) -> dict[str, Any]:
        """The problem, its words, and how often it was seen."""
        return {**in_full(self.problem), "fatal": self.fatal, "times": self.times}
