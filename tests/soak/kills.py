"""Kills at random moments of one run, and what must hold after each of them."""

from __future__ import annotations

import itertools
import json
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from bert_tui.launchers import launcher_named
from bert_tui.launchers.protocol import Alive
from bert_tui.processes import kill, started
from bert_tui.runs.control import request_stop
from bert_tui.runs.create import resume_run
from bert_tui.runs.end import settle
from bert_tui.runs.state import RunState, RunView, state_of
from tests.runs.tiny import over, wait_for
from trainer.process_tree import family
from trainer.spec.checkpoint_folder import PARTIAL, PROGRESS, complete_checkpoints
from trainer.spec.metrics_file import read_layout
from trainer.spec.records import Launch, read_record
from trainer.spec.run_directory import RunDirectory
from trainer.spec.run_lock import read_holder

SETTINGS = (
    "model.hidden=64",
    "model.sequence_length=64",
    "train.global_batch=8",
    "train.micro_batch=4",
    "train.eval_every=100",
    "checkpoint.every=5",
    "checkpoint.keep_last=2",
)
"""Steps of some milliseconds, with a checkpoint at every fifth: a good part of the time goes into saving."""
GONE_SECONDS = 20.0
"""How long the processes of an attempt may take to be gone after its end."""

T = TypeVar("T")
Moment = Literal["start", "step", "save", "stop"]
Victim = Literal["rank 0", "rank 1", "torchrun", "supervisor", "container"]

CAUSES: dict[Victim, set[str]] = {
    "rank 0": {"end.rank_killed"},
    "rank 1": {"end.rank_killed"},
    "torchrun": {"end.torchrun_killed"},
    "supervisor": {"end.supervisor_died", "start.no_supervisor"},
    "container": {"end.supervisor_died", "start.no_supervisor"},
}
"""How the end of an attempt may be explained, by whom it lost."""


@dataclass(frozen=True)
class Blow:
    """One kill: whom, and when."""

    moment: Moment
    """While the attempt starts; between two steps; while a checkpoint is written or an old one deleted; while a stop
    that was asked for is carried out."""
    victim: Victim
    steps: int
    """Steps the attempt makes before."""
    delay: float
    """Seconds after the moment has come."""


@dataclass(frozen=True)
class Outcome:
    """What one blow led to."""

    blow: Blow
    state: RunState
    code: str
    first_step: int | None
    """The first step that the attempt made; None if it made none."""
    last_step: int
    checkpoint: int
    """The step of the newest complete checkpoint after it, 0 without any."""
    torn: tuple[str, ...]
    """Folders of checkpoints that it left half written or half deleted."""
    seconds: float


def draw_blows(seed: int, rounds: int, victims: Sequence[Victim], moments: Sequence[Moment]) -> list[Blow]:
    """Every victim at every moment, in random order, again and again; the same for the same seed."""
    chance = random.Random(seed)
    pairs = list(itertools.product(moments, victims))
    chance.shuffle(pairs)
    longest = {"start": 5.0, "step": 0.1, "save": 0.1, "stop": 1.5}
    return [
        Blow(moment, victim, chance.randint(1, 20), chance.uniform(0.0, longest[moment]))
        for moment, victim in itertools.islice(itertools.cycle(pairs), rounds)
    ]


@dataclass
class Campaign:
    """One run under blows."""

    run: RunDirectory
    outcomes: list[Outcome] = field(default_factory=list)

    def suffer(self, blow: Blow) -> None:
        """Deals one blow to the running attempt, checks what it left, and resumes."""
        began = time.monotonic()
        attempt = self.run.latest()
        assert attempt is not None
        saved, records = self._checkpoint(), len(all_losses(self.run))
        strike = self._aim(blow.victim)
        self._wait_for_moment(blow, records)
        time.sleep(blow.delay)
        strike()
        view = settle(wait_for(self.run, over, 60))
        require_gone(self.run)
        made = [step for step, _ in all_losses(self.run)[records:]]
        outcome = Outcome(
            blow,
            view.state,
            view.problem.code if view.problem else "",
            made[0] if made else None,
            made[-1] if made else saved,
            self._checkpoint(),
            tuple(sorted(path.name for path in self.run.checkpoints.glob(f"{PARTIAL}*"))),
            time.monotonic() - began,
        )
        self.outcomes.append(outcome)
        self._check(outcome, saved, view)
        resume_run(self.run)

    def finish(self) -> None:
        """Lets the last attempt come to its end."""
        view = settle(wait_for(self.run, over, 240))
        assert view.state is RunState.FINISHED, view
        require_gone(self.run)

    def table(self) -> str:
        """A line for each blow."""
        rows = [
            f"{'':>3} {'MOMENT':<6} {'VICTIM':<10} {'DELAY':>6} {'STATE':<8} {'CAUSE':<20} "
            f"{'STEPS':>11} {'SAVED':>5} {'SECONDS':>7}  TORN"
        ]
        for number, outcome in enumerate(self.outcomes, start=1):
            blow = outcome.blow
            steps = f"{outcome.first_step}-{outcome.last_step}" if outcome.first_step else "none"
            rows.append(
                f"{number:>3} {blow.moment:<6} {blow.victim:<10} {blow.delay:>6.3f} {outcome.state:<8} "
                f"{outcome.code:<20} {steps:>11} {outcome.checkpoint:>5} {outcome.seconds:>7.1f}  "
                + " ".join(outcome.torn)
            )
        return "\n".join(rows)

    def _check(self, outcome: Outcome, saved: int, view: RunView) -> None:
        """Nothing saved is lost, the attempt went on from the newest checkpoint, and its end is told by its cause. An
        attempt that was just about to end by itself, or to stop as asked, may have done so."""
        said = self.table()
        assert outcome.first_step in (None, saved + 1), said
        assert outcome.checkpoint >= saved, said
        assert outcome.checkpoint <= outcome.last_step, said
        if view.progress and view.progress.last_checkpoint is not None:
            assert outcome.checkpoint >= view.progress.last_checkpoint, said
        if outcome.blow.moment == "stop" and outcome.state is RunState.STOPPED:
            assert outcome.checkpoint == outcome.last_step, said
        else:
            assert outcome.state is RunState.FAILED, said
            assert outcome.code in CAUSES[outcome.blow.victim], said

    def _checkpoint(self) -> int:
        """The step of the newest complete checkpoint; each one says inside what its name says."""
        found = complete_checkpoints(self.run.checkpoints)
        for checkpoint in found:
            inside = json.loads((checkpoint.path / PROGRESS).read_text())
            assert inside["position"]["step"] == checkpoint.step
        return found[-1].step if found else 0

    def _wait_for_moment(self, blow: Blow, records: int) -> None:
        if blow.moment == "start":
            return
        soon(self.run, lambda: len(all_losses(self.run)) >= records + blow.steps)
        if blow.moment == "save":
            soon(self.run, lambda: any(self.run.checkpoints.glob(f"{PARTIAL}*")), pause=0.0005)
        if blow.moment == "stop":
            request_stop(self.run)

    def _aim(self, victim: Victim) -> Callable[[], None]:
        """What kills the victim. Waits until it is there; a victim that has ended by itself is left alone."""
        if victim == "container":
            return self._aim_at_container()
        pid = soon(self.run, lambda: self._find(victim))
        identity = started(pid)
        return lambda: kill(pid, identity or 0.0)

    def _aim_at_container(self) -> Callable[[], None]:
        attempt = self.run.latest()
        assert attempt is not None
        launcher = launcher_named("docker")

        def running() -> Launch | None:  # recorded anew where the engine refuses an ulimit: looked at each time
            launch = read_record(Launch, attempt.launch)
            return launch if launch and isinstance(launcher.probe(launch.handle), Alive) else None

        handle = soon(self.run, running).handle
        return lambda: launcher.kill(handle)

    def _find(self, victim: Victim) -> int | None:
        """The process of the running attempt, as soon as it is there."""
        attempt, holder = self.run.latest(), read_holder(self.run.lock)
        if attempt is None or (holder.role, holder.attempt) != ("supervisor", attempt.number):
            return None
        if victim == "supervisor":
            return holder.pid
        pids = [process.pid for process in family(holder.pid)]
        if victim == "torchrun":
            return next((pid for pid in pids if " trainer.torchrun " in _command(pid)), None)
        rank = victim.removeprefix("rank ")
        return next(
            (pid for pid in pids if " -m trainer /" in _command(pid) and _environment(pid).get("RANK") == rank), None
        )


def soon(run: RunDirectory, look: Callable[[], T | None], pause: float = 0.02, seconds: float = 90) -> T:
    """What ``look`` finds, as soon as it finds something; the attempt must not end before."""
    until = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < until, state_of(run)
        assert run.latest() is not None
        assert not run.latest().exit.exists(), state_of(run)  # type: ignore[union-attr]
        time.sleep(pause)
    return found


def all_losses(run: RunDirectory) -> list[tuple[int, float]]:
    """Step and MLM loss of every whole record, also of steps that were made more than once."""
    layout = read_layout(run.metrics)
    if layout is None:
        return []
    data = run.metrics.read_bytes()[layout.offset :]
    whole = len(data) // layout.record_bytes * layout.record_bytes
    table = np.frombuffer(data[:whole], dtype="<f8").reshape(-1, len(layout.columns))
    step, loss = (table[:, layout.columns.index(name)] for name in ("step", "lm_loss"))
    return [(int(number), float(value)) for number, value in zip(step, loss, strict=True)]


def require_gone(run: RunDirectory) -> None:
    """Nothing of the run is left; a supervisor that has recorded the end may still be on its way out."""
    until = time.monotonic() + GONE_SECONDS
    while rest := processes_of(run):
        assert time.monotonic() < until, rest
        time.sleep(0.05)


def processes_of(run: RunDirectory) -> list[tuple[int, str]]:
    """Every process that has the run in its command line, and that line."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [(pid, command) for pid in pids if pid != os.getpid() and run.id in (command := _command(pid))]


def _command(pid: int) -> str:
    return _read(pid, "cmdline").replace("\0", " ")


def _environment(pid: int) -> dict[str, str]:
    return dict(item.partition("=")[::2] for item in _read(pid, "environ").split("\0"))


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace")
    except OSError:
        return ""
