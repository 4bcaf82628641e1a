"""From row streams to batches: cut, put in order, mask and lay out the samples of the rows asked for.

What a sample looks like is a pure function of (seed, dataset, split, epoch, first sentence): it does not depend on
which rows are read with it, in which order, or on how many ranks. So a resumed run, at any layout, reads what it would
have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trainer.spec.corpus import Corpus, Interleaving
from trainer.spec.indexed_dataset import IndexedDataset
from trainer.spec.masking import GroupLengths, choose_masked, replacements
from trainer.spec.preset import Data
from trainer.spec.problem import DatasetError, Problem
from trainer.spec.row_stream import Mark, RowGroup, RowStream
from trainer.spec.sample_index import SampleRule, SampleTable
from trainer.spec.split import SPLITS, Split
from trainer.spec.vocabulary import Vocabulary

SWAP_PROBABILITY = 0.5
_SAMPLES = 102
"""Second half of Philox's key; ``row_stream`` has others, so that no two purposes draw the same numbers."""
DRAWS_OF_TOKEN = 5
"""The fields of ``_Draws`` that have a number for each token."""
ALL_ROWS = 1 << 62
"""More than there are."""


@dataclass(frozen=True, eq=False)
class Batch:
    """b rows of s tokens."""

    tokens: NDArray[np.int64]
    """[b, s], with masks; padding is the vocabulary's pad id."""
    positions: NDArray[np.int64]
    """[b, s], from 0 in each sample."""
    types: NDArray[np.int64]
    """[b, s], 0 for [CLS] A [SEP], 1 for B [SEP]."""
    segments: NDArray[np.int32]
    """[b, s], which sample of the row a token belongs to, from 1; 0 is padding."""
    masked_index: NDArray[np.int64]
    """[n], where to guess, as indices into the b * s tokens, rising."""
    masked_label: NDArray[np.int64]
    """[n], the true ids there."""
    pair_index: NDArray[np.int64]
    """[p], the [CLS] of each sample, as indices into the b * s tokens; empty without sentence order."""
    swapped: NDArray[np.int64]
    """[p], 1 where B comes before A in the text; empty without sentence order."""
    tokens_count: int
    """Tokens that are not padding."""
    pairs_count: int
    """Samples."""

    def cut(self, rows: Sequence[int]) -> list[Batch]:
        """The same rows as several batches, the first with ``rows[0]`` of them, and so on."""
        borders = np.concatenate([[0], np.cumsum(np.asarray(rows, dtype=np.int64))])
        return [self._part(first, end) for first, end in pairwise(borders.tolist())]

    def _part(self, first: int, end: int) -> Batch:
        start, stop = first * self.tokens.shape[1], end * self.tokens.shape[1]
        masked = slice(*np.searchsorted(self.masked_index, [start, stop]))
        pairs = slice(*np.searchsorted(self.pair_index, [start, stop]))
        segments = self.segments[first:end]
        return Batch(
            tokens=self.tokens[first:end],
            positions=self.positions[first:end],
            types=self.types[first:end],
            segments=segments,
            masked_index=self.masked_index[masked] - start,
            masked_label=self.masked_label[masked],
            pair_index=self.pair_index[pairs] - start,
            swapped=self.swapped[pairs],
            tokens_count=int(np.count_nonzero(segments)),
            pairs_count=int(segments.max(axis=1, initial=0).sum()),
        )


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The p samples of a batch as the streams have them."""

    samples: SampleTable
    row: NDArray[np.int64]
    """[p], which of the b rows it is in."""
    segment: NDArray[np.int64]
    """[p], number in the row, from 1."""
    dataset: NDArray[np.int64]
    """[p], number of its dataset in the blend."""
    epoch: NDArray[np.int64]
    """[p], of its dataset."""


@dataclass(frozen=True, eq=False)
class _Samples:
    """What is known of the p samples of a batch before a token is read."""

    dataset: NDArray[np.int64]
    """[p], number of its dataset in the blend."""
    place: NDArray[np.int64]
    """[p], index of the [CLS] into the b * s tokens."""
    segment: NDArray[np.int64]
    """[p], number in the row, from 1."""
    starts: NDArray[np.int64]
    """[p, 2], first token of the first and second segment in ``.bin``."""
    lengths: NDArray[np.int64]
    """[p, 2], tokens of the first and second segment."""
    swapped: NDArray[np.bool_]
    """[p]"""


@dataclass(frozen=True, eq=False)
class _Draws:
    """Uniform numbers in [0, 1) of p samples; l is the length of the longest. Past a sample's own length stand ones."""

    border: NDArray[np.float64]
    """[p], where to cut the pair in two."""
    swap: NDArray[np.float64]
    """[p]"""
    trim: NDArray[np.float64]
    """[p, l], front or back, for each token taken off."""
    order: NDArray[np.float64]
    """[p, l], puts the words in random order."""
    group: NDArray[np.float64]
    """[p, l], how many words are hidden together."""
    action: NDArray[np.float64]
    """[p, l], [MASK], random id or as it was."""
    new_id: NDArray[np.float64]
    """[p, l]"""


@dataclass(frozen=True, eq=False)
class _Grid:
    """The samples of a batch one below the other, [p, l]; l is the longest of them."""

    tokens: NDArray[np.int64]
    place: NDArray[np.int64]
    """Index into the b * s tokens."""
    column: NDArray[np.int64]
    """[1, l]"""
    used: NDArray[np.bool_]
    """What belongs to the sample."""
    text: NDArray[np.bool_]
    """What belongs to it but [CLS] and [SEP]."""
    second: NDArray[np.bool_]
    """What comes after the first [SEP]."""
    word_starts: NDArray[np.bool_]


class RowReader:
    """Rows of a blend of datasets, ready for the model.

    Raises:
        PresetError: ``data.split`` is no split.
        DatasetError: a document array is damaged.
    """

    def __init__(self, corpus: Corpus, vocabulary: Vocabulary, data: Data, sequence_length: int) -> None:
        self._datasets = corpus.datasets
        self._vocabulary = vocabulary
        self._data = data
        self.sequence_length = sequence_length
        self._words = GroupLengths.of(data)
        self._interleavings: dict[Split, Interleaving] = {}
        self._streams: dict[Split, list[RowStream]] = {}
        for split in SPLITS:
            shares = corpus.shares(split, data.split)
            if shares.any():
                self._interleavings[split] = Interleaving(shares)
                self._streams[split] = [
                    RowStream(dataset, number, split, data, sequence_length)
                    for number, dataset in enumerate(corpus.datasets)
                ]

    def rows(self, split: Split, most: int = ALL_ROWS) -> int:
        """How many rows of the stream come before one is read again, at most ``most``. Counting takes as long as
        forming so many; there may be none.
        """
        if split not in self._streams:
            return 0
        shared = self._interleavings[split].before(min(most, ALL_ROWS))
        counts = [
            stream.rows_of_epoch(int(wanted)) for stream, wanted in zip(self._streams[split], shared, strict=True)
        ]
        return self._interleavings[split].rows_within(np.array(counts, dtype=np.int64), most)

    def marks(self, row: int) -> tuple[Mark, ...]:
        """Where the walk through each dataset stands when row ``row`` of training comes next: the state of reading."""
        before = self._interleavings["train"].before(row).tolist()
        return tuple(stream.mark_before(place) for stream, place in zip(self._streams["train"], before, strict=True))

    def resume(self, marks: Sequence[Mark]) -> None:
        """Goes on from marks of the same blend, instead of walking there from the beginning."""
        for stream, mark in zip(self._streams["train"], marks, strict=True):
            stream.remember(mark)

    def batch(self, split: Split, positions: ArrayLike) -> Batch:
        """The rows at ``positions`` [b] of the endless stream of epochs.

        Raises:
            DatasetError: the split has no rows, the dataset is damaged, or an id is not in the vocabulary.
        """
        wanted = np.asarray(positions, dtype=np.int64)
        if split not in self._streams:
            raise DatasetError(Problem("dataset.no_rows", str(self._datasets[0].prefix), split))
        pairs = self._pairs_of_rows(split, wanted)
        draws = self._draws(split, pairs)
        samples = self._lay_out(pairs, draws)
        return self._fill(len(wanted), samples, draws)

    def _pairs_of_rows(self, split: Split, wanted: NDArray[np.int64]) -> _Pairs:
        """The samples of the rows, row by row."""
        owners, places = self._interleavings[split].locate(wanted)
        found = []
        for dataset in np.unique(owners).tolist():
            stream = self._streams[split][dataset]
            rows = np.flatnonzero(owners == dataset)
            rows = rows[np.argsort(places[rows], kind="stable")]
            while len(rows):
                group = stream.group_of(int(places[rows[0]]))
                here = rows[places[rows] < group.end]
                found.append(_pairs_of_group(group, places[here] - group.mark.row, here, dataset))
                rows = rows[len(here) :]
        return _joined(found)

    def _draws(self, split: Split, pairs: _Pairs) -> _Draws:
        """Uniform numbers for each pair, from a stream that (seed, dataset, split, epoch, first sentence) alone
        decides; as many for each purpose as the sample has tokens."""
        lengths = pairs.samples.length
        numbers = np.ones((len(lengths), DRAWS_OF_TOKEN, int(lengths.max(initial=0))))
        borders_and_swaps = np.empty((len(lengths), 2))
        bits = np.random.Philox(key=[self._data.seed, _SAMPLES])
        random, state = np.random.Generator(bits), bits.state
        streams = (SPLITS.index(split) + len(SPLITS) * pairs.dataset).tolist()
        firsts, epochs = pairs.samples.first.tolist(), pairs.epoch.tolist()
        for n, length in enumerate(lengths.tolist()):
            state["state"]["counter"][:] = (0, firsts[n], epochs[n], streams[n])
            state["buffer_pos"] = 4
            bits.state = state
            drawn = random.random(2 + DRAWS_OF_TOKEN * length)
            borders_and_swaps[n] = drawn[:2]
            numbers[n, :, :length] = drawn[2:].reshape(DRAWS_OF_TOKEN, length)
        return _Draws(*borders_and_swaps.T, *numbers.swapaxes(0, 1))

    def _lay_out(self, pairs: _Pairs, draws: _Draws) -> _Samples:
        """Cuts each pair in two, swaps, trims to the target and finds its place in the row."""
        starts, lengths = self._segments(pairs, draws.border)
        count = len(pairs.row)
        swapped = draws.swap < SWAP_PROBABILITY if self._data.sentence_order else np.zeros(count, dtype=np.bool_)
        starts[swapped], lengths[swapped] = starts[swapped, ::-1], lengths[swapped, ::-1]
        starts, lengths = trim(starts, lengths, pairs.samples.target, draws.trim, pairs.samples.length)
        before = np.cumsum(pairs.samples.length) - pairs.samples.length
        place = pairs.row * self.sequence_length + before - before[np.arange(count) - (pairs.segment - 1)]
        return _Samples(pairs.dataset, place, pairs.segment, starts, lengths, swapped)

    def _segments(self, pairs: _Pairs, draw: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the two segments start in ``.bin`` and their lengths, [p, 2] each.

        The border is any of those between two sentences; without sentence order all is the first segment.
        """
        first, end = pairs.samples.first, pairs.samples.end
        start = self._tokens_before(pairs.dataset, first)
        stop = self._tokens_before(pairs.dataset, end - 1) + self._lengths_of(pairs.dataset, end - 1)
        if not self._data.sentence_order:
            return np.stack([start, stop], axis=1), np.stack([stop - start, np.zeros_like(start)], axis=1)
        middle = first + 1 + (draw * (end - first - 1)).astype(np.int64)
        border = self._tokens_before(pairs.dataset, middle)
        return np.stack([start, border], axis=1), np.stack([border - start, stop - border], axis=1)

    def _tokens_before(self, owners: NDArray[np.int64], sentences: NDArray[np.int64]) -> NDArray[np.int64]:
        """[p], how many tokens of its ``.bin`` come before each sentence."""
        before = np.empty_like(sentences)
        for dataset, here in self._by_dataset(owners):
            before[here] = dataset.pointers[sentences[here]] // dataset.dtype.itemsize
        return before

    def _lengths_of(self, owners: NDArray[np.int64], sentences: NDArray[np.int64]) -> NDArray[np.int64]:
        """[p], tokens of each sentence."""
        lengths = np.empty_like(sentences)
        for dataset, here in self._by_dataset(owners):
            lengths[here] = dataset.lengths[sentences[here]]
        return lengths

    def _read(self, owners: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The ids at places of their ``.bin``, [n]."""
        ids = np.empty_like(places)
        for dataset, here in self._by_dataset(owners):
            ids[here] = dataset.ids(places[here], self._vocabulary.size)
        return ids

    def _by_dataset(self, owners: NDArray[np.int64]) -> Iterator[tuple[IndexedDataset, NDArray[np.bool_] | slice]]:
        """Each dataset that occurs, and where."""
        if len(self._datasets) == 1:
            yield self._datasets[0], slice(None)
            return
        for number in np.unique(owners).tolist():
            yield self._datasets[number], owners == number

    def _grid(self, samples: _Samples) -> _Grid:
        """Reads the text and puts [CLS] and [SEP] around it."""
        vocabulary = self._vocabulary
        a, b = samples.lengths[:, :1], samples.lengths[:, 1:]  # [p, 1]
        total = a + b + SampleRule.of(self._data, self.sequence_length).specials
        column = np.arange(int(total.max(initial=0)))[None, :]
        in_a = (column > 0) & (column <= a)
        in_b = (column > a + 1) & (column <= a + 1 + b)
        text = in_a | in_b
        source = np.where(in_a, samples.starts[:, :1] + column - 1, samples.starts[:, 1:] + column - 2 - a)
        tokens = np.where(column == 0, vocabulary.cls, np.full(text.shape, vocabulary.sep))
        owners = np.broadcast_to(samples.dataset[:, None], text.shape)
        tokens[text] = self._read(owners[text], source[text])
        return _Grid(
            tokens=tokens,
            place=samples.place[:, None] + column,
            column=column,
            used=column < total,
            text=text,
            second=column > a + 1,
            word_starts=text & self._begins_word(tokens, (column == 1) | (column == a + 2)),
        )

    def _begins_word(self, tokens: NDArray[np.int64], begins_segment: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """[p, l], where something begins that is hidden as a whole: a word, or any piece if pieces are hidden alone."""
        if not self._data.mask_whole_words:
            return np.ones_like(begins_segment)
        return ~self._vocabulary.continuation[tokens] | begins_segment

    def _mask(self, grid: _Grid, draws: _Draws) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The tokens as the model sees them, and what it has to guess, [p, l] each."""
        vocabulary = self._vocabulary
        lengths = np.count_nonzero(grid.used, axis=1)
        budget = np.maximum(1, np.rint(lengths * self._data.mask_probability).astype(np.int64))
        masked = choose_masked(grid.word_starts, grid.text, budget, draws.order, self._words.sizes(draws.group))
        action, new_id = draws.action[masked], draws.new_id[masked]
        tokens = grid.tokens.copy()
        tokens[masked] = replacements(grid.tokens[masked], vocabulary.mask, vocabulary.size, action, new_id)
        return tokens, masked

    def _fill(self, rows: int, samples: _Samples, draws: _Draws) -> Batch:
        """Reads and masks the samples and puts them in their places."""
        grid = self._grid(samples)
        tokens, masked = self._mask(grid, draws)
        target = grid.place[grid.used]

        def spread(values: NDArray[Any], kind: type[Any], padding: int = 0) -> NDArray[Any]:
            laid_out = np.full(rows * self.sequence_length, padding, dtype=kind)
            laid_out[target] = np.broadcast_to(values, grid.used.shape)[grid.used]
            return laid_out.reshape(rows, self.sequence_length)

        ordered = slice(None) if self._data.sentence_order else slice(0)
        return Batch(
            tokens=spread(tokens, np.int64, self._vocabulary.pad),
            positions=spread(grid.column, np.int64),
            types=spread(grid.second & self._data.sentence_order, np.int64),
            segments=spread(samples.segment[:, None], np.int32),
            masked_index=grid.place[masked],
            masked_label=grid.tokens[masked],
            pair_index=samples.place[ordered],
            swapped=samples.swapped[ordered].astype(np.int64),
            tokens_count=len(target),
            pairs_count=len(samples.place),
        )


def _pairs_of_group(group: RowGroup, rows: NDArray[np.int64], batch_rows: NDArray[np.int64], dataset: int) -> _Pairs:
    """The samples of some rows of a group; ``batch_rows`` says where in the batch each stands, [n] both."""
    first, counts = group.borders[rows], group.borders[rows + 1] - group.borders[rows]
    within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    return _Pairs(
        samples=group.samples.taken(np.repeat(first, counts) + within),
        row=np.repeat(batch_rows, counts),
        segment=within + 1,
        dataset=np.full(len(within), dataset),
        epoch=np.full(len(within), group.mark.epoch),
    )


def _joined(parts: Sequence[_Pairs]) -> _Pairs:
    """All samples in the order of the batch's rows."""
    order = np.argsort(np.concatenate([part.row for part in parts]), kind="stable")

    def joined(name: str) -> NDArray[np.int64]:
        values: NDArray[np.int64] = np.concatenate([getattr(part, name) for part in parts])[order]
        return values

    tables = [part.samples for part in parts]
    columns = {f.name: np.concatenate([getattr(table, f.name) for table in tables])[order] for f in fields(SampleTable)}
    return _Pairs(SampleTable(**columns), joined("row"), joined("segment"), joined("dataset"), joined("epoch"))


def trim(
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    target: NDArray[np.int64],
    draws: NDArray[np.float64],
    drawn: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Shortens pairs to their targets as Megatron does: token by token from the longer segment (the second where both
    are equal), from its front or its back with equal chance.

    How many tokens each segment loses does not depend on chance; how many of them at the front is a count of draws.
    Where more tokens go than there are draws, the share found in the draws is taken of all.

    Args:
        starts: [p, 2], first token of each segment.
        lengths: [p, 2].
        target: [p], most tokens of both together.
        draws: [p, l] uniform numbers.
        drawn: [p], how many of them each pair may use.

    Returns:
        The new starts and lengths, [p, 2] each.
    """
    a, b = lengths.T
    kept_a = np.where(a + b > target, np.minimum(a, np.maximum(target - b, (target + 1) // 2)), a)
    kept_b = np.minimum(b, target - kept_a)
    kept = np.stack([kept_a, np.where(a + b > target, kept_b, b)], axis=1)
    lost = lengths - kept
    fronts = np.concatenate([np.zeros((len(a), 1), dtype=np.int64), np.cumsum(draws < 0.5, axis=1)], axis=1)
    available = drawn[:, None]
    too_many = lost.sum(axis=1, keepdims=True) > available
    counted = np.where(too_many, np.minimum(lost, available // 2), lost)
    from_a = np.take_along_axis(fronts, counted[:, :1], axis=1)
    from_b = np.take_along_axis(fronts, counted.sum(axis=1, keepdims=True), axis=1) - from_a
    front = np.concatenate([from_a, from_b], axis=1)
    front = np.where(counted < lost, front * lost // np.maximum(counted, 1), front)
    return starts + front, kept
