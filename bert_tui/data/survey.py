"""Passes over the arrays of a dataset: what they hold, and where they contradict themselves.

Each pass takes the slices it is to look at, so that a hundred gigabytes are sampled in seconds or read whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bert_tui.data.dataset_parts import DatasetParts
from bert_tui.data.finding import Finding
from trainer.spec.indexed_dataset import dataset_paths
from trainer.spec.problem import Problem

PARTS = 64
"""Places that a sampling pass looks at, evenly spread, the first and the last entry among them."""
SENTENCES, DOCUMENTS, TOKENS = 1 << 15, 1 << 15, 1 << 18
"""Entries read at each place."""
LENGTH_BORDERS = np.array([0, 4, 8, 16, 32, 64, 128, 256, 512])
"""Sentences of up to so many tokens are counted together; the last count is of longer ones."""

Looked = Callable[[int], None]
"""Called with the bytes that were looked at since the last call."""


def spread(total: int, size: int, parts: int | None) -> Iterator[slice]:
    """Slices over ``total`` entries: all of them, or ``parts`` evenly spread ones of ``size`` entries each."""
    if parts is None or total <= parts * size:
        starts: Iterable[int] = range(0, total, size)
    else:
        starts = ((total - size) * part // (parts - 1) for part in range(parts))
    for start in starts:
        yield slice(start, min(start + size, total))


@dataclass
class Faults:
    """The first place of each kind of fault, and how often it was seen."""

    _first: dict[str, Problem] = field(default_factory=dict)
    _times: dict[str, int] = field(default_factory=dict)

    def add(self, problem: Problem, times: int) -> None:
        """Notes ``times`` more of one kind; the first problem is kept."""
        self._first.setdefault(problem.code, problem)
        self._times[problem.code] = self._times.get(problem.code, 0) + times

    def findings(self) -> list[Finding]:
        """One for each kind, in the order in which they were found."""
        return [Finding(problem, True, self._times[code]) for code, problem in self._first.items()]


@dataclass(frozen=True, eq=False)
class SentenceSurvey:
    """What the arrays of sentences hold, as far as they were looked at."""

    looked_at: int
    tokens: int
    """Sum of their lengths."""
    longest: int
    empty: int
    histogram: NDArray[np.int64]
    """Sentences by length: [0, 1-4, 5-8, ..., 257-512, longer]."""
    findings: list[Finding]


def survey_sentences(parts: DatasetParts, slices: Iterable[slice], looked: Looked) -> SentenceSurvey:
    """Lengths are not negative, and sentences lie back to back from the start of ``.bin``."""
    index, faults = dataset_paths(parts.prefix)[0], Faults()
    histogram = np.zeros(len(LENGTH_BORDERS) + 1, dtype=np.int64)
    looked_at = tokens = longest = 0
    for part in slices:
        lengths = np.array(parts.lengths[part], dtype=np.int64)
        pointers = np.array(parts.pointers[part.start : part.stop + 1])
        if (wrong := np.flatnonzero(lengths < 0)).size:
            facts = {"sentence": part.start + int(wrong[0])}
            faults.add(Problem("dataset.lengths", str(index), str(lengths[wrong[0]]), facts), wrong.size)
        if parts.width:
            _check_pointers(parts, part.start, lengths, pointers, faults)
        sound = np.maximum(lengths, 0)
        histogram += np.bincount(np.searchsorted(LENGTH_BORDERS, sound), minlength=len(histogram))
        looked_at, tokens = looked_at + len(lengths), tokens + int(sound.sum())
        longest = max(longest, int(sound.max(initial=0)))
        looked(12 * len(lengths))
    return SentenceSurvey(looked_at, tokens, longest, int(histogram[0]), histogram, faults.findings())


def _check_pointers(
    parts: DatasetParts, first: int, lengths: NDArray[np.int64], pointers: NDArray[np.int64], faults: Faults
) -> None:
    """Each sentence begins where the one before it ends; ``pointers`` has one more than ``lengths`` where there is."""
    index = dataset_paths(parts.prefix)[0]
    if first == 0 and len(pointers) and pointers[0]:
        facts = {"sentence": 0, "expected": 0}
        faults.add(Problem("dataset.pointers", str(index), str(pointers[0]), facts), 1)
    ends = pointers[: len(lengths)] + parts.width * lengths[: len(pointers)]
    following = pointers[1 : len(ends) + 1]
    if (wrong := np.flatnonzero(following != ends[: len(following)])).size:
        before = int(wrong[0])
        facts = {"sentence": first + before + 1, "expected": int(ends[before])}
        faults.add(Problem("dataset.pointers", str(index), str(following[before]), facts), wrong.size)


@dataclass(frozen=True)
class DocumentSurvey:
    """What the array of documents holds, as far as it was looked at."""

    looked_at: int
    several: int
    """Documents with two sentences or more."""
    empty: int
    findings: list[Finding]

    @property
    def paired_share(self) -> float:
        """Share of the documents that have two sentences or more."""
        return self.several / self.looked_at if self.looked_at else 0.0


def survey_documents(parts: DatasetParts, slices: Iterable[slice], looked: Looked) -> DocumentSurvey:
    """The array starts at 0, never falls and ends at S. ``slices`` are over documents."""
    documents, faults = parts.documents, Faults()
    looked_at = several = empty = 0
    if len(documents) and (documents[0] != 0 or (parts.whole and documents[-1] != parts.sentences)):
        faults.add(_documents_problem(parts), 1)
    for part in slices:
        sizes = np.diff(np.array(documents[part.start : part.stop + 1]))
        if falling := int(np.count_nonzero(sizes < 0)):
            faults.add(_documents_problem(parts), falling)
        looked_at += len(sizes)
        several += int(np.count_nonzero(sizes >= 2))
        empty += int(np.count_nonzero(sizes == 0))
        looked(8 * len(sizes))
    return DocumentSurvey(looked_at, several, empty, faults.findings())


def _documents_problem(parts: DatasetParts) -> Problem:
    first, last = int(parts.documents[0]), int(parts.documents[-1])
    facts = {"last": last, "sentences": parts.sentences}
    return Problem("dataset.documents", str(dataset_paths(parts.prefix)[0]), str(first), facts)


@dataclass(frozen=True, eq=False)
class SentenceEdges:
    """The first and the last id of E sentences."""

    first: NDArray[Any]
    """[E]"""
    last: NDArray[Any]
    """[E]"""


def read_edges(parts: DatasetParts, slices: Iterable[slice]) -> SentenceEdges:
    """Of the sentences in ``slices`` that have tokens and lie inside ``.bin``."""
    first, last = [parts.tokens[:0]], [parts.tokens[:0]]
    for part in slices if parts.width else ():
        starts = np.array(parts.pointers[part]) // parts.width
        lengths = np.array(parts.lengths[part], dtype=np.int64)[: len(starts)]
        inside = (lengths > 0) & (starts >= 0) & (starts <= len(parts.tokens) - lengths)
        first.append(parts.tokens[starts[inside]])
        last.append(parts.tokens[starts[inside] + lengths[inside] - 1])
    return SentenceEdges(np.concatenate(first), np.concatenate(last))
