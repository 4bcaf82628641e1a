"""One run through everything that can happen to it, with the real trainer, beside an undisturbed one."""

from __future__ import annotations

import getpass
import os
import signal
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bert_tui.launchers.local import LocalLauncher
from bert_tui.launchers.protocol import Exited
from bert_tui.machine import read_machine
from bert_tui.plan import make_plan
from bert_tui.presets import find_preset
from bert_tui.runs.control import kill_run, request_stop
from bert_tui.runs.create import create_run, resume_run
from bert_tui.runs.end import settle
from bert_tui.runs.job import describe_plan
from bert_tui.runs.registry import find_run, find_runs
from bert_tui.runs.replay import name_of, replay_of
from bert_tui.runs.state import RunState, RunView, state_of
from tests.runs.tiny import STEPS, losses, over, tiny_plan, training, wait_for
from trainer.process_tree import Process, family
from trainer.spec.checkpoint_folder import complete_checkpoints
from trainer.spec.preset_file import read_preset
from trainer.spec.problem import Problem, RunError
from trainer.spec.records import Holder, Launch, Telemetry, from_json, read_record
from trainer.spec.resolved import read_resolved
from trainer.spec.run_directory import RunDirectory

pytestmark = pytest.mark.timeout(280)


@dataclass
class History:
    """What was seen of the two runs."""

    undisturbed: RunDirectory
    disturbed: RunDirectory
    states: list[RunState] = field(default_factory=list)
    ends: dict[str, RunView] = field(default_factory=dict)
    refusals: dict[str, Problem] = field(default_factory=dict)
    checkpoint_steps: dict[str, int] = field(default_factory=dict)
    survivors: dict[str, list[int]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    plan = tiny_plan(tmp_path_factory.mktemp("runs"))
    disturbed = create_run(plan)
    ends = _disturb_preparation(disturbed)  # first: while the data is not there yet, a starter has much to do
    undisturbed = create_run(plan)
    kept = History(undisturbed, disturbed, ends=ends)

    def noted(view: RunView) -> bool:
        if view.state not in kept.states:
            kept.states.append(view.state)
        return over(view)

    wait_for(undisturbed, noted)
    _disturb_training(kept)
    yield kept
    for run in (undisturbed, disturbed):
        if state_of(run).state.active:
            kill_run(run)


def _disturb_preparation(run: RunDirectory) -> dict[str, RunView]:
    preparation = wait_for(run, lambda view: view.preparation is not None).preparation
    assert preparation is not None
    os.kill(preparation.pid, signal.SIGKILL)
    killed = settle(wait_for(run, over))

    resume_run(run)
    request_stop(run)
    return {"starter killed": killed, "stopped while preparing": settle(wait_for(run, over))}


def _disturb_training(kept: History) -> None:
    run = kept.disturbed

    resume_run(run)
    wait_for(run, training)
    kept.refusals["resume"] = _refusal(lambda: resume_run(run))
    os.kill(_holder(run).pid, signal.SIGTERM)
    _note_end(kept, "supervisor terminated")

    resume_run(run)
    wait_for(run, training)
    os.kill(_process(run, "-m trainer /").pid, signal.SIGKILL)
    _note_end(kept, "rank killed")

    resume_run(run)
    wait_for(run, training)
    os.kill(_process(run, "trainer.torchrun").pid, signal.SIGKILL)
    _note_end(kept, "torchrun killed")

    resume_run(run)
    wait_for(run, training)
    os.kill(_holder(run).pid, signal.SIGKILL)
    _note_end(kept, "supervisor killed")

    resume_run(run)
    wait_for(run, training)
    request_stop(run)
    _note_end(kept, "stopped by file")

    resume_run(run)
    _note_end(kept, "finished")
    kept.refusals["nothing left"] = _refusal(lambda: resume_run(run))


def _note_end(kept: History, name: str) -> None:
    """Waits for the end, and for every process of the attempt to be gone."""
    run = kept.disturbed
    kept.ends[name] = settle(wait_for(run, over))
    until = time.monotonic() + 10
    while (rest := _mine(run)) and time.monotonic() < until:
        time.sleep(0.05)
    kept.survivors[name] = rest
    kept.checkpoint_steps[name] = complete_checkpoints(run.checkpoints)[-1].step


def _holder(run: RunDirectory) -> Holder:
    holder = from_json(Holder, run.lock.read_text())
    assert holder is not None
    return holder


def _process(run: RunDirectory, command: str) -> Process:
    """A process of the running attempt, by a part of its command line."""
    return next(process for process in family(_holder(run).pid) if command in _command(process.pid))


def _mine(run: RunDirectory) -> list[int]:
    """Every process that has the run in its command line."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [pid for pid in pids if run.id in _command(pid)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _refusal(act: object) -> Problem:
    with pytest.raises(RunError) as refused:
        act()  # type: ignore[operator]
    return refused.value.problems[0]


def test_run_toml_repeats_the_run(history: History) -> None:
    """Two runs of one plan, and the plan made of what they were resolved to: all the same."""
    path, run = history.undisturbed.preset, history.undisturbed
    assert path.read_text() == history.disturbed.preset.read_text().replace(history.disturbed.id, run.id)
    again = make_plan(read_preset(path, find_preset), name_of(path), read_machine())
    replay = replay_of(path, again)
    assert replay is not None
    assert (replay.run_id, replay.lines) == (run.id, ())
    resolved = read_resolved(path)[1]
    assert (again.name, again.ranks, again.threads, again.micro_batch, again.gpus) == (
        resolved.preset_name, resolved.ranks, resolved.threads, resolved.micro_batch, resolved.gpus,
    )  # fmt: skip
    launch = read_record(Launch, run.attempt(1).launch)
    assert launch is not None
    assert describe_plan(again).replace("RUN_ID", run.id) == launch.command


def test_an_undisturbed_run_is_prepared_trained_and_finished(history: History) -> None:
    assert history.states[-3:] == [RunState.PREPARING, RunState.RUNNING, RunState.FINISHED]
    view = state_of(history.undisturbed)
    assert view.exit is not None
    assert (view.exit.outcome, view.exit.step, view.exit.written_by) == ("finished", STEPS, "supervisor")
    assert sorted(losses(history.undisturbed)) == list(range(1, STEPS + 1))


def test_a_disturbed_run_ends_with_the_same_losses_to_the_last_bit(history: History) -> None:
    assert history.ends["finished"].state is RunState.FINISHED
    assert losses(history.disturbed) == losses(history.undisturbed)


@pytest.mark.parametrize(
    ("disturbance", "state", "code", "written_by"),
    [
        ("starter killed", RunState.FAILED, "start.died", "viewer"),
        ("stopped while preparing", RunState.STOPPED, None, "starter"),
        ("supervisor terminated", RunState.STOPPED, None, "supervisor"),
        ("rank killed", RunState.FAILED, "end.rank_killed", "supervisor"),
        ("torchrun killed", RunState.FAILED, "end.torchrun_killed", "supervisor"),
        ("supervisor killed", RunState.FAILED, "end.supervisor_died", "viewer"),
        ("stopped by file", RunState.STOPPED, None, "supervisor"),
    ],
)
def test_each_end_is_told_by_its_cause(
    history: History, disturbance: str, state: RunState, code: str | None, written_by: str
) -> None:
    view = history.ends[disturbance]
    assert view.state is state
    assert view.exit is not None
    assert view.exit.written_by == written_by
    assert (view.problem.code if view.problem else None) == code


@pytest.mark.parametrize("disturbance", ["supervisor terminated", "stopped by file"])
def test_a_stop_saves_a_checkpoint_of_its_last_step(history: History, disturbance: str) -> None:
    exit = history.ends[disturbance].exit
    assert exit is not None
    assert history.checkpoint_steps[disturbance] == exit.step


def test_nothing_outlives_an_attempt_however_it_ends(history: History) -> None:
    assert set(history.survivors) >= {"rank killed", "torchrun killed", "supervisor killed"}
    assert not any(history.survivors.values()), history.survivors
    assert not list(history.disturbed.cache.rglob("torchelastic_*"))


def test_a_second_start_is_refused_naming_the_holder(history: History) -> None:
    refusal = history.refusals["resume"]
    assert refusal.code == "run.locked"
    assert refusal.params["user"] == getpass.getuser()
    assert refusal.params["host"] == socket.gethostname()
    assert history.refusals["nothing left"].code == "run.nothing_left"


def test_two_viewers_agree_and_the_exit_record_stays(history: History) -> None:
    run = history.disturbed
    record = run.attempt(2).exit.read_bytes()
    views = [settle(state_of(run)), settle(state_of(RunDirectory(run.path)))]
    assert views[0] == views[1]
    assert run.attempt(2).exit.read_bytes() == record


def test_every_file_and_folder_is_its_owners_alone(history: History) -> None:
    for run in (history.undisturbed, history.disturbed):
        for path in (run.path, *run.path.rglob("*")):
            assert stat.S_IMODE(path.lstat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_run_is_found_by_its_link_its_name_and_its_folder(history: History, own_state_folder: Path) -> None:
    run = history.disturbed
    assert find_run("latest").id == max(run.id, history.undisturbed.id)
    assert find_run(run.id[:-1]).path == run.path
    (own_state_folder / "bert-tui" / "runs" / run.id).unlink()
    assert run.id not in [found.id for found in find_runs()]
    assert run.id in [found.id for found in find_runs([run.path.parent])]
    assert find_run(str(run.path)).path == run.path
    with pytest.raises(RunError, match="begins the names of several"):
        find_run("2", [run.path.parent])
    with pytest.raises(RunError, match="no run"):
        find_run("nothing")


def test_telemetry_has_a_line_a_second(history: History) -> None:
    attempt = history.undisturbed.attempt(1)
    (file,) = attempt.telemetry.iterdir()
    readings = [from_json(Telemetry, line) for line in file.read_text().splitlines()]
    assert len(readings) >= 3
    last = readings[-1]
    assert last is not None
    assert len(last.cores) == os.cpu_count()
    # The last reading may be of a run whose ranks have gone.
    assert max((reading.run_memory or 0) for reading in readings if reading is not None) > 100 << 20
    assert any(reading is not None and (reading.run_cpu or 0) > 20 for reading in readings)


def test_the_process_is_found_again_until_it_ends(history: History) -> None:
    launch = state_of(history.undisturbed).launch
    assert launch is not None
    assert LocalLauncher().probe(launch.handle) == Exited(None)
    assert str(history.undisturbed.attempt(1).path) in launch.command


def test_what_cannot_change_on_a_resume_names_itself(history: History) -> None:
    with pytest.raises(RunError) as refused:
        resume_run(history.undisturbed, ["model.hidden=256", "train.steps=200", "data.seed=1"])
    assert [problem.where for problem in refused.value.problems] == ["model.hidden", "data.seed"]
    assert len(list(history.undisturbed.attempts())) == 1
