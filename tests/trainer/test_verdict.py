"""How an end is judged, case by case; the files it is judged by are in test_supervise."""

from __future__ import annotations

from typing import Any

import pytest

from trainer.spec.problem import Problem
from trainer.spec.records import Progress
from trainer.verdict import Evidence, RankEnd, RankError, judge

OUT_OF_MEMORY = RankError(1, 2.0, Problem("training.out_of_memory", "MemoryError", "", {"reason": "x"}))
LOST_PEER = RankError(0, 1.0, Problem("training.peer_lost", "rank 0", "", {"reason": "connection closed"}))
EXCEPTION = RankError(1, 2.0, Problem("training.exception", "ValueError", "", {"reason": "x"}))


def at(step: int) -> Progress:
    return Progress("train", 0.0, step, 10, 0, 0, 0, 0.0)


@pytest.mark.parametrize(
    ("facts", "outcome", "code"),
    [
        ({"torchrun": 0, "progress": at(10)}, "finished", None),
        ({"torchrun": 0, "progress": at(10), "stop_asked": True}, "finished", None),
        ({"torchrun": 0, "progress": at(5), "stop_asked": True}, "stopped", None),
        ({"torchrun": 0, "stop_asked": True}, "stopped", None),
        ({"torchrun": 0, "progress": at(5)}, "failed", "end.unfinished"),
        # a stop that went wrong is a failure: perhaps there is no checkpoint
        ({"torchrun": 1, "progress": at(5), "stop_asked": True}, "failed", "end.torchrun_status"),
        ({"torchrun": 1, "progress": at(10)}, "failed", "end.torchrun_status"),
        ({"torchrun": -9}, "failed", "end.torchrun_killed"),
        ({"torchrun": -9, "memory_kills": 1}, "failed", "end.out_of_memory"),
        ({"torchrun": 1, "ends": (RankEnd(1, 3),)}, "failed", "end.rank_status"),
        ({"torchrun": 1, "ends": (RankEnd(1, -9),)}, "failed", "end.rank_killed"),
        ({"torchrun": 1, "ends": (RankEnd(1, -9),), "memory_kills": 1}, "failed", "end.out_of_memory"),
        ({"torchrun": 1, "ends": (RankEnd(1, -11),), "memory_kills": 1}, "failed", "end.rank_killed"),
        ({"torchrun": 1, "ends": (RankEnd(0, -15), RankEnd(1, 3))}, "failed", "end.rank_status"),
        # the first that knew its cause outweighs what its end did to the others
        ({"torchrun": 1, "errors": (LOST_PEER, OUT_OF_MEMORY)}, "failed", "training.out_of_memory"),
        ({"torchrun": 1, "errors": (LOST_PEER,), "ends": (RankEnd(1, -9),)}, "failed", "end.rank_killed"),
        ({"torchrun": 1, "errors": (LOST_PEER, EXCEPTION)}, "failed", "training.exception"),
        ({"torchrun": 1, "errors": (LOST_PEER,), "ends": (RankEnd(0, 1), RankEnd(1, 3))}, "failed", "end.rank_status"),
        ({"torchrun": 1, "errors": (LOST_PEER,), "ends": (RankEnd(0, 1),)}, "failed", "training.peer_lost"),
    ],
)
def test_an_end_has_one_outcome_and_one_cause(facts: dict[str, Any], outcome: str, code: str | None) -> None:
    exit = judge(Evidence(**({"stop_asked": False, "progress": None} | facts)), when=1.0)
    assert (exit.outcome, exit.problem.code if exit.problem else None) == (outcome, code)
    assert exit.out_of_memory == (code == "end.out_of_memory")
    assert exit.problem is None or exit.problem.english


def test_a_rank_that_lost_the_others_is_not_blamed() -> None:
    exit = judge(Evidence(torchrun=1, stop_asked=False, progress=None, errors=(LOST_PEER,)), when=1.0)
    assert exit.rank is None


def test_the_rank_that_was_killed_is_named_and_not_those_that_aborted_over_it() -> None:
    ends = (RankEnd(0, -6), RankEnd(1, -9), RankEnd(2, -6), RankEnd(3, -15))
    exit = judge(Evidence(torchrun=1, stop_asked=False, progress=None, ends=ends), when=1.0)
    assert (exit.rank, exit.signal) == (1, 9)
