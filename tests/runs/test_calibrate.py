"""Measuring layouts: a real trial, what it leaves behind, and what plans make of it."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import pytest

from bert_tui.machine import read_machine
from bert_tui.measured import measurements, with_measured
from bert_tui.plain.calibration import calibrate_by_lines
from bert_tui.plan import make_plan
from bert_tui.runs import calibrate, calibration
from bert_tui.wizard import choices, review
from tests.runs.tiny import tiny_plan
from trainer.spec.indexed_dataset import IndexedDatasetWriter
from trainer.spec.metrics_file import COLUMNS, MetricsWriter
from trainer.spec.preset import replace
from trainer.spec.problem import PresetError, Problem, RunError


def write_dataset(folder: Path) -> None:
    """Documents of three sentences each, over a vocabulary of letters."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces))
    with IndexedDatasetWriter(folder / "text", len(pieces)) as writer:
        for number in range(400):
            writer.add_document([[5 + (number + place) % 26 for place in range(12)] for _ in range(3)])


def test_a_layout_is_measured_and_takes_the_place_of_the_estimate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate, "SECONDS", 0.2)
    machine = dataclasses.replace(read_machine(), cores=1)  # so that one layout is possible: a trial costs seconds
    data = f"data.data_path={tmp_path}/text", f"data.vocab_file={tmp_path}/vocab.txt", "data.source=files"
    write_dataset(tmp_path)
    planned = tiny_plan(tmp_path, "parallel.tensor=1", "parallel.data=1", *data)
    plan, out = make_plan(planned.preset, "x", machine), io.StringIO()
    assert with_measured(plan, machine) is plan
    assert calibrate_by_lines(plan.preset, machine, out, as_json=True) == 0
    told = json.loads(out.getvalue())["layouts"]
    assert [entry["layout"]["tensor"] for entry in told] == [1]
    left = [path.name for path in (*(tmp_path / "checkpoints").iterdir(), *(tmp_path / "tensorboard").iterdir())]
    assert not any("calibrate" in name for name in left), "the trial is removed"

    found = with_measured(plan, machine)
    assert found.measured is not None
    assert found.step_seconds == found.measured.step_seconds == told[0]["measured"]["step_seconds"]
    assert found.measured.steps >= calibrate.FEWEST
    assert found.measured.memory > 50_000_000
    assert f"measured here on {found.measured.date}" in " ".join(review.sentences(found))
    offered = choices.tensor_sizes(plan.preset, machine, lambda plan: with_measured(plan, machine))
    assert [size.measured for size in offered] == [found.measured]

    for other in (replace(plan.preset, train__global_batch=64), replace(plan.preset, parallel__recompute="full")):
        assert with_measured(make_plan(other, "x", machine), machine).measured is None
    view = calibration.read_calibration()
    assert view is not None
    assert view.status.done == view.status.total == 1


def test_a_layout_that_fails_is_told_and_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failure, machine = Problem("calibrate.slow", "x", "2", {"minutes": 30}), read_machine()

    def fails(*_: object) -> None:
        raise RunError(failure)

    monkeypatch.setattr(calibration, "measure", fails)
    plan = tiny_plan(tmp_path)
    outcomes = calibration.calibrate([plan, plan], machine, lambda outcome: None)
    assert [(outcome.measured, outcome.problem) for outcome in outcomes] == [(None, failure)] * 2
    assert measurements(plan, machine).of(plan) is None
    view = calibration.read_calibration()
    assert view is not None
    assert view.in_words.startswith("… Measuring")  # by this very process, which is alive


def test_two_at_a_time_are_refused_and_a_dataset_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, machine = tiny_plan(tmp_path), read_machine()

    def second(*_: object) -> None:
        calibration.calibrate([plan], machine, lambda outcome: None)

    monkeypatch.setattr(calibration, "measure", second)
    (outcome,) = calibration.calibrate([plan], machine, lambda outcome: None)
    assert outcome.problem is not None
    assert outcome.problem.code == "calibrate.busy"
    with pytest.raises(PresetError) as refused:
        calibrate_by_lines(replace(plan.preset, data__source="files"), machine, io.StringIO(), as_json=False)
    assert {problem.where for problem in refused.value.problems} == {"data.data_path", "data.vocab_file"}


def test_a_step_that_is_half_written_is_not_counted(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.bin"
    assert calibrate.read_steps(metrics) == []
    writer = MetricsWriter(metrics)
    for step in (1, 2):
        writer.append(dict.fromkeys(COLUMNS, 0.0) | {"step": step, "tokens": 100.0 * step, "step_seconds": 0.5})
    with metrics.open("ab") as file:
        file.write(b"torn")
    assert calibrate.read_steps(metrics) == [calibrate.Step(0.5, 100), calibrate.Step(0.5, 200)]
