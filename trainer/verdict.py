"""How an attempt ended, from the files the ranks and torchrun left. An exit status alone cannot tell: torchrun's is 1
for everything, and the kernel's out-of-memory kill looks like any other kill."""

from __future__ import annotations

import json
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.spec.problem import Problem
from trainer.spec.records import Exit, Progress, read_record
from trainer.spec.run_directory import AttemptDirectory
from trainer.torchrun import FAILURES

UNEXPLAINED = "training.exception"
PEER_LOST = "training.peer_lost"
"""What a rank says when another is gone: a consequence as well."""
ORDERLY_SIGNALS = (signal.SIGTERM, signal.SIGINT)
"""What torchrun sends to the other ranks when one has failed: a consequence, never the cause."""


@dataclass(frozen=True)
class RankError:
    """``ranks/N.error.json``: the exception that ended a rank."""

    rank: int
    time: float
    problem: Problem

    @property
    def explained(self) -> bool:
        """Whether the rank knew what was wrong."""
        return self.problem.code not in (UNEXPLAINED, PEER_LOST)


@dataclass(frozen=True)
class RankEnd:
    """How torchrun saw a failed rank end; ``exit`` is negative for a signal."""

    rank: int
    exit: int


@dataclass(frozen=True)
class Evidence:
    """All that an end is judged by."""

    torchrun: int
    """Its exit status, negative for a signal."""
    stop_asked: bool
    progress: Progress | None
    errors: tuple[RankError, ...] = ()
    ends: tuple[RankEnd, ...] = ()
    memory_kills: int = 0
    """Processes the kernel ended for lack of memory while this attempt ran."""


def judge(evidence: Evidence, when: float) -> Exit:
    """The attempt's end: finished, stopped on request, or failed by its first cause."""
    progress = evidence.progress
    step = progress.step if progress else None
    if evidence.torchrun == 0:
        if progress and progress.step >= progress.total_steps:
            return _exit("finished", when, step, code=0)
        if evidence.stop_asked:
            return _exit("stopped", when, step, code=0)
        total = progress.total_steps if progress else 0
        return _exit(
            "failed", when, step, code=0, problem=Problem("end.unfinished", "", str(step or 0), {"total": total})
        )
    return _failure(evidence, when, step)


def _failure(evidence: Evidence, when: float, step: int | None) -> Exit:
    ends = sorted((end for end in evidence.ends if -end.exit not in ORDERLY_SIGNALS), key=_remoteness)
    killed = next((end for end in ends if end.exit < 0), None)
    explained = next((error for error in evidence.errors if error.explained), None)
    if explained:
        return _exit("failed", when, step, code=1, problem=explained.problem, rank=explained.rank)
    if killed:
        return _killed(evidence, -killed.exit, killed.rank, when, step)
    if evidence.torchrun < 0:
        return _killed(evidence, -evidence.torchrun, None, when, step)
    cause = next((error for error in evidence.errors if error.problem.code != PEER_LOST), None)
    if cause:
        return _exit("failed", when, step, code=1, problem=cause.problem, rank=cause.rank)
    survivors = {error.rank for error in evidence.errors}
    wordless = next((end for end in ends if end.rank not in survivors), None)
    if wordless:
        problem = Problem("end.rank_status", str(wordless.rank), str(wordless.exit))
        return _exit("failed", when, step, code=wordless.exit, problem=problem, rank=wordless.rank)
    if evidence.errors:
        return _exit("failed", when, step, code=1, problem=evidence.errors[0].problem)
    problem = Problem("end.torchrun_status", "", str(evidence.torchrun))
    return _exit("failed", when, step, code=evidence.torchrun, problem=problem)


def _remoteness(end: RankEnd) -> tuple[bool, int]:
    """How far from the cause: NCCL's watchdog aborts the ranks that wait for a lost one."""
    return end.exit == -signal.SIGABRT, end.rank


def _killed(evidence: Evidence, number: int, rank: int | None, when: float, step: int | None) -> Exit:
    """By a signal: the kernel's for lack of memory, somebody's, or the fault of the process itself."""
    memory = number == signal.SIGKILL and evidence.memory_kills > 0
    if memory:
        problem = Problem("end.out_of_memory", "torchrun" if rank is None else f"rank {rank}")
    elif rank is None:
        problem = Problem("end.torchrun_killed", "", _name(number))
    else:
        problem = Problem("end.rank_killed", str(rank), _name(number))
    return _exit("failed", when, step, signal=number, problem=problem, rank=rank, out_of_memory=memory)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _exit(outcome: Any, when: float, step: int | None, **facts: Any) -> Exit:
    known = {"code": None, "signal": None, "out_of_memory": False} | facts
    return Exit(outcome=outcome, when=when, written_by="supervisor", step=step, **known)


def gather(attempt: AttemptDirectory, errors: Path, *, torchrun: int, stop_asked: bool, memory_kills: int) -> Evidence:
    """What lies in the attempt's folder after its end, and in that of its ranks' errors."""
    return Evidence(
        torchrun=torchrun,
        stop_asked=stop_asked,
        progress=read_record(Progress, attempt.progress),
        errors=_read_errors(errors),
        ends=_read_ends(errors / FAILURES),
        memory_kills=memory_kills,
    )


def _read_errors(folder: Path) -> tuple[RankError, ...]:
    """The first first. A file that is torn (its writer was killed in it) says nothing."""
    found = []
    for path in folder.glob("*.error.json"):
        data = _read_json(path)
        if isinstance(data, dict) and path.name.partition(".")[0].isdecimal():
            rank, when = int(path.name.partition(".")[0]), data.get("time")
            problem = _read_problem(data)
            found.append(RankError(rank, when if isinstance(when, int | float) else 0.0, problem))
    return tuple(sorted(found, key=lambda error: (error.time, error.rank)))


def _read_ends(path: Path) -> tuple[RankEnd, ...]:
    data = _read_json(path) if path.exists() else []
    return tuple(RankEnd(item["rank"], item["exit"]) for item in data) if isinstance(data, list) else ()


def _read_problem(data: dict[str, Any]) -> Problem:
    try:
        return Problem.from_json(data["problem"])
    except (KeyError, TypeError):
        return Problem(UNEXPLAINED, "error", "", {"reason": str(data.get("message", ""))})


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def memory_kills() -> int:
    """How many processes the kernel has ended so far for lack of memory, as far as can be seen from here: in our own
    control group (version 2 or 1), else on the whole machine. Only differences mean something."""
    return next((count for count in map(_memory_kills_in, _memory_files()) if count is not None), 0)


def _memory_files() -> list[Path]:
    own = Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    paths = {line.split(":", 2)[1]: line.split(":", 2)[2] for line in own if line.count(":") >= 2}
    root = Path("/sys/fs/cgroup")
    return [
        root / paths.get("", "/").lstrip("/") / "memory.events",
        root / "memory" / paths.get("memory", "/").lstrip("/") / "memory.oom_control",
        root / "memory.events",
        root / "memory" / "memory.oom_control",
        Path("/proc/vmstat"),
    ]


def _memory_kills_in(path: Path) -> int | None:
    try:
        found = re.search(r"^oom_kill (\d+)$", path.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) if found else None
