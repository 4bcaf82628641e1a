"""The arrays of a dataset's two files, as far as they can be read, however damaged the files are.

:class:`trainer.spec.indexed_dataset.IndexedDataset` refuses at the first thing that is wrong; this goes on, so that
an inspection can name everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bert_tui.data.finding import Finding
from trainer.spec.indexed_dataset import DTYPES, HEADER, MAGIC, VERSION, IndexedDataset, dataset_paths
from trainer.spec.problem import DatasetError, Problem

DAMAGE = frozenset(f"dataset.{name}" for name in ("magic", "version", "dtype", "idx_size", "bin_size", "empty"))
"""Refusals after which there may still be something to look at; others say that there are no such files."""


@dataclass(frozen=True, eq=False)
class DatasetParts:
    """What there is of S sentences, D documents and T ids; each array may be shorter than the header promises."""

    prefix: Path
    sentences: int
    """S, as the header says."""
    documents_count: int
    """D, as the header says."""
    width: int
    """Bytes of an id; 0 where the type is not known."""
    content_size: int
    """Bytes of ``.bin``."""
    lengths: NDArray[np.int32]
    """[S]"""
    pointers: NDArray[np.int64]
    """[S]"""
    documents: NDArray[np.int64]
    """[D + 1]"""
    tokens: NDArray[Any]
    """[T]; empty where the type is not known."""

    @property
    def whole(self) -> bool:
        """Whether all that the header promises is in ``.idx``."""
        return len(self.documents) == self.documents_count + 1 > 1 and len(self.pointers) == self.sentences > 0


def read_parts(prefix: Path) -> tuple[DatasetParts | None, list[Finding]]:
    """The arrays, and what is wrong with header and sizes; None where ``.idx`` is nothing of the kind.

    Raises:
        DatasetError: a file is absent or cannot be read.
    """
    try:
        IndexedDataset(prefix)
    except DatasetError as error:
        if error.problems[0].code not in DAMAGE:
            raise
    index, content = dataset_paths(prefix)
    with index.open("rb") as file:
        head = file.read(HEADER.size)
    if (bad := _no_header(head, index)) is not None:
        return None, [Finding(bad, fatal=True)]
    _, version, code, sentences, boundaries = HEADER.unpack(head)
    parts = _map(prefix, code, sentences, boundaries)
    problems = _header_problems(index, version, code, sentences, boundaries)
    problems += _size_problems(parts, content)
    return parts, [Finding(problem, fatal=True) for problem in problems]


def _no_header(head: bytes, index: Path) -> Problem | None:
    if head[: len(MAGIC)] != MAGIC:
        return Problem("dataset.magic", str(index), head[: len(MAGIC)].hex())
    if len(head) < HEADER.size:
        return Problem("dataset.idx_size", str(index), str(len(head)), {"expected": f"at least {HEADER.size}"})
    return None


def _map(prefix: Path, code: int, sentences: int, boundaries: int) -> DatasetParts:
    index, content = dataset_paths(prefix)
    raw = np.memmap(index, dtype=np.uint8, mode="r")[HEADER.size :]
    size, dtype = content.stat().st_size, np.dtype(DTYPES.get(code, "V0"))
    whole = size - size % dtype.itemsize if dtype.itemsize else 0
    lengths, pointers, documents = _slice(raw, [4 * sentences, 8 * sentences, 8 * boundaries])
    return DatasetParts(
        prefix=prefix,
        sentences=sentences,
        documents_count=boundaries - 1,
        width=dtype.itemsize,
        content_size=size,
        lengths=lengths[: len(lengths) // 4 * 4].view("<i4"),
        pointers=pointers[: len(pointers) // 8 * 8].view("<i8"),
        documents=documents[: len(documents) // 8 * 8].view("<i8"),
        tokens=np.memmap(content, dtype=dtype, mode="r", shape=whole // dtype.itemsize) if whole else np.zeros(0, "u1"),
    )


def _slice(raw: NDArray[np.uint8], sizes: list[int]) -> list[NDArray[np.uint8]]:
    """Consecutive slices of these many bytes, shorter or empty where ``raw`` ends before. Sizes may be absurd."""
    slices, start = [], 0
    for size in sizes:
        end = min(start + size, len(raw))
        slices.append(raw[start:end])
        start = end
    return slices


def _header_problems(index: Path, version: int, code: int, sentences: int, boundaries: int) -> list[Problem]:
    problems = []
    if version != VERSION:
        problems.append(Problem("dataset.version", str(index), str(version), {"known": VERSION}))
    if code not in DTYPES:
        problems.append(Problem("dataset.dtype", str(index), str(code)))
    size, expected = index.stat().st_size, HEADER.size + 12 * sentences + 8 * boundaries
    if size != expected:
        problems.append(Problem("dataset.idx_size", str(index), str(size), {"expected": expected}))
    if not sentences or boundaries < 2:
        problems.append(Problem("dataset.empty", str(index)))
    return problems


def _size_problems(parts: DatasetParts, content: Path) -> list[Problem]:
    """``.bin`` holds whole ids and ends where the last sentence does."""
    if not parts.width:
        return []
    expected: int | str = f"a multiple of {parts.width}"
    sound = not parts.content_size % parts.width
    if parts.whole:
        expected = int(parts.pointers[-1]) + parts.width * int(parts.lengths[-1])
        sound = parts.content_size == expected
    if sound:
        return []
    return [Problem("dataset.bin_size", str(content), str(parts.content_size), {"expected": expected})]
