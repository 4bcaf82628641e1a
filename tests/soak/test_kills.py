"""Whatever is killed and whenever: the run goes on from its newest checkpoint, to the same losses."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bert_tui.launchers.container_spec import RUN_LABEL
from bert_tui.processes import kill
from bert_tui.runs.control import kill_run
from bert_tui.runs.create import create_run, resume_run
from bert_tui.runs.end import settle
from bert_tui.runs.registry import find_runs
from bert_tui.runs.state import RunState, RunView, state_of
from tests.runs.tiny import losses, over, tiny_plan, wait_for
from tests.soak.kills import SETTINGS, Blow, Campaign, all_losses, draw_blows, require_gone, soon
from trainer.spec.checkpoint_folder import PARTIAL
from trainer.spec.records import Preparation, read_record
from trainer.spec.run_directory import RunDirectory

ROUNDS = int(os.environ.get("BERT_TUI_SOAK_ROUNDS", "40"))
"""``make soak`` makes 40, in some minutes; the promise is kept for BERT_TUI_SOAK_ROUNDS=100."""
CONTAINER_ROUNDS = max(1, ROUNDS // 4)
STEPS_A_ROUND = 15
"""More than an attempt makes before it is struck."""
STEPS_A_CONTAINER = 60
"""The same, where the blow goes by way of the engine and takes some tenths of a second longer."""
FEW_BLOWS = (
    Blow("start", "rank 1", 3, 2.0),
    Blow("save", "rank 0", 3, 0.02),
    Blow("stop", "torchrun", 4, 0.4),
    Blow("save", "supervisor", 8, 0.03),
    Blow("save", "rank 1", 2, 0.01),
)


@pytest.fixture(autouse=True)
def nothing_left_running(own_state_folder: Path, tmp_path: Path) -> Iterator[None]:
    """Ends what a failing test left behind; labels of containers show everybody's runs."""
    yield
    for run in find_runs():
        if run.path.is_relative_to(tmp_path) and state_of(run).state.active:
            kill_run(run)


def start(folder: Path, steps: int, *settings: str) -> RunDirectory:
    """The run that the campaigns disturb."""
    return create_run(tiny_plan(folder, *SETTINGS, f"train.steps={steps}", *settings))


def undisturbed(folder: Path, steps: int) -> RunDirectory:
    """The same run, left alone."""
    run = start(folder, steps)
    assert wait_for(run, over, 400).state is RunState.FINISHED
    return run


def carry_out(campaign: Campaign, blows: list[Blow]) -> None:
    try:
        for blow in blows:
            campaign.suffer(blow)
        campaign.finish()
    finally:
        print(f"\n{campaign.table()}")


def require_clean(run: RunDirectory) -> None:
    """Steps that were made twice gave the same loss both times, and the end is tidy."""
    by_step: dict[int, set[float]] = {}
    for step, loss in all_losses(run):
        by_step.setdefault(step, set()).add(loss)
    assert {step: seen for step, seen in by_step.items() if len(seen) > 1} == {}
    assert not list(run.checkpoints.glob(f"{PARTIAL}*"))
    require_gone(run)


@pytest.mark.timeout(150)
def test_five_kills(tmp_path: Path) -> None:
    """Not the whole campaign: no second run to compare with, but steps made twice are compared."""
    campaign = Campaign(start(tmp_path, 120))
    carry_out(campaign, list(FEW_BLOWS))
    require_clean(campaign.run)


@pytest.mark.soak
@pytest.mark.timeout(max(1200, 30 * ROUNDS))
def test_many_kills(tmp_path: Path) -> None:
    left_alone = undisturbed(tmp_path, STEPS_A_ROUND * ROUNDS)
    campaign = Campaign(start(tmp_path, STEPS_A_ROUND * ROUNDS))
    carry_out(
        campaign,
        draw_blows(
            22,
            ROUNDS,
            victims=("rank 0", "rank 1", "torchrun", "supervisor"),
            moments=("start", "step", "save", "save", "stop"),
        ),
    )
    assert losses(campaign.run) == losses(left_alone)
    require_clean(campaign.run)
    torn = sum(bool(outcome.torn) for outcome in campaign.outcomes)
    print(f"{ROUNDS} kills, each survived by its newest complete checkpoint; {torn} left a torn one beside it")
    assert torn or ROUNDS < 20, "no kill has met a checkpoint half written: the campaign shows little"


@pytest.mark.soak
@pytest.mark.docker
@pytest.mark.timeout(600)
def test_killed_containers(tmp_path: Path) -> None:
    steps = STEPS_A_CONTAINER * CONTAINER_ROUNDS
    left_alone = undisturbed(tmp_path, steps)
    campaign = Campaign(start(tmp_path, steps, 'launch.launcher="docker"'))
    carry_out(campaign, draw_blows(5, CONTAINER_ROUNDS, ("container",), ("start", "step", "save", "save", "stop")))
    assert losses(campaign.run).keys() == losses(left_alone).keys()  # the image's torch may round otherwise
    require_clean(campaign.run)
    assert containers_of(campaign.run) == []


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_killed_starters(tmp_path: Path) -> None:
    """The starter dies while it builds dataset, vocabulary and index, copies the code, hands over."""
    left_alone = undisturbed(tmp_path / "alone", 40)
    run, chance = start(tmp_path / "killed", 40), random.Random(7)
    for _ in range(ROUNDS // 2):
        built = any(run.data_cache.glob("*/*.idx"))
        note_end(run, kill_starter(run, chance.uniform(0.0, 0.25 if built else 6.0)))
        resume_run(run)
    assert settle(wait_for(run, over)).state is RunState.FINISHED
    assert losses(run) == losses(left_alone)
    require_gone(run)


@pytest.mark.soak
@pytest.mark.docker
@pytest.mark.timeout(300)
def test_starters_killed_at_a_container(tmp_path: Path) -> None:
    """The starter dies around the making and the start of the container."""
    run, chance = start(tmp_path, 40, 'launch.launcher="docker"'), random.Random(3)
    for _ in range(max(1, ROUNDS // 5)):
        note_end(run, kill_starter(run, chance.uniform(0.0, 1.5), phase="launch"))
        require_no_container(run)
        resume_run(run)
    assert settle(wait_for(run, over, 120)).state is RunState.FINISHED
    assert containers_of(run) == []


def kill_starter(run: RunDirectory, delay: float, phase: str = "") -> str:
    """Kills the starter of the latest attempt; gives the phase in which it was."""
    attempt = run.latest()
    assert attempt is not None

    def there() -> Preparation | None:
        preparation = read_record(Preparation, attempt.preparation)
        return preparation if preparation and phase in ("", preparation.phase) else None

    preparation = soon(run, there)
    time.sleep(delay)
    kill(preparation.pid, preparation.pid_started)
    last = read_record(Preparation, attempt.preparation)
    return last.phase if last else ""


def note_end(run: RunDirectory, phase: str) -> None:
    """An attempt whose starter died has failed for that, unless it had been launched: then it is ended here."""
    view = wait_for(run, lambda view: over(view) or view.status is not None, 30)
    launched = not over(view)
    if launched:
        kill_run(run)
        view = wait_for(run, over, 30)
    view = settle(view)
    print(f"starter killed at {phase:<7} -> {view.state:<8} {view.problem.code if view.problem else ''}")
    assert launched or explained(view), view


def explained(view: RunView) -> bool:
    return view.problem is not None and view.problem.code in ("start.died", "start.no_supervisor")


def require_no_container(run: RunDirectory) -> None:
    """The engine may still make what a starter asked for in its last moment: whoever looks next removes it."""
    until = time.monotonic() + 10
    while containers_of(run):
        assert time.monotonic() < until
        settle(state_of(run))
        time.sleep(0.2)


def containers_of(run: RunDirectory) -> list[str]:
    """Containers of the run, running or not."""
    from bert_tui.launchers.engine import connect

    found = connect().containers(all=True, filters={"label": f"{RUN_LABEL}={run.path}"})
    return [container["Id"] for container in found]
