"""Rows are read ahead in processes of their own: neither the training's time nor its interpreter is spent on them.

A thread would not do. Reading 256 rows of 512 tokens beside a loop of 47 ms that drives a GPU made it 76 ms long, 23 of
them waiting; a process and memory that both share made it 48, of which 1 waiting (docs/speed.md).
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import islice
from types import TracebackType
from typing import Self

import numpy as np
import torch
from torch import Tensor

from trainer.batches import Counts, MicroBatch, StepBatch, read_batches
from trainer.process_tree import PARENT, die_with_parent
from trainer.spec.problem import Problem, TrainingError
from trainer.spec.row_stream import Mark
from trainer.spec.samples import Batch, RowReader
from trainer.spec.sizing import Shape, step_flops
from trainer.spec.split import Split

TOKENS_A_SECOND = 1_500_000
"""One process reads so many at least (docs/speed.md)."""
FLOPS_A_SECOND = {"cuda": 6e14, "cpu": 1e12}
"""More than a device of this kind trains with."""
MOST_WORKERS = 4
BYTES_A_TOKEN = 3 * 8 + 4 + 4 * 8
"""Of all tensors of a micro batch, at the most: no token is guessed twice or begins two pairs."""
ALIGNMENT = 8

_reader: RowReader
"""In a worker: where its rows come from."""
_slots: list[mmap.mmap]
"""In a worker: the shared memory."""


@dataclass(frozen=True)
class _Written:
    """What lies in a slot: the tensors of each micro batch, in the order of ``MicroBatch``'s fields."""

    tensors: tuple[tuple[tuple[str, tuple[int, ...]], ...], ...]
    """Format and shape of each."""
    counts: Counts
    marks: tuple[Mark, ...]
    """Where the worker stands in each dataset of the training split, from which a resumed run goes on."""


class RowWorkers:
    """Reads rows ahead. Made before the process has threads or tensors: workers begin as copies of it."""

    def __init__(self, reader: RowReader, workers: int, rows_at_once: int) -> None:
        """
        Args:
            reader: of the rows.
            workers: processes.
            rows_at_once: the most that one share has.
        """
        # Anonymous memory, unlike files in /dev/shm, has no limit of its own and no name that could stay behind. It is
        # not there before it is written to. Half of the slots are for validations, before which training reads ahead.
        size = rows_at_once * (reader.sequence_length * BYTES_A_TOKEN + ALIGNMENT * len(fields(MicroBatch)))
        self.reader = reader
        self._marks: tuple[Mark, ...] = ()
        self._ahead = workers + 1
        self._slots = [mmap.mmap(-1, size) for _ in range(2 * self._ahead)]
        self._free = deque(range(len(self._slots)))
        self._pool = ProcessPoolExecutor(
            workers,
            mp_context=multiprocessing.get_context("fork"),
            initializer=_begin,
            initargs=(reader, self._slots, os.getpid()),
        )
        self._pool.submit(os.getpid).result()  # the first task starts all workers

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # After an error nobody waits for a worker that may hang on its disk: it ends with this process.
        self._pool.shutdown(wait=error is None, cancel_futures=True)

    def read_ahead(self, split: Split, shares: Iterable[Sequence[range]], *, pin: bool) -> Iterator[StepBatch]:
        """Each share as a batch, in order, read before it is asked for.

        Args:
            split: of the dataset.
            shares: positions of rows, one range a micro batch.
            pin: whether the tensors shall lie in memory from which a device copies fastest.

        Raises:
            DatasetError: the data is broken.
            TrainingError: a worker was killed.
        """
        waiting = iter(shares)
        coming = deque(self._submit(split, share) for share in islice(waiting, self._ahead))
        while coming:
            slot, future = coming.popleft()
            with _all_alive():
                written = future.result()
            if written.marks:
                self.reader.resume(written.marks)
            batch = _copied(self._slots[slot], written, pin=pin)
            self._free.append(slot)
            coming.extend(self._submit(split, share) for share in islice(waiting, 1))
            yield batch

    def resume(self, marks: tuple[Mark, ...]) -> None:
        """Goes on from where a checkpoint was written, instead of walking there from the beginning."""
        self._marks = marks
        if marks:
            self.reader.resume(marks)

    def _submit(self, split: Split, share: Sequence[range]) -> tuple[int, Future[_Written]]:
        slot = self._free.popleft()
        with _all_alive():
            return slot, self._pool.submit(_read, slot, split, list(share), self._marks)


@contextmanager
def _all_alive() -> Iterator[None]:
    """Whether a task is handed in or its result is fetched: a worker that was killed is told in the same way."""
    try:
        yield
    except BrokenProcessPool as error:
        raise TrainingError(Problem("training.reader_killed", "")) from error


def workers_needed(shape: Shape, device: str, threads: int, mask_probability: float) -> int:
    """How many processes keep one rank fed, of the ``threads`` that it may use; one at least."""
    tokens_a_second = FLOPS_A_SECOND[device] * shape.sequence_length / step_flops(shape, 1, mask_probability)
    return max(1, min(-(-int(tokens_a_second) // TOKENS_A_SECOND), threads - 1, MOST_WORKERS))


def _begin(reader: RowReader, slots: list[mmap.mmap], parent: int) -> None:
    """A worker's first act."""
    global _reader, _slots
    os.environ[PARENT] = str(parent)
    die_with_parent()
    _reader, _slots = reader, slots


def _read(slot: int, split: Split, share: Sequence[range], marks: tuple[Mark, ...]) -> _Written:
    """Reads a share into a slot; runs in a worker."""
    if split == "train" and marks:
        _reader.resume(marks)
    batches, memory, place = read_batches(_reader, split, share), _slots[slot], 0
    for batch in batches:
        for item in fields(MicroBatch):
            array = getattr(batch, item.name)
            np.frombuffer(memory, array.dtype, array.size, place)[:] = array.ravel()
            place = _next_place(place, array.nbytes)
    reached = _reader.marks(max(rows.stop for rows in share)) if split == "train" and share else ()
    return _Written(tuple(_described(batch) for batch in batches), Counts.of(batches), reached)


def _described(batch: Batch) -> tuple[tuple[str, tuple[int, ...]], ...]:
    arrays = [getattr(batch, item.name) for item in fields(MicroBatch)]
    return tuple((array.dtype.str, array.shape) for array in arrays)


def _copied(memory: mmap.mmap, written: _Written, *, pin: bool) -> StepBatch:
    """The batch in a slot, which is free again then."""
    micro_batches, place = [], 0
    for described in written.tensors:
        tensors: list[Tensor] = []
        for kind, shape in described:
            array = np.frombuffer(memory, kind, int(np.prod(shape)), place).reshape(shape)
            place = _next_place(place, array.nbytes)
            tensor = torch.from_numpy(array)
            tensors.append(tensor.pin_memory() if pin else tensor.clone())
        micro_batches.append(MicroBatch(*tensors))
    return StepBatch(tuple(micro_batches), written.counts)


def _next_place(place: int, length: int) -> int:
    """Where the next array begins."""
    return -(-(place + length) // ALIGNMENT) * ALIGNMENT
