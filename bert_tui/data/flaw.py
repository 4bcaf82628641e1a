"""One thing that is wrong or odd about a vocabulary file, and what repairs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bert_tui.advice.words import Words, describe, in_full
from trainer.spec.problem import Problem


@dataclass(frozen=True)
class Flaw:
    """A problem, and what ``--fix`` does about it."""

    problem: Problem
    repair: str = ""
    """What ``--fix`` does; empty where only the operator can do something."""
    moves_ids: bool = False
    """Whether that gives pieces that a dataset may hold another id, so that it must be built anew."""
    fatal: bool = True
    """False: odd, but BERT can be trained with it."""

    @property
    def words(self) -> Words:
        """What is wrong and what to do, for people."""
        return describe(self.problem)

    def as_json(self) -> dict[str, Any]:
        """The problem, its words and its repair."""
        return {**in_full(self.problem), "fatal": self.fatal, "repair": self.repair, "moves_ids": self.moves_ids}
