"""The rows of one dataset and split as an endless stream: epoch after epoch, each in an order of its own.

The split is cut into chunks of sentences. An epoch takes the chunks in random order, ``GROUP`` at a time: it forms the
samples of such a group, packs them into rows and shuffles those. A row therefore stands beside rows from all over the
dataset, while only one group is in memory, however large the dataset is. What a group holds follows from (seed,
dataset, split, epoch, number of the group), so every rank forms the same.

How many rows a group gives is known once it is formed, so the stream is walked group by group. A :class:`Mark` says
where a group begins; with one from a checkpoint the walk goes on from there.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.spec.corpus import Corpus
from trainer.spec.indexed_dataset import IndexedDataset
from trainer.spec.packing import pack
from trainer.spec.preset import Data
from trainer.spec.problem import DatasetError, Problem
from trainer.spec.sample_index import SampleRule, SampleTable, form_samples
from trainer.spec.split import SPLITS, Split, split_documents

CHUNK = 1 << 14
"""Sentences of a chunk; one with the rest of a document that began before has up to twice as many."""
GROUP = 32
"""Chunks formed, packed and shuffled together: half a million sentences, some 20 to 100 MB."""
MARKS = 4096
"""Marks that are remembered."""
_CHUNKS, _ROWS = 101, 103
"""Second half of Philox's key: one for each purpose, so that no two draw the same numbers."""


class Mark(NamedTuple):
    """Where a group begins."""

    epoch: int
    group: int
    row: int
    """Rows of the stream before it."""


@dataclass(frozen=True, eq=False)
class RowGroup:
    """R rows of P samples."""

    mark: Mark
    samples: SampleTable
    """In the order of the rows."""
    borders: NDArray[np.int64]
    """[R + 1]: row r holds samples borders[r] .. borders[r + 1] - 1."""

    @property
    def rows(self) -> int:
        """R."""
        return len(self.borders) - 1

    @property
    def end(self) -> int:
        """Rows of the stream up to its last."""
        return self.mark.row + self.rows


@dataclass(frozen=True)
class EpochSize:
    """How much one epoch is."""

    rows: int
    samples: int
    tokens: int
    """[CLS] and [SEP] counted, padding not."""
    counted: bool
    """False: estimated from some of its groups."""

    def fill(self, sequence_length: int) -> float:
        """Share of the rows' positions that is not padding."""
        return self.tokens / (self.rows * sequence_length) if self.rows else 0.0


class RowStream:
    """The stream of one dataset.

    Args:
        dataset: where the sentences are.
        number: of the dataset in its blend; part of what decides the order.
        split: whose documents are read.
        data: the preset's settings.
        sequence_length: positions of a row.

    Raises:
        PresetError: ``data.split`` is no split.
        DatasetError: the document array is damaged.
    """

    def __init__(self, dataset: IndexedDataset, number: int, split: Split, data: Data, sequence_length: int) -> None:
        self.dataset, self.number, self.split, self.data = dataset, number, split, data
        self.sequence_length = sequence_length
        self.documents = split_documents(data.split, dataset.document_count)[split]
        self._rule = SampleRule.of(data, sequence_length)
        self._chunks = chunk_borders(dataset, self.documents)
        self._marks = [Mark(0, 0, 0)]
        self._groups: list[RowGroup] = []
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.zeros(0, dtype=np.int64))
        self._barren = np.zeros(self._chunk_count, dtype=np.bool_)

    @property
    def _chunk_count(self) -> int:
        return len(self._chunks) - 1

    @property
    def groups_per_epoch(self) -> int:
        """Groups of one epoch, empty ones counted."""
        return -(-self._chunk_count // GROUP)

    def group_of(self, row: int) -> RowGroup:
        """The group that a row of the stream is in.

        Raises:
            DatasetError: no document makes a sample, or the index is damaged where it is read.
        """
        mark = self.mark_before(row)
        empty_in_a_row = 0
        while (group := self._group(mark)).end <= row:
            empty_in_a_row = 0 if group.rows else empty_in_a_row + 1
            if empty_in_a_row >= 2 * self.groups_per_epoch:
                raise DatasetError(self._no_samples())
            mark = self._behind(group)
            if mark not in self._marks[-1:]:
                self.remember(mark)
        return group

    def mark_before(self, row: int) -> Mark:
        """The last known mark at or before a row."""
        marks = list(self._marks)  # another thread may walk on
        return marks[bisect.bisect_right(marks, row, key=lambda mark: mark.row) - 1]

    def remember(self, mark: Mark) -> None:
        """Takes note of a mark, of this walk or of one in a checkpoint."""
        marks = [known for known in self._marks if known != mark]
        bisect.insort(marks, mark)
        self._marks = marks if len(marks) <= MARKS else [marks[0], *marks[-MARKS // 2 :]]

    def rows_of_epoch(self, most: int) -> int:
        """Rows of the first epoch, counted up to ``most``."""
        rows = 0
        for number in range(self.groups_per_epoch):
            if rows >= most:
                break
            rows += self._form(Mark(0, number, rows)).rows
        return min(rows, most)

    def size_of_epoch(self, groups: int) -> EpochSize:
        """How much one epoch is: counted where it has no more than so many groups, else estimated from the first
        ``groups``, whose chunks are drawn at random from the whole split."""
        rows = samples = tokens = sentences = 0
        looked_at = min(groups, self.groups_per_epoch)
        for number in range(looked_at):
            group = self._form(Mark(0, number, 0))
            rows, samples = rows + group.rows, samples + len(group.samples)
            tokens += int(group.samples.length.sum())
            sentences += sum(map(len, self._stretches(self._chunks_of(0, number))))
        share = (int(self._chunks[-1]) - int(self._chunks[0])) / max(1, sentences)
        counted = looked_at == self.groups_per_epoch
        return EpochSize(round(rows * share), round(samples * share), round(tokens * share), counted)

    def _no_samples(self) -> Problem:
        facts = {"documents": len(self.documents)}
        return Problem("dataset.no_pairs", str(self.dataset.prefix), self.data.split, facts)

    def _behind(self, group: RowGroup) -> Mark:
        """The mark of the group that follows."""
        epoch, number, _ = group.mark
        more = number + 1 < self.groups_per_epoch
        return Mark(epoch, number + 1, group.end) if more else Mark(epoch + 1, 0, group.end)

    def _group(self, mark: Mark) -> RowGroup:
        """Formed, or one of the two formed last: a batch may lie across a border."""
        for group in self._groups:
            if group.mark == mark:
                return group
        group = self._form(mark)
        self._groups = [*self._groups[-1:], group]
        return group

    def _form(self, mark: Mark) -> RowGroup:
        chunks = self._chunks_of(mark.epoch, mark.group)
        chunks = chunks[~self._barren[chunks]]
        if not len(chunks):
            nothing = np.zeros(0, dtype=np.int64)
            return RowGroup(mark, SampleTable(nothing, nothing, nothing, nothing), np.zeros(1, dtype=np.int64))
        random = self._random(_ROWS, mark.epoch, mark.group)
        samples, counts = form_samples(self.dataset, self._stretches(chunks), self._rule, random)
        self._barren[chunks[counts == 0]] = True
        samples = samples.taken(random.permutation(len(samples)))
        if self.data.packing:
            samples, borders = _packed(samples, self.sequence_length, random)
        else:
            borders = np.arange(len(samples) + 1, dtype=np.int64)
        return RowGroup(mark, samples, borders)

    def _chunks_of(self, epoch: int, group: int) -> NDArray[np.int64]:
        """The chunks in a group, at most [GROUP]."""
        if self._order[0] != epoch:
            self._order = (epoch, self._random(_CHUNKS, epoch, 0).permutation(self._chunk_count))
        return self._order[1][group * GROUP : (group + 1) * GROUP]

    def _stretches(self, chunks: NDArray[np.int64]) -> list[range]:
        return [range(int(self._chunks[chunk]), int(self._chunks[chunk + 1])) for chunk in chunks.tolist()]

    def _random(self, purpose: int, epoch: int, group: int) -> np.random.Generator:
        stream = SPLITS.index(self.split) + len(SPLITS) * self.number
        return np.random.Generator(np.random.Philox(key=[self.data.seed, purpose], counter=[0, group, epoch, stream]))


def chunk_borders(dataset: IndexedDataset, documents: range) -> NDArray[np.int64]:
    """Where the chunks of some documents begin and end, in sentences, [chunks + 1]. Chunks begin with a document, but
    for those within a document longer than a chunk.

    Raises:
        DatasetError: the documents are not within the dataset.
    """
    first, end = (int(dataset.documents[border]) for border in (documents.start, documents.stop))
    if not 0 <= first <= end <= len(dataset.lengths):
        raise DatasetError(dataset.wrong_documents())
    even = np.arange(first, end, CHUNK, dtype=np.int64)
    begun = dataset.documents[np.maximum(dataset.documents_before(even) - 1, 0)].astype(np.int64)
    starts = np.where((begun <= even) & (even - begun < CHUNK), np.maximum(begun, first), even)
    return np.append(starts, end)


def _packed(
    samples: SampleTable, sequence_length: int, random: np.random.Generator
) -> tuple[SampleTable, NDArray[np.int64]]:
    """The samples of packed and shuffled rows, and the rows' borders."""
    order, borders = pack(samples.length, sequence_length)
    rows = random.permutation(len(borders) - 1)
    sizes = np.diff(borders)[rows]
    shuffled = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    places = np.arange(len(order)) - np.repeat(shuffled[:-1], sizes) + np.repeat(borders[rows], sizes)
    return samples.taken(order[places]), shuffled


def require_rows(corpus: Corpus, data: Data, sequence_length: int) -> None:
    """Makes sure that there is a first row of every dataset.

    Raises:
        DatasetError: a dataset is damaged, or none of its documents makes a sample for training.
    """
    for number, dataset in enumerate(corpus.datasets):
        RowStream(dataset, number, "train", data, sequence_length).group_of(0)
