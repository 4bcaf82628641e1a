"""The state of a run, computed by whoever looks; nobody writes it. ``docs/architecture.md`` has the table."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from bert_tui.launchers import launcher_named
from bert_tui.launchers.protocol import Alive, Exited, Handle, Probe, Unknown
from bert_tui.processes import host_name, is_alive
from bert_tui.runs.heartbeat import STALE_SECONDS, HeartbeatWatch
from trainer.spec.problem import EnvironmentRefused, Problem, RunError
from trainer.spec.records import Exit, Launch, Phase, Preparation, Progress, Status, read_record
from trainer.spec.run_directory import AttemptDirectory, RunDirectory
from trainer.spec.run_lock import holder


class RunState(StrEnum):
    """What a run is doing."""

    CREATED = "created"
    PREPARING = "preparing"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"
    LOST = "lost"

    @property
    def active(self) -> bool:
        """Whether something of it may still be at work and can be asked to stop."""
        return self in (RunState.CREATED, RunState.PREPARING, RunState.RUNNING, RunState.STOPPING)


NOT_ASKED = Unknown("")


@dataclass(frozen=True)
class Evidence:
    """What the state is computed from. Only the last attempt counts."""

    stop_asked: bool = False
    preparation: Preparation | None = None
    launch: Launch | None = None
    status: Status | None = None
    exit: Exit | None = None
    probe: Probe = NOT_ASKED
    """Of the starter until it has handed over, of what it launched from then on."""
    stale: bool = False
    """Whether the last heartbeat, the supervisor's or else the starter's, has been silent for too long."""

    @property
    def launched(self) -> bool:
        """Whether the starter has handed over."""
        return self.launch is not None or self.status is not None


@dataclass(frozen=True)
class RunView:
    """A run at one moment, for a screen or a line of text."""

    run: RunDirectory
    attempt: AttemptDirectory | None
    state: RunState
    phase: Phase | None
    since: float | None
    """Unix time at which the phase began, or the attempt ended."""
    preparation: Preparation | None = None
    launch: Launch | None = None
    status: Status | None = None
    progress: Progress | None = None
    exit: Exit | None = None
    problem: Problem | None = None
    """Why it failed."""
    stale: bool = False
    """It should be alive, but has not been heard of for a while."""
    unknown_reason: str = ""
    """Why it cannot be told whether it runs."""


def decide(evidence: Evidence) -> RunState:
    """The state that follows from the evidence."""
    if evidence.exit:
        return RunState(evidence.exit.outcome)
    if isinstance(evidence.probe, Exited):
        return RunState.FAILED
    if isinstance(evidence.probe, Unknown) and evidence.stale:
        return RunState.LOST if evidence.launched or evidence.preparation else RunState.FAILED
    if evidence.stop_asked or (evidence.status and evidence.status.state == "stopping"):
        return RunState.STOPPING
    if evidence.status:
        return RunState.RUNNING
    return RunState.PREPARING if evidence.launched or evidence.preparation else RunState.CREATED


def cause(evidence: Evidence) -> Problem | None:
    """Why a run without an exit record has failed, as far as a viewer can tell."""
    if evidence.exit:
        return evidence.exit.problem
    if isinstance(evidence.probe, Exited) and evidence.probe.out_of_memory:
        return Problem("end.supervisor_memory")
    if evidence.status:
        return Problem("end.supervisor_died")
    if evidence.launch:
        return Problem("start.no_supervisor", "", evidence.launch.launcher)
    return Problem("start.died", evidence.preparation.phase if evidence.preparation else "data")


Prober = Callable[[Handle], Probe]


def probe_handle(handle: Handle) -> Probe:
    """Asks the launcher that a handle names."""
    try:
        return launcher_named(str(handle.get("launcher"))).probe(handle)
    except EnvironmentRefused as refusal:
        return Unknown(str(refusal))
    except ValueError as error:
        return Unknown(str(error))


def state_of(
    run: RunDirectory,
    probe: Prober = probe_handle,
    watch: HeartbeatWatch | None = None,
    clock: Callable[[], float] = time.time,
) -> RunView:
    """Looks at a run. ``watch`` is the viewer's memory of heartbeats; who looks only once needs none."""
    attempt = run.latest()
    if attempt is None:
        return RunView(run, None, RunState.CREATED, None, None)
    evidence = _look(attempt, probe, watch or HeartbeatWatch(), clock)
    if isinstance(evidence.probe, Exited) and evidence.exit is None:
        # It may have ended, or handed over, between two files we read. What is absent now will never be there.
        evidence = _look(attempt, probe, watch or HeartbeatWatch(), clock)
        if isinstance(evidence.probe, Exited) and _is_held(run):
            # A starter that died in handing over, or a supervisor whose end is not complete.
            evidence = replace(evidence, probe=Alive())
    state = decide(evidence)
    progress = read_record(Progress, attempt.progress)
    phase, since = _phase(evidence, progress)
    return RunView(
        run,
        attempt,
        state,
        phase,
        since,
        evidence.preparation,
        evidence.launch,
        evidence.status,
        progress,
        evidence.exit,
        cause(evidence) if state is RunState.FAILED else None,
        evidence.stale and state.active,
        evidence.probe.reason if isinstance(evidence.probe, Unknown) else "",
    )


def _look(attempt: AttemptDirectory, probe: Prober, watch: HeartbeatWatch, clock: Callable[[], float]) -> Evidence:
    preparation = read_record(Preparation, attempt.preparation)
    launch = read_record(Launch, attempt.launch)
    status = read_record(Status, attempt.status)
    exit = read_record(Exit, attempt.exit)
    return Evidence(
        stop_asked=attempt.stop_request.exists(),
        preparation=preparation,
        launch=launch,
        status=status,
        exit=exit,
        probe=NOT_ASKED if exit else _probe(preparation, launch, status, probe),
        stale=_is_stale(attempt, preparation, launch, status, watch, clock),
    )


def _probe(preparation: Preparation | None, launch: Launch | None, status: Status | None, probe: Prober) -> Probe:
    """A launch is recorded before what is launched runs, and may take two tries: until the supervisor has spoken, a
    living starter is word enough."""
    starter = _probe_starter(preparation)
    if status is None and (isinstance(starter, Alive) or launch is None):
        return starter
    return probe(launch.handle) if launch else Unknown("launch.json is missing")


def _probe_starter(preparation: Preparation | None) -> Probe:
    if preparation is None:
        return Unknown("the starter has not said a word yet")
    if preparation.host != host_name():
        return Unknown(f"it is prepared on {preparation.host}, this is {host_name()}")
    return Alive() if is_alive(preparation.pid, preparation.pid_started) else Exited(None)


def _is_stale(
    attempt: AttemptDirectory,
    preparation: Preparation | None,
    launch: Launch | None,
    status: Status | None,
    watch: HeartbeatWatch,
    clock: Callable[[], float],
) -> bool:
    if status:
        return watch.is_stale(attempt.status, status.heartbeat)
    if launch:
        return clock() - launch.started > STALE_SECONDS
    if preparation:
        return watch.is_stale(attempt.preparation, preparation.heartbeat)
    try:
        return clock() - attempt.path.stat().st_mtime > STALE_SECONDS
    except FileNotFoundError:  # deleted while we look
        return True


def _is_held(run: RunDirectory) -> bool:
    """Whether somebody works on the run, whatever else is known of it."""
    try:
        return holder(run) is not None
    except RunError:  # somebody else's, who does not let us look
        return False


def _phase(evidence: Evidence, progress: Progress | None) -> tuple[Phase | None, float | None]:
    """The trainer's word where it trains, else the supervisor's, else the starter's."""
    if evidence.exit:
        return "end", evidence.exit.when
    if evidence.status and evidence.status.phase == "train" and progress:
        return progress.phase, progress.phase_since
    if evidence.status:
        return evidence.status.phase, evidence.status.since
    if evidence.launch:
        return "launch", evidence.launch.started
    if evidence.preparation:
        return evidence.preparation.phase, evidence.preparation.since
    return None, None
