"""A run at one moment, and in words."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bert_tui.metrics.pace import measure_pace
from bert_tui.metrics.run_view import RunWatcher
from bert_tui.metrics.sentences import (
    Headline,
    count,
    duration,
    headline,
    hint,
    next_step,
    remedy,
    share_done,
    size,
    time_left_words,
)
from bert_tui.metrics.snapshot import Snapshot
from bert_tui.metrics.waiting import Overdue, overdue
from bert_tui.runs.state import RunState
from tests.staged_run import StagedRun, training_run
from trainer.spec.problem import Problem
from trainer.spec.records import Phase


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def look(run: StagedRun) -> Snapshot:
    return RunWatcher(run.directory).poll()


def test_a_snapshot_holds_all_that_is_shown(tmp_path: Path) -> None:
    run = training_run(tmp_path)
    snapshot = look(run)
    assert snapshot.view.state is RunState.RUNNING
    assert (snapshot.step, snapshot.total_steps) == (412, 700)
    assert [bin.step for bin in snapshot.losses.lm.bins] == list(range(1, 413))
    assert [bin.step for bin in snapshot.losses.lm_validation.bins] == [100, 200, 300, 400]
    assert [(saved.step, saved.bytes) for saved in snapshot.checkpoints] == [(200, 12_400_002), (400, 12_400_002)]
    assert snapshot.facts.launcher == "local"
    assert snapshot.facts.tensorboard == tmp_path / "tensorboard" / run.directory.id
    assert snapshot.nodes[0].latest.run_memory == 912_000_000
    assert snapshot.log.lines[-1].startswith("[rank0] step 400/700")


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ("data", "Building the sample text"),
        ("index", "Working out the order"),
        ("image", "Getting the container image"),
        ("code", "Copying the trainer"),
        ("launch", "Starting the processes"),
    ],
)
def test_each_phase_of_the_preparation_has_words(tmp_path: Path, phase: Phase, words: str) -> None:
    run = StagedRun(tmp_path)
    run.prepare(phase, done=3.0, total=4.0, unit="files")
    snapshot = look(run)
    assert headline(snapshot).text == f"{headline(snapshot).text.partition(':')[0]}: 3 of 4 files"
    assert headline(snapshot).text.startswith(words)
    assert share_done(snapshot) == 0.75


def test_the_sentences_of_training_and_of_every_end(tmp_path: Path) -> None:
    run = training_run(tmp_path)
    assert headline(look(run)).text == "Training: step 412 of 700, 1 min 21 s left"
    run.progress(phase="validate")
    assert headline(look(run)).text == "Validating at step 412 of 700"
    run.progress(phase="save")
    assert headline(look(run)).text == "Saving a checkpoint at step 412 of 700"
    run.attempt.stop_request.touch()
    assert headline(look(run)).text == "Stopping at step 412: saving a checkpoint, then ending"
    run.checkpoint(412, age=0)
    run.end("stopped")
    assert headline(look(run)).text == "Stopped at step 412; a checkpoint is there"
    assert str(next_step(look(run))).endswith(f"bert-tui resume {run.directory.id}")
    run.end("finished")
    assert headline(look(run)).text.startswith("Finished: all 700 steps are done; validation loss ")
    run.end("failed", Problem("dataset.unreadable", "/x.bin", "", {"reason": "no"}))
    assert headline(look(run)).text == "Failed at step 412: /x.bin cannot be read: no."
    assert remedy(look(run)) == "Check its permissions: ls -l /x.bin"
    run.end("failed", None, rank=0)
    assert "exit status 0" in headline(look(run)).text
    assert remedy(look(run))
    assert next_step(look(run)) is None


def test_a_hint_is_given_only_when_there_is_reason(tmp_path: Path) -> None:
    run = training_run(tmp_path)
    run.progress(data_wait_share=0.02)
    assert hint(look(run)) is None
    run.progress(data_wait_share=0.021, skipped_steps=2)
    told = hint(look(run))
    assert told is not None and told.text == "! the processors wait for data 2 % of the time"
    run.end("stopped")
    told = hint(look(run))
    assert told is not None and told.text == "2 updates were left out: their gradients were not finite"


def test_no_progress_is_said(tmp_path: Path) -> None:
    run = training_run(tmp_path)
    run.now = time.time() - 412 * 0.2 - 130  # the last step was 130 s ago
    (run.directory.path / "metrics.bin").unlink()
    again = StagedRun.__new__(StagedRun)
    again.__dict__ = run.__dict__ | {"_metrics": None}
    again.train(1, 412)
    assert headline(look(again)).text.startswith("No progress for 2 min 10 s. Training: step 412 of 700")


def test_a_resume_is_followed_into_its_attempt(tmp_path: Path) -> None:
    run = training_run(tmp_path)
    run.end("stopped")
    watcher = RunWatcher(run.directory)
    assert watcher.poll().view.state is RunState.STOPPED
    run.attempt = run.directory.attempt(2)
    for folder in (run.attempt.control, run.attempt.telemetry):
        folder.mkdir(parents=True)
    run.prepare("code")
    snapshot = watcher.poll()
    assert snapshot.view.state is RunState.PREPARING
    assert snapshot.log.lines == ()
    assert snapshot.losses.lm.bins, "what was learned before is still shown"


wild = st.binary(max_size=300) | st.sampled_from(
    [b"{}", b"[]", b"null", b'{"step": 1e999}', b'{"phase": "train"}', b'{"heartbeat": -1}', b"{" * 200]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(["preparation", "launch", "status", "progress", "exit", "preset", "log"]), wild))
def test_no_file_of_an_attempt_breaks_the_view(tmp_path: Path, files: dict[str, bytes]) -> None:
    folder = tmp_path / f"wild-{time.monotonic_ns()}"
    run = StagedRun(folder)
    for name, content in files.items():
        getattr(run.attempt, name).write_bytes(content)
    for content in files.values():
        run.directory.request.write_bytes(content)
    snapshot = look(run)
    assert headline(snapshot).text
    assert dataclasses.is_dataclass(snapshot)


def test_numbers_as_people_say_them() -> None:
    spans = (0.4, 59, 61, 130, 660, 3700, 200_000)
    assert [duration(seconds) for seconds in spans] == [
        "0 s", "59 s", "1 min 1 s", "2 min 10 s", "11 min", "1 h 1 min", "2 days 7 h",
    ]  # fmt: skip
    assert [count(number) for number in (950, 12_300, 4_100_000, 2.3e9)] == ["950", "12,300", "4.1 M", "2.3 G"]
    assert [size(number) for number in (12, 12_400_000, 1.4e9)] == ["12 B", "12.4 MB", "1.4 GB"]


def test_a_phase_that_lasts_too_long_is_told_of(tmp_path: Path) -> None:
    run = training_run(tmp_path)
    run.progress(phase="validate", phase_since=run.now - 25, phase_seconds={"validate": 20.0})
    assert headline(look(run)) == Headline("Validating at step 412 of 700, for 25 s", "busy")
    run.progress(phase="validate", phase_since=run.now - 100, phase_seconds={"validate": 20.0})
    assert headline(look(run)) == Headline(
        "Validating at step 412 of 700, for 1 min 40 s: this run's median for it is 20 s", "caution"
    )
    run.progress(phase="save", phase_since=run.now - 720, phase_seconds={"validate": 20.0})
    assert headline(look(run)).text.endswith("of 700, for 12 min: it seldom takes more than 10 min")


def test_work_that_is_counted_may_take_long_while_it_moves(tmp_path: Path) -> None:
    run = StagedRun(tmp_path)
    run.now -= 3600
    run.prepare("image", done=3.0, total=12.0, unit="GB")
    snapshot = look(run)
    assert overdue(snapshot) is None
    late = overdue(dataclasses.replace(snapshot, idle_seconds=90))
    assert late is not None
    assert dataclasses.replace(late, seconds=3600) == Overdue(3600, 1800, own=False)


def test_a_heartbeat_that_has_stopped_is_told_of(tmp_path: Path) -> None:
    snapshot = look(training_run(tmp_path))
    silent = dataclasses.replace(snapshot, view=dataclasses.replace(snapshot.view, stale=True))
    assert headline(silent).text.startswith("No sign of life for more than 20 s, though it has not ended. Training:")


def test_the_time_left_has_a_spread(tmp_path: Path) -> None:
    snapshot = look(training_run(tmp_path))
    even = dataclasses.replace(snapshot, pace=measure_pace(np.full(400, 0.2), np.full(400, 1000.0)))
    assert time_left_words(even) == "1 min 21 s left"
    seconds = np.concatenate((np.full(320, 0.2), np.full(80, 0.4)))  # a fifth of the blocks takes twice as long
    uneven = dataclasses.replace(snapshot, pace=measure_pace(seconds, np.full(400, 1000.0)))
    assert time_left_words(uneven) == "1 min 21 s left (1 min 20 s to 2 min 40 s)"
    assert measure_pace(np.full(49, 0.2), np.full(49, 1000.0)) is None


def test_a_training_that_slows_down_is_told_of(tmp_path: Path) -> None:
    snapshot = look(training_run(tmp_path))
    speeds = np.concatenate((np.full(390, 20_000.0), np.full(10, 12_000.0)))
    slow = dataclasses.replace(snapshot, pace=measure_pace(20_000 / speeds, speeds))
    told = hint(slow)
    assert told is not None
    assert told.text == "! 12,000 tokens/s, 40 % below its own median of 20,000"


@given(st.lists(st.floats(), max_size=300))
def test_no_step_time_breaks_the_pace(seconds: list[float]) -> None:
    pace = measure_pace(np.array(seconds), np.array(seconds))
    assert pace is None or pace.quick <= pace.slow
