"""From an index to batches: cut, put in order, mask and lay out the samples of the rows asked for.

What a sample looks like is a pure function of (seed, split, epoch, number of the pair): it does not depend on which
rows are read with it, in which order, or on how many ranks. So a resumed run, at any layout, reads what it would have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trainer.spec.indexed_dataset import IndexedDataset
from trainer.spec.masking import choose_masked, replacements
from trainer.spec.preset import Data
from trainer.spec.problem import DatasetError, Problem
from trainer.spec.sample_index import SampleIndex, special_tokens
from trainer.spec.split import SPLITS, Split
from trainer.spec.vocabulary import Vocabulary

SWAP_PROBABILITY = 0.5
_ORDER, _SAMPLES = 101, 102
"""Second half of Philox's key: one for each purpose, so that no two draw the same numbers."""


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


@dataclass(frozen=True, eq=False)
class _Samples:
    """What is known of the p samples of a batch before a token is read."""

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
    """Uniform numbers in [0, 1) of p samples."""

    border: NDArray[np.float64]
    """[p], where to cut the pair in two."""
    swap: NDArray[np.float64]
    """[p]"""
    trim: NDArray[np.float64]
    """[p, s], front or back, for each token taken off."""
    order: NDArray[np.float64]
    """[p, s], puts the words in random order."""
    group: NDArray[np.float64]
    """[p, s], how many words are hidden together."""
    action: NDArray[np.float64]
    """[p, s], [MASK], random id or as it was."""
    new_id: NDArray[np.float64]
    """[p, s]"""


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
    """Rows of one dataset, ready for the model."""

    def __init__(
        self, dataset: IndexedDataset, index: SampleIndex, vocabulary: Vocabulary, data: Data, sequence_length: int
    ) -> None:
        if index.sequence_length != sequence_length:
            facts = {"expected": sequence_length}
            raise DatasetError(Problem("index.length", str(index.folder), str(index.sequence_length), facts))
        self._dataset = dataset
        self.index = index
        self._vocabulary = vocabulary
        self._data = data
        self._length = sequence_length
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.zeros(0, dtype=np.int64))

    def rows(self, split: Split) -> int:
        """Rows of one epoch."""
        return len(self.index.rows[split]) - 1

    def batch(self, split: Split, positions: ArrayLike) -> Batch:
        """The rows at ``positions`` [b] of the endless stream of epochs.

        Position // rows is the epoch. Training shuffles the rows anew in each epoch, the other splits never do.

        Raises:
            DatasetError: the split has no rows, or an id is not in the vocabulary.
        """
        wanted = np.asarray(positions, dtype=np.int64)
        if not self.rows(split):
            raise DatasetError(Problem("index.no_rows", str(self.index.folder), split))
        epochs, rows = np.divmod(wanted, self.rows(split))
        if split == "train":
            rows = self._shuffled(epochs, rows)
        pairs, pair_epochs, row_of_pair, segment = self._pairs_of_rows(split, rows, epochs)
        draws = self._draws(split, pair_epochs, pairs)
        samples = self._lay_out(split, pairs, row_of_pair, segment, draws)
        return self._fill(len(wanted), samples, draws)

    def _shuffled(self, epochs: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """[b]: the row that stands at each place of its epoch."""
        shuffled = np.empty_like(rows)
        for epoch in np.unique(epochs).tolist():
            here = epochs == epoch
            shuffled[here] = self._order_of(epoch)[rows[here]]
        return shuffled

    def _order_of(self, epoch: int) -> NDArray[np.int64]:
        """[R], the order of the training rows in an epoch; the last one asked for is kept."""
        if self._order[0] != epoch:
            random = np.random.Generator(np.random.Philox(key=[self._data.seed, _ORDER], counter=[0, epoch, 0, 0]))
            self._order = (epoch, random.permutation(self.rows("train")))
        return self._order[1]

    def _pairs_of_rows(
        self, split: Split, rows: NDArray[np.int64], epochs: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Of each pair in the rows, [p]: its number, its epoch, its row in the batch, its number in the row."""
        borders = self.index.rows[split]
        first, counts = borders[rows], borders[rows + 1] - borders[rows]
        row_of_pair = np.repeat(np.arange(len(rows)), counts)
        within = np.arange(len(row_of_pair)) - np.repeat(np.cumsum(counts) - counts, counts)
        return first[row_of_pair] + within, epochs[row_of_pair], row_of_pair, within + 1

    def _draws(self, split: Split, epochs: NDArray[np.int64], pairs: NDArray[np.int64]) -> _Draws:
        """Uniform numbers for each pair, from a stream that (seed, split, epoch, pair) alone decides."""
        numbers = np.empty((len(pairs), 2 + 5 * self._length))
        bits = np.random.Philox(key=[self._data.seed, _SAMPLES])
        random, state = np.random.Generator(bits), bits.state
        for out, epoch, pair in zip(numbers, epochs.tolist(), pairs.tolist(), strict=True):
            state["state"]["counter"][:] = (0, pair, epoch, SPLITS.index(split))
            state["buffer_pos"] = 4
            bits.state = state
            random.random(out=out)
        return _Draws(numbers[:, 0], numbers[:, 1], *numbers[:, 2:].reshape(len(pairs), 5, -1).swapaxes(0, 1))

    def _lay_out(
        self,
        split: Split,
        pairs: NDArray[np.int64],
        row_of_pair: NDArray[np.int64],
        segment: NDArray[np.int64],
        draws: _Draws,
    ) -> _Samples:
        """Cuts each pair in two, swaps, trims to the target and finds its place in the row."""
        first, end, target = self.index.pairs[split][pairs].astype(np.int64).T
        starts, lengths = self._segments(first, end, draws.border)
        swapped = draws.swap < SWAP_PROBABILITY if self._data.sentence_order else np.zeros(len(pairs), dtype=np.bool_)
        starts[swapped], lengths[swapped] = starts[swapped, ::-1], lengths[swapped, ::-1]
        starts, lengths = trim(starts, lengths, target, draws.trim)
        total = lengths.sum(axis=1) + special_tokens(self._data)
        before = np.cumsum(total) - total
        place = row_of_pair * self._length + before - before[np.arange(len(pairs)) - (segment - 1)]
        return _Samples(place, segment, starts, lengths, swapped)

    def _segments(
        self, first: NDArray[np.int64], end: NDArray[np.int64], draw: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the two segments start in ``.bin`` and their lengths, [p, 2] each.

        The border is any of those between two sentences; without sentence order all is the first segment.
        """
        start, stop = self._token_before(first), self._token_before(end - 1) + self._dataset.lengths[end - 1]
        if not self._data.sentence_order:
            return np.stack([start, stop], axis=1), np.stack([stop - start, np.zeros_like(start)], axis=1)
        border = self._token_before(first + 1 + (draw * (end - first - 1)).astype(np.int64))
        return np.stack([start, border], axis=1), np.stack([border - start, stop - border], axis=1)

    def _token_before(self, sentences: NDArray[np.int64]) -> NDArray[np.int64]:
        """[p], how many tokens of ``.bin`` come before each sentence."""
        return self._dataset.pointers[sentences] // self._dataset.dtype.itemsize

    def _read(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The ids at places of ``.bin``, [n]. They are held against the vocabulary here, because the check before a
        run looks at a part of a large dataset only.
        """
        ids = self._dataset.tokens[places].astype(np.int64)
        wrong = np.flatnonzero((ids < 0) | (ids >= self._vocabulary.size))
        if wrong.size:
            facts = {"vocabulary": self._vocabulary.size, "position": int(places[wrong[0]])}
            raise DatasetError(Problem("dataset.ids", f"{self._dataset.prefix}.bin", str(ids[wrong[0]]), facts))
        return ids

    def _grid(self, samples: _Samples) -> _Grid:
        """Reads the text and puts [CLS] and [SEP] around it."""
        vocabulary = self._vocabulary
        a, b = samples.lengths[:, :1], samples.lengths[:, 1:]  # [p, 1]
        total = a + b + special_tokens(self._data)
        column = np.arange(int(total.max(initial=0)))[None, :]
        in_a = (column > 0) & (column <= a)
        in_b = (column > a + 1) & (column <= a + 1 + b)
        text = in_a | in_b
        source = np.where(in_a, samples.starts[:, :1] + column - 1, samples.starts[:, 1:] + column - 2 - a)
        tokens = np.where(column == 0, vocabulary.cls, np.full(text.shape, vocabulary.sep))
        tokens[text] = self._read(source[text])
        return _Grid(
            tokens=tokens,
            place=samples.place[:, None] + column,
            column=column,
            used=column < total,
            text=text,
            second=column > a + 1,
            word_starts=text & (~vocabulary.continuation[tokens] | (column == 1) | (column == a + 2)),
        )

    def _mask(self, grid: _Grid, draws: _Draws) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The tokens as the model sees them, and what it has to guess, [p, l] each."""
        width, vocabulary = grid.text.shape[1], self._vocabulary
        lengths = np.count_nonzero(grid.used, axis=1)
        probability = self._data.mask_probability
        masked = choose_masked(grid.word_starts, grid.text, lengths, probability, draws.order, draws.group)
        action, new_id = draws.action[:, :width][masked], draws.new_id[:, :width][masked]
        tokens = grid.tokens.copy()
        tokens[masked] = replacements(grid.tokens[masked], vocabulary.mask, vocabulary.size, action, new_id)
        return tokens, masked

    def _fill(self, rows: int, samples: _Samples, draws: _Draws) -> Batch:
        """Reads and masks the samples and puts them in their places."""
        grid = self._grid(samples)
        tokens, masked = self._mask(grid, draws)
        target = grid.place[grid.used]

        def spread(values: NDArray[Any], kind: type[Any], padding: int = 0) -> NDArray[Any]:
            laid_out = np.full(rows * self._length, padding, dtype=kind)
            laid_out[target] = np.broadcast_to(values, grid.used.shape)[grid.used]
            return laid_out.reshape(rows, self._length)

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


def trim(
    starts: NDArray[np.int64], lengths: NDArray[np.int64], target: NDArray[np.int64], draws: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Shortens pairs to their targets as Megatron does: token by token from the longer segment (the second where both
    are equal), from its front or its back with equal chance.

    How many tokens each segment loses does not depend on chance; how many of them at the front is a count of draws.
    Where more tokens go than there are draws, the share found in the draws is taken of all.

    Args:
        starts: [p, 2], first token of each segment.
        lengths: [p, 2].
        target: [p], most tokens of both together.
        draws: [p, s] uniform numbers.

    Returns:
        The new starts and lengths, [p, 2] each.
    """
    a, b = lengths.T
    kept_a = np.where(a + b > target, np.minimum(a, np.maximum(target - b, (target + 1) // 2)), a)
    kept_b = np.minimum(b, target - kept_a)
    kept = np.stack([kept_a, np.where(a + b > target, kept_b, b)], axis=1)
    lost = lengths - kept
    fronts = np.concatenate([np.zeros((len(a), 1), dtype=np.int64), np.cumsum(draws < 0.5, axis=1)], axis=1)
    available = draws.shape[1]
    too_many = lost.sum(axis=1, keepdims=True) > available
    counted = np.where(too_many, np.minimum(lost, available // 2), lost)
    from_a = np.take_along_axis(fronts, counted[:, :1], axis=1)
    from_b = np.take_along_axis(fronts, counted.sum(axis=1, keepdims=True), axis=1) - from_a
    front = np.concatenate([from_a, from_b], axis=1)
    front = np.where(counted < lost, front * lost // np.maximum(counted, 1), front)
    return starts + front, kept
