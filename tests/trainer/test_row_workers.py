"""Rows read in other processes: the same rows, their errors, and an end with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.small_run import REPOSITORY, open_reader, small_preset, write_dataset
from trainer.batches import MicroBatch, most_rows, positions_of_rank, read_share
from trainer.process_tree import family
from trainer.row_workers import RowWorkers, workers_needed
from trainer.spec.problem import DatasetError, TrainingError
from trainer.spec.samples import RowReader
from trainer.spec.sizing import BERT_VOCAB, Shape

SHARES = [positions_of_rank(first, 14, micro_batch=3, data_rank=0, data_size=2) for first in range(0, 14 * 9, 14)]
MOST = most_rows(14, micro_batch=3, data_size=2)


@pytest.fixture
def reader(tmp_path: Path) -> RowReader:
    write_dataset(tmp_path)
    return open_reader(tmp_path, small_preset(tmp_path))


@pytest.mark.parametrize("workers", [1, 3])
def test_the_rows_are_those_that_were_asked_for_in_their_order(reader: RowReader, workers: int) -> None:
    with RowWorkers(reader, workers, MOST) as there:
        training = there.read_ahead("train", SHARES, pin=False)
        got = [next(training)]
        validation = list(there.read_ahead("validation", SHARES[:6], pin=False))  # in the middle of it
        got += training
    for split, batches in (("train", got), ("validation", validation)):
        for share, batch in zip(SHARES, batches, strict=False):
            here = read_share(reader, split, share)  # type: ignore[arg-type]
            assert batch.counts == here.counts
            for one, other in zip(batch.micro_batches, here.micro_batches, strict=True):
                for item in fields(MicroBatch):
                    left, right = getattr(one, item.name), getattr(other, item.name)
                    assert left.dtype == right.dtype and torch.equal(left, right)
    assert (len(got), len(validation)) == (len(SHARES), 6)


def test_an_error_in_a_worker_is_told_here(reader: RowReader) -> None:
    reader._vocabulary = type(reader._vocabulary)(("a",) * 9, 0, 1, 2, 3, 4, np.zeros(9, dtype=np.bool_))
    with pytest.raises(DatasetError) as refused, RowWorkers(reader, 1, MOST) as there:
        list(there.read_ahead("train", SHARES, pin=False))
    assert refused.value.problems[0].code == "dataset.ids"


def test_a_killed_worker_is_noticed_at_once(reader: RowReader) -> None:
    began, earlier = time.monotonic(), {process.pid for process in family(os.getpid())}
    with pytest.raises(TrainingError) as refused, RowWorkers(reader, 2, MOST) as there:
        batches = there.read_ahead("train", SHARES * 500, pin=False)  # more than the other reads in that time
        next(batches)
        os.kill(next(p.pid for p in family(os.getpid()) if p.pid not in earlier), signal.SIGKILL)
        list(batches)
    assert refused.value.problems[0].code == "training.reader_killed"
    assert time.monotonic() - began < 10


def test_workers_end_with_a_parent_that_is_killed(reader: RowReader, tmp_path: Path) -> None:
    program = f"""
import time
from pathlib import Path
from tests.trainer.small_run import open_reader, small_preset
from trainer.row_workers import RowWorkers
folder = Path({str(tmp_path)!r})
workers = RowWorkers(open_reader(folder, small_preset(folder)), 2, {MOST})
print("there", flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None and parent.stdout.readline() == "there\n"
    workers = [process.pid for process in family(parent.pid) if process.pid != parent.pid]
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    until = time.monotonic() + 10
    while any(family(pid) for pid in workers):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_there_are_as_many_workers_as_a_device_needs() -> None:
    large, tiny = Shape(24, 1024, 16, 512, BERT_VOCAB), Shape(2, 128, 2, 128, 8192)
    assert workers_needed(large, "cpu", 2, 0.15) == workers_needed(tiny, "cpu", 1, 0.15) == 1
    assert workers_needed(large, "cuda", 8, 0.15) == 1
    assert 1 < workers_needed(tiny, "cuda", 8, 0.15) <= 4
    assert workers_needed(tiny, "cuda", 1, 0.15) == 1
