"""Whole attempts through torchrun: files, resume to the bit, and what stops a run."""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.trainer.slow_disk import SECONDS
from tests.trainer.small_run import metrics, rank_error, small_preset, torchrun, train, write_attempt, write_dataset
from trainer.spec import scalar_tags
from trainer.spec.checkpoint_folder import complete_checkpoints
from trainer.spec.preset import Preset, replace
from trainer.spec.problem import Problem
from trainer.spec.records import Progress, read_record
from trainer.spec.run_directory import AttemptDirectory

LOSSES = ("lm_loss", "sop_loss", "grad_norm", "rows", "tokens")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset, and room for a run."""
    write_dataset(tmp_path)
    return tmp_path


def _trained(folder: Path, number: int, preset: Preset) -> AttemptDirectory:
    attempt = write_attempt(folder, number, preset)
    done = train(attempt, preset)
    assert done.returncode == 0, done.stderr[-3000:]
    return attempt


def _losses(attempt: AttemptDirectory, first: int, last: int, *, before: int | None = None) -> list[list[float]]:
    """The last record of each step; ``before`` leaves out the records of a resume."""
    records = {int(record["step"]): record for record in metrics(attempt.run)[:before]}
    return [[records[step][name] for name in LOSSES] for step in range(first, last + 1)]


def _events(folder: Path, attempt: AttemptDirectory) -> EventAccumulator:
    return EventAccumulator(str(folder / "tensorboard" / attempt.run.id)).Reload()


def _tags() -> set[str]:
    """Every tag of scalars that there is."""
    return {tag for name, tag in vars(scalar_tags).items() if name.isupper() and name != "PRESET_TEXT"}


SLICED = {"parallel__tensor": 2, "parallel__sequence": True, "parallel__recompute": "selective"}


@pytest.mark.parametrize("parallel", [{}, SLICED], ids=["one process", "sequence parallel"])
def test_a_resumed_run_repeats_the_undisturbed_one_to_the_bit(folder: Path, parallel: dict[str, Any]) -> None:
    preset = small_preset(folder, model__dropout=0.1, **parallel)
    attempt = _trained(folder, 1, preset)
    written = len(metrics(attempt.run))
    undisturbed = _losses(attempt, 7, 12)
    checkpoints = complete_checkpoints(attempt.run.checkpoints)
    assert [checkpoint.step for checkpoint in checkpoints] == [6, 12]
    shutil.rmtree(checkpoints[-1].path)
    _trained(folder, 2, preset)
    assert metrics(attempt.run)[written]["step"] == 7
    assert _losses(attempt, 7, 12) == undisturbed
    events = _events(folder, attempt)  # what the first attempt logged of steps 7 to 12 is struck out
    assert [event.step for event in events.Scalars("lm loss")] == list(range(1, 13))
    assert [event.step for event in events.Scalars("lm loss validation")] == [5, 10, 12]
    assert [event.step for event in events.Tensors("preset/text_summary")] == [1, 7]


def test_a_run_goes_on_at_another_layout_and_micro_batch_with_the_same_samples(folder: Path) -> None:
    two = small_preset(folder, parallel__data=2, parallel__shard="full")
    attempt = _trained(folder, 1, two)
    undisturbed = _losses(attempt, 7, 12)
    shutil.rmtree(complete_checkpoints(attempt.run.checkpoints)[-1].path)
    _trained(folder, 2, replace(two, parallel__data=1, train__micro_batch=4))
    resumed = _losses(attempt, 7, 12)
    for old, new in zip(undisturbed, resumed, strict=True):
        assert new == pytest.approx(old, rel=1e-4, abs=2e-6)
        assert new[3:] == old[3:]


def test_old_checkpoints_go(folder: Path) -> None:
    keep = {"checkpoint__every": 2, "checkpoint__keep_last": 2, "checkpoint__keep_every": 4}
    attempt = _trained(folder, 1, small_preset(folder, **keep))
    assert [checkpoint.step for checkpoint in complete_checkpoints(attempt.run.checkpoints)] == [4, 8, 10, 12]
    assert not list(attempt.run.checkpoints.glob(".*"))


def test_stop_saves_first(folder: Path) -> None:
    preset = small_preset(folder, train__steps=100000, train__decay=100000)
    attempt = write_attempt(folder, 1, preset)
    attempt.stop_request.touch()
    done = train(attempt, preset)
    assert done.returncode == 0, done.stderr[-3000:]
    progress = read_record(Progress, attempt.progress)
    assert progress is not None
    steps = [checkpoint.step for checkpoint in complete_checkpoints(attempt.run.checkpoints)]
    assert steps[-1] == progress.step == progress.last_checkpoint
    assert progress.step < 100000


def test_progress_and_events_tell_of_the_run(folder: Path) -> None:
    attempt = _trained(folder, 1, small_preset(folder))
    progress = read_record(Progress, attempt.progress)
    assert progress is not None
    assert (progress.step, progress.rows, progress.phase) == (12, 96, "end")
    assert progress.layout == "tensor 1 x data 1, micro batch 2 x 4"
    assert progress.tflops_per_rank is not None and progress.tflops_per_rank > 0
    assert progress.mean_tokens_per_second is not None and progress.mean_tokens_per_second > 0
    assert progress.data_wait_share is not None and 0 <= progress.data_wait_share <= 1
    assert progress.share_of_peak is None
    assert {"start", "validate", "save"} <= progress.phase_seconds.keys()
    validation = progress.validation
    assert validation is not None and validation.step == 12
    assert None not in vars(validation).values()
    last, events = metrics(attempt.run)[-1], _events(folder, attempt)
    assert set(events.Tags()["scalars"]) == _tags() - {"share-of-peak"}  # a CPU has none
    assert events.Scalars("lm loss")[-1].value == pytest.approx(last["lm_loss"], rel=1e-6)
    assert events.Scalars("masked accuracy validation")[-1].value == pytest.approx(validation.masked_accuracy)
    assert last["masked_accuracy_validation"] == validation.masked_accuracy
    assert last["sop_accuracy_validation"] == validation.sop_accuracy
    (text,) = events.Tensors("preset/text_summary")
    assert b'run_id = "20261124-120000-small-0001"' in text.tensor_proto.string_val[0]


def test_the_time_of_a_step_counts_its_wait_for_data(folder: Path) -> None:
    preset = small_preset(folder, train__micro_batch=8, train__eval_every=100)
    attempt = write_attempt(folder, 1, preset)
    done = torchrun(1, "tests.trainer.slow_disk", attempt.path)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = metrics(attempt.run)
    taken, waited = ([row[name] for row in rows] for name in ("step_seconds", "data_wait_seconds"))
    assert statistics.median(taken) > 0.8 * SECONDS, taken  # some are read ahead, during a save
    assert statistics.median(waited) > 0.6 * SECONDS, waited
    progress = read_record(Progress, attempt.progress)
    assert progress is not None and progress.data_wait_share is not None
    assert progress.data_wait_share > 0.5


def _problem(attempt: AttemptDirectory, preset: Preset) -> Problem:
    assert train(attempt, preset).returncode != 0
    return Problem.from_json(rank_error(attempt)["problem"])


def test_a_loss_that_stays_nan_ends_the_run(folder: Path) -> None:
    # With these two, decay multiplies the weights by -8 a step, until they are infinite.
    preset = small_preset(folder, train__learning_rate=9.0, train__weight_decay=1.0)
    preset = replace(preset, train__steps=1000, train__decay=1000, train__warmup=0, checkpoint__every=1)
    attempt = write_attempt(folder, 1, preset)
    assert _problem(attempt, preset).code == "training.not_finite"
    progress = read_record(Progress, attempt.progress)
    assert progress is not None
    assert progress.skipped_steps >= 20
    # A resume at a lower rate can go on from them: none is of a step that was left out.
    finite = {row["step"] for row in metrics(attempt.run) if not row["skipped"]}
    saved = {checkpoint.step for checkpoint in complete_checkpoints(attempt.run.checkpoints)}
    assert saved
    assert saved <= finite


def test_a_checkpoint_that_was_announced_must_be_there(folder: Path) -> None:
    preset = small_preset(folder, train__steps=2, train__decay=4)
    attempt = _trained(folder, 1, preset)
    shutil.rmtree(attempt.run.checkpoints)
    assert _problem(write_attempt(folder, 2, preset), preset).code == "checkpoint.missing"


def test_other_data_is_refused(folder: Path) -> None:
    preset = small_preset(folder, train__steps=2, train__decay=4)
    _trained(folder, 1, preset)
    other = replace(preset, data__seed=1, train__steps=4)
    assert _problem(write_attempt(folder, 2, other), other).code == "checkpoint.other_data"


def _flip_a_bit(checkpoint: Path) -> None:
    """In the tensors; torch reads them without a word."""
    tensors = checkpoint / "__0_0.distcp"
    content = bytearray(tensors.read_bytes())
    content[len(content) // 2] ^= 1
    tensors.write_bytes(content)


def _cut_the_end(checkpoint: Path) -> None:
    tensors = checkpoint / "__0_0.distcp"
    os.truncate(tensors, tensors.stat().st_size - 1)


HARMS: dict[str, Callable[[Path], object]] = {
    "a bit": _flip_a_bit,
    "an end": _cut_the_end,
    "no metadata": lambda checkpoint: (checkpoint / ".metadata").unlink(),
    "progress": lambda checkpoint: (checkpoint / "progress.json").write_bytes(b"torn"),
}


def test_a_damaged_checkpoint_is_refused_by_name(folder: Path) -> None:
    preset = small_preset(folder, train__steps=4, train__decay=4, checkpoint__every=2)
    attempt = _trained(folder, 1, preset)
    older, newest = complete_checkpoints(attempt.run.checkpoints)
    shutil.copytree(newest.path, folder / "whole")
    preset = replace(preset, train__steps=6)
    for number, (harm, do) in enumerate(HARMS.items(), start=2):
        do(newest.path)
        problem = _problem(write_attempt(folder, number, preset), preset)
        assert (problem.code, problem.where) == ("checkpoint.damaged", str(newest.path)), harm
        assert problem.params["older"] == older.step == 2, harm
        shutil.rmtree(newest.path)
        shutil.copytree(folder / "whole", newest.path)
