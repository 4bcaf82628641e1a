"""Deleting runs: what goes, what stays, and what is refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from bert_tui.cli import main
from bert_tui.exit_status import ExitStatus
from bert_tui.runs.create import create_run
from bert_tui.runs.delete import DELETED, belongings_of, delete_run
from bert_tui.runs.registry import find_runs, links_folder
from bert_tui.runs.state import RunState
from tests.runs.tiny import over, tiny_plan, training, wait_for
from trainer.spec.problem import RunError
from trainer.spec.run_directory import RunDirectory
from trainer.spec.run_lock import take_lock

pytestmark = pytest.mark.timeout(120)


def test_a_run_that_trains_is_refused_and_one_that_is_over_goes_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = create_run(tiny_plan(tmp_path, "train.steps=40"))
    wait_for(run, training)
    with pytest.raises(RunError) as refused:
        delete_run(run)
    assert refused.value.problems[0].code == "run.locked"
    assert wait_for(run, over).state is RunState.FINISHED

    owned = belongings_of(run)
    on_disk = sum(_bytes_in(folder) for folder in (run.path, tmp_path / "tensorboard" / run.id))
    assert owned.checkpoints[-1] == 40
    assert owned.tensorboard == tmp_path / "tensorboard" / run.id
    assert 0.7 * on_disk < owned.bytes < 1.3 * on_disk + (4 << 20)

    assert main(["delete", run.id]) == ExitStatus.USAGE  # nobody to ask
    assert run.path.is_dir()
    interrupted = run.path.with_name(f"{DELETED}20260101-120000-test-0000")
    shutil.copytree(run.path, interrupted)
    assert main(["delete", run.id, "--yes"]) == ExitStatus.FINISHED
    assert "step 40" in capsys.readouterr().out
    assert not run.path.exists()
    assert not owned.tensorboard.exists()
    assert not interrupted.exists()
    assert not (links_folder() / run.id).is_symlink()
    assert run.id not in [found.id for found in find_runs([run.path.parent])]
    assert any(run.data_cache.iterdir()), "the data that runs share has gone too"


def _bytes_in(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))


@pytest.fixture
def made(tmp_path: Path) -> RunDirectory:
    """Made, and never started: its maker was killed."""
    run = RunDirectory(tmp_path / "20260101-120000-test-0000")
    (run.path / "attempts").mkdir(parents=True)
    return run


def test_a_held_lock_and_a_folder_that_may_not_be_changed_are_refused_by_name(made: RunDirectory) -> None:
    attempt = made.attempt(1)
    attempt.path.mkdir()
    lock = take_lock(attempt, "starter")
    with pytest.raises(RunError) as held:
        delete_run(made)
    assert held.value.problems[0].params["pid"] == os.getpid()
    lock.release()
    attempt.path.rmdir()

    if os.geteuid() != 0:  # root may always
        made.path.parent.chmod(0o500)
        with pytest.raises(RunError) as unwritable:
            delete_run(made)
        made.path.parent.chmod(0o700)
        assert unwritable.value.problems[0].code == "run.unremovable"
        assert made.path.is_dir()
    delete_run(made)
    assert not made.path.exists()


def test_somebody_elses_run_is_not_ours_to_delete(made: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: made.path.stat().st_uid + 4321)
    with pytest.raises(RunError) as refused:
        delete_run(made)
    assert refused.value.problems[0].code == "run.not_yours"
    assert made.path.is_dir()
