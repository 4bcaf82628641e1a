"""Asking for runs and their ends: what is refused, and what is done at once. Real starters and supervisors."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from bert_tui.launchers.container_spec import ATTEMPT_LABEL, RUN_LABEL, container_name
from bert_tui.launchers.cpu_image import base_image
from bert_tui.launchers.docker import runs_by_label
from bert_tui.launchers.engine import connect
from bert_tui.presets import find_preset
from bert_tui.processes import is_alive, kill
from bert_tui.runs.control import kill_run, request_checkpoint, request_stop
from bert_tui.runs.create import create_run, resume_run
from bert_tui.runs.end import settle
from bert_tui.runs.job import weights_to_begin_with
from bert_tui.runs.prepare import PreparedData, check_weights, prepare_code, prepare_data, prepare_rows
from bert_tui.runs.registry import find_runs, link_run
from bert_tui.runs.state import RunState, state_of
from tests.runs.tiny import over, tiny_plan, wait_for
from tests.staged_run import StagedRun
from trainer.process_tree import family
from trainer.spec import preset_file
from trainer.spec.indexed_dataset import IndexedDatasetWriter
from trainer.spec.preset import Preset, replace
from trainer.spec.problem import DatasetError, PresetError, RunError, VocabularyError, WeightsError
from trainer.spec.records import Exit, Preparation, Request, read_record, to_json
from trainer.spec.resolved import Resolved
from trainer.spec.run_directory import AttemptDirectory, RunDirectory
from trainer.spec.run_lock import take_lock
from trainer.spec.saved_weights import SavedWeights, facts_to_save
from trainer.spec.sizing import Shape, shape_of

pytestmark = pytest.mark.timeout(120)

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b", "c"]


def silent(*_: object) -> None:
    return


@pytest.fixture
def files(tmp_path: Path) -> Preset:
    """A preset over a very small dataset of files."""
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("\n".join(PIECES) + "\n")
    with IndexedDatasetWriter(tmp_path / "text_sentence", len(PIECES)) as writer:
        for _ in range(100):
            writer.add_document([[5, 6, 7, 5], [7, 5, 6], [5, 5, 7]])
    paths = {"data__data_path": (str(tmp_path / "text_sentence"),), "data__vocab_file": str(vocabulary)}
    return replace(Preset(), data__source="files", data__split="8,1,1", model__sequence_length=32, **paths)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "runs" / "20260101-120000-test-0000")
    run.path.mkdir(parents=True)
    return run


def resolved(**values: Any) -> Resolved:
    known: dict[str, Any] = {
        "run_id": "",
        "preset_name": "",
        "data_fingerprint": "",
        "vocab_sha256": "",
        "image": "",
        "image_id": "",
        "code_sha256": "",
        "program_version": "",
    }
    return Resolved(device="cpu", ranks=1, threads=1, gpus=(), micro_batch=1, data_path=(), **(known | values))


def test_a_folder_that_cannot_be_written_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError) as refused:
        create_run(tiny_plan(tmp_path / "file"))
    assert refused.value.problems[0].code == "run.unwritable"
    assert "Not a directory" in refused.value.problems[0].english
    assert not [found for found in find_runs() if found.path.is_relative_to(tmp_path)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_runs_of_other_people_are_passed_over(run: RunDirectory) -> None:
    link_run(run)
    assert run.path in [found.path for found in find_runs()]
    run.path.chmod(0o000)
    assert run.path not in [found.path for found in find_runs()]
    run.path.chmod(0o700)


def test_a_plan_with_problems_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(PresetError):
        create_run(tiny_plan(tmp_path, "parallel.tensor=3"))
    assert not (tmp_path / "checkpoints").exists()


def test_what_the_starter_refuses_is_the_runs_end(tmp_path: Path) -> None:
    changes = ('data.source="files"', 'data.vocab_file="/nowhere/vocab.txt"', 'data.data_path=["/nowhere/text"]')
    run = create_run(tiny_plan(tmp_path, *changes))
    view = wait_for(run, over, 30)
    assert view.state is RunState.FAILED
    assert view.problem is not None
    assert (view.problem.code, view.problem.where) == ("vocabulary.absent", "/nowhere/vocab.txt")
    assert view.exit is not None
    assert view.exit.written_by == "starter"
    assert "no such file" in run.attempt(1).starter_log.read_text()
    with pytest.raises(RunError, match="nothing to stop"):
        request_stop(run)
    with pytest.raises(RunError, match="nothing to stop"):
        kill_run(run)


def test_a_kill_ends_preparation_and_training_at_once(tmp_path: Path) -> None:
    run = create_run(tiny_plan(tmp_path))
    preparation = wait_for(run, lambda view: view.preparation is not None).preparation
    assert preparation is not None
    kill_run(run)
    until = time.monotonic() + 5
    while is_alive(preparation.pid, preparation.pid_started) and time.monotonic() < until:
        time.sleep(0.02)
    assert not is_alive(preparation.pid, preparation.pid_started)
    assert state_of(run).state is RunState.STOPPED

    resume_run(run)
    view = wait_for(run, lambda view: view.state is RunState.RUNNING and view.phase == "start")
    assert view.launch is not None
    pids = [process.pid for process in family(view.launch.handle["pid"])]
    kill_run(run)
    until = time.monotonic() + 5
    while any(family(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.02)
    assert not any(family(pid) for pid in pids)
    view = settle(state_of(run))
    assert view.exit is not None
    assert (view.state, view.exit.signal, view.exit.written_by) == (RunState.STOPPED, 9, "viewer")


def test_requests_are_files_that_anyone_with_the_right_can_make(tmp_path: Path) -> None:
    staged = StagedRun(tmp_path)
    staged.launch()
    request_checkpoint(staged.directory)
    assert staged.attempt.checkpoint_request.exists()
    request_stop(staged.directory)
    assert state_of(staged.directory).state is RunState.STOPPING


def test_a_resume_that_was_killed_before_it_wrote_its_request_can_be_made_again(tmp_path: Path) -> None:
    run = create_run(tiny_plan(tmp_path))
    kill_run(run)
    torn = run.attempt(2)
    torn.path.mkdir()
    os.utime(torn.path, (0, 0))
    assert settle(state_of(run)).state is RunState.FAILED
    assert resume_run(run).number == 3
    assert read_record(Request, run.attempt(3).request) == read_record(Request, run.attempt(1).request)
    kill_run(run)


@pytest.mark.docker
def test_a_container_made_after_its_starters_death_is_removed_by_a_resume_or_by_the_next_look(tmp_path: Path) -> None:
    run = create_run(tiny_plan(tmp_path, 'launch.launcher="docker"'))
    preparation = wait_for(run, lambda view: view.preparation is not None).preparation
    assert preparation is not None
    kill(preparation.pid, preparation.pid_started)
    wait_for(run, over)
    make_container(run.attempt(1))
    resume_run(run)
    assert run.path not in runs_by_label()
    assert run.attempt(1).exit.exists()

    make_container(run.attempt(1))
    kill_run(run)
    settle(state_of(run))
    assert run.path not in runs_by_label()


def make_container(attempt: AttemptDirectory) -> None:
    """What the engine does with the last call of a starter that is killed meanwhile."""
    labels = {RUN_LABEL: str(attempt.run.path), ATTEMPT_LABEL: str(attempt.number)}
    connect().create_container(base_image(), ["true"], name=container_name(attempt), labels=labels)
    assert attempt.run.path in runs_by_label()


def test_an_end_that_nobody_wrote_is_recorded_once(tmp_path: Path) -> None:
    staged = StagedRun(tmp_path)
    staged.launch()
    launch = staged.attempt.launch.read_text()
    staged.attempt.launch.write_text(launch.replace(f'"pid":{os.getpid()}', '"pid":1'))  # not ours: it is gone
    first, second = settle(state_of(staged.directory)), settle(state_of(staged.directory))
    assert first.exit == second.exit == read_record(Exit, staged.attempt.exit)
    assert first.problem is not None
    assert first.problem.code == "end.supervisor_died"


def test_no_end_is_recorded_while_somebody_has_the_lock(tmp_path: Path) -> None:
    """A starter that died in the moment in which the supervisor took over."""
    run = RunDirectory(tmp_path / "20260101-120000-x-0000")
    attempt = run.attempt(1)
    attempt.path.mkdir(parents=True)
    gone = Preparation("launch", time.time(), 3, 2**22, 1.0, socket.gethostname())
    attempt.preparation.write_text(to_json(gone))
    assert state_of(run).state is RunState.FAILED
    lock = take_lock(attempt, "supervisor")
    settle(state_of(run))
    assert not attempt.exit.exists()
    lock.release()
    assert settle(state_of(run)).exit is not None


def test_data_or_vocabulary_that_changed_since_the_first_attempt_are_refused(files: Preset, run: RunDirectory) -> None:
    data = prepare_data(run, files, None, silent)
    mark = prepare_rows(run, files, data, None, silent)
    assert data.vocab_size == len(PIECES)
    first = resolved(vocab_sha256=data.vocab_sha256, data_fingerprint=mark)
    assert prepare_rows(run, files, prepare_data(run, files, first, silent), first, silent) == mark

    binary = Path(f"{files.data.data_path[0]}.bin")
    content = bytearray(binary.read_bytes())
    content[0] = 7
    binary.write_bytes(content)
    with pytest.raises(DatasetError) as refused:
        prepare_rows(run, files, PreparedData(data.data_path, data.vocab_size, data.vocab_sha256), first, silent)
    assert refused.value.problems[0].code == "run.data_changed"

    run.vocabulary.write_text("\n".join([*PIECES, "d"]) + "\n")
    with pytest.raises(VocabularyError) as changed:
        prepare_data(run, files, first, silent)
    assert changed.value.problems[0].code == "run.vocabulary_changed"


def test_a_vocabulary_of_another_size_than_the_preset_says_is_refused(files: Preset, run: RunDirectory) -> None:
    with pytest.raises(VocabularyError) as refused:
        prepare_data(run, replace(files, model__vocab_size=30522), None, silent)
    assert refused.value.problems[0].code == "vocabulary.size"
    assert not run.vocabulary.exists()


def test_weights_to_begin_with_are_needed_until_the_run_has_a_checkpoint(
    files: Preset, run: RunDirectory, tmp_path: Path
) -> None:
    weights = tmp_path / "weights"
    sizes = {"model__layers": 1, "model__hidden": 8, "model__heads": 1}
    preset = replace(files, train__init_from=str(weights), **sizes)
    data = prepare_data(run, preset, None, silent)

    def refused() -> list[str]:
        with pytest.raises(WeightsError) as caught:
            check_weights(run, preset, data)
        return [problem.code for problem in caught.value.problems]

    assert refused() == ["weights.absent"]
    shape = shape_of(preset.model, data.vocab_size)
    _write_facts(weights, shape, data.vocab_sha256)
    check_weights(run, preset, data)
    _write_facts(weights, shape, "0" * 64)
    assert refused() == ["weights.other_vocabulary"]
    _write_facts(weights, dataclasses.replace(shape, layers=2, vocab_size=9), data.vocab_sha256)
    assert refused() == ["weights.other_model", "weights.vocabulary_size"]
    (weights / "progress.json").write_text('{"identity": {"model": {"layer_order": "?"}}}')
    assert refused() == ["weights.unreadable"]
    _write_facts(run.checkpoints / "step-00000001", shape, data.vocab_sha256)
    check_weights(run, preset, data)
    assert weights_to_begin_with(run, preset) == ()


def _write_facts(folder: Path, shape: Shape, vocab_sha256: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".metadata").touch()
    facts = facts_to_save(SavedWeights(folder, shape, True, vocab_sha256))
    (folder / "progress.json").write_text(json.dumps(facts))


def test_a_run_keeps_its_code_until_it_is_told_otherwise(run: RunDirectory) -> None:
    mark = prepare_code(run, update=False, show=silent)
    changed = run.code / "trainer" / "train.py"
    changed.write_text("# as it was when the run began\n")
    kept = prepare_code(run, update=False, show=silent)
    assert kept != mark
    assert changed.read_text().startswith("# as it was")
    assert prepare_code(run, update=True, show=silent) == mark
    assert (run.code / "pynvml.py").is_file()
    assert not list(run.path.glob(".code*"))


def test_the_request_replays_the_run(tmp_path: Path) -> None:
    plan = tiny_plan(tmp_path)
    run = create_run(plan)
    assert preset_file.read_preset(run.request, find_preset) == plan.preset
    kill_run(run)


def test_without_a_place_for_its_link_no_run_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with pytest.raises(RunError, match="cannot be written"):
        create_run(tiny_plan(tmp_path))
    assert list((tmp_path / "checkpoints").iterdir()) == []
