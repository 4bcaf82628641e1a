"""``micro_batch = "auto"``: the largest that fits is found by trying, under a memory limit that the kernel keeps."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import trainer
from tests.trainer.small_run import metrics, small_preset, train, write_attempt, write_dataset
from trainer.micro_batch_search import Search, settled_preset
from trainer.spec.preset import Preset
from trainer.spec.preset import replace as with_settings
from trainer.spec.problem import EnvironmentRefused, Problem
from trainer.spec.records import Exit, MicroBatchChoice, Progress, TriedMicroBatch, read_record, to_json
from trainer.spec.resolved import Resolved, read_resolved
from trainer.spec.run_directory import AttemptDirectory
from trainer.spec.sizing import Shape
from trainer.try_micro_batch import heaviest

pytestmark = pytest.mark.timeout(180)

LIMIT = 620 << 20
"""Bytes of writable memory for a process: torch takes about 350 MiB of them, 32 rows of the model below 400 more."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_dataset(tmp_path)
    return tmp_path


def _preset(folder: Path, **values: object) -> Preset:
    sizes = {"model__layers": 4, "model__hidden": 256, "model__sequence_length": 128, "model__dropout": 0.1}
    times = {"train__steps": 2, "train__decay": 4, "train__eval_every": 100, "train__global_batch": 32}
    return small_preset(folder, **{**sizes, **times, "train__micro_batch": "auto", "parallel__tensor": 2, **values})


def _supervised(attempt: AttemptDirectory) -> Exit:
    """The whole attempt, with no process in it allowed more memory than the limit."""
    if not attempt.run.code.exists():
        shutil.copytree(Path(trainer.__file__).parent, attempt.run.code / "trainer")
    soft = f"import resource; resource.setrlimit(resource.RLIMIT_DATA, ({LIMIT}, resource.RLIM_INFINITY))"
    start = f"{soft}; import runpy, sys; sys.argv = ['', {str(attempt.path)!r}]; "
    subprocess.run(
        [sys.executable, "-c", start + "runpy.run_module('trainer.supervise', run_name='__main__')"],
        cwd=attempt.run.path, env=os.environ | {"PYTHONPATH": str(attempt.run.code)}, timeout=120,
    )  # fmt: skip
    end = read_record(Exit, attempt.exit)
    assert end is not None
    return end


def _choice(attempt: AttemptDirectory) -> MicroBatchChoice:
    choice = read_record(MicroBatchChoice, attempt.micro_batch)
    assert choice is not None
    return choice


def _learned(attempt: AttemptDirectory) -> list[list[float]]:
    return [[record[name] for name in ("step", "lm_loss", "sop_loss", "grad_norm")] for record in metrics(attempt.run)]


def test_the_largest_that_fits_is_found_and_changes_nothing_else(folder: Path) -> None:
    attempt = write_attempt(folder, 1, _preset(folder))
    assert _supervised(attempt).outcome == "finished", attempt.log.read_text()[-3000:]
    choice = _choice(attempt)
    outcomes = {tried.rows: tried.outcome for tried in choice.tried}
    assert (choice.planned, choice.attempt) == (8, 1)
    assert "out_of_memory" in outcomes.values()  # the limit was met, by one rank or both, in the middle of a step
    assert max(rows for rows, outcome in outcomes.items() if outcome == "fits") == choice.rows < 32
    progress = read_record(Progress, attempt.progress)
    assert progress is not None
    assert progress.layout == f"tensor 2 x data 1, micro batch {choice.rows} (auto) x {32 // choice.rows}"

    again = folder / "again"
    again.mkdir()
    write_dataset(again)
    preset = _preset(again, train__micro_batch=choice.rows)
    named = write_attempt(again, 1, preset)
    assert train(named, preset).returncode == 0
    assert _learned(named) == _learned(attempt)


def _searching(folder: Path, number: int = 1, **values: object) -> tuple[AttemptDirectory, Preset, Resolved]:
    """On a GPU, where it is always tried; 8 is planned."""
    attempt = write_attempt(folder, number, _preset(folder, **values))
    preset, resolved = read_resolved(attempt.preset)
    return attempt, preset, replace(resolved, device="cuda")


def _fit(*sizes: int) -> list[TriedMicroBatch]:
    return [TriedMicroBatch(size, "fits", 1, 1.0) for size in sizes]


def test_sizes_divide_the_batch_and_are_tried_from_the_planned_one_upwards(folder: Path) -> None:
    search = Search(*_searching(folder, train__global_batch=24))
    assert search.next_sizes() == [8, 12, 24]
    search.add([*_fit(8), TriedMicroBatch(12, "too_tight", 1, 1.0)])
    assert search.next_sizes() == []
    assert search.choice().rows == 8


def test_where_the_planned_size_does_not_fit_smaller_ones_are_tried(folder: Path) -> None:
    search = Search(*_searching(folder))
    assert search.next_sizes() == [8, 16, 32]
    search.add([TriedMicroBatch(8, "out_of_memory")])
    assert search.next_sizes() == [1, 2, 4]
    search.add([TriedMicroBatch(1, "out_of_memory")])
    assert search.next_sizes() == []
    with pytest.raises(EnvironmentRefused) as refused:
        search.choice()
    assert refused.value.problems[0].code == "micro_batch.none_fits"


def test_a_resume_takes_the_same_unless_the_layout_changed_or_it_ran_out_of_memory(folder: Path) -> None:
    first = _searching(folder)
    search = Search(*first)
    search.next_sizes()
    search.add(_fit(8, 16))
    first[0].micro_batch.write_text(to_json(search.choice()))
    again = Search(*_searching(folder, 2))
    assert again.next_sizes() == []
    assert again.choice() == search.choice()
    assert Search(*_searching(folder, 3, parallel__recompute="full")).next_sizes() == [8, 16, 32]
    lacking = Problem("training.out_of_memory", "OutOfMemoryError", "", {"reason": ""})
    first[0].exit.write_text(to_json(Exit("failed", 1, None, False, time.time(), "supervisor", problem=lacking)))
    smaller = Search(*_searching(folder, 4))
    assert smaller.next_sizes() == [8]


def test_on_a_cpu_with_enough_memory_nothing_is_tried(folder: Path) -> None:
    attempt, preset, resolved = _searching(folder)
    search = Search(attempt, preset, replace(resolved, device="cpu"))
    assert search.next_sizes() == []
    attempt.micro_batch.write_text(to_json(search.choice()))
    assert settled_preset(attempt)[0] == with_settings(preset, train__micro_batch=8)


def test_the_heaviest_rows_are_full() -> None:
    batch = heaviest(Shape(1, 8, 1, 20, 50), 3, 0.15, sentence_order=True)
    assert (batch.segments == 1).all()
    assert len(batch.masked_index) == 9
    assert torch.equal(batch.masked_index.unique(), batch.masked_index)
    assert batch.pair_index.tolist() == [0, 20, 40]
