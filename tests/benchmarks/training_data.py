"""The same made-up samples, packed for our trainer and padded for Hugging Face's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.batches import MicroBatch
from trainer.spec.packing import pack
from trainer.spec.sizing import BERT_VOCAB

LENGTH = 128
"""Positions of a row."""
SHORTEST = 16
"""Sample of the mixture; the lengths from here to a whole row are equally frequent."""
MASKED = 0.15
"""Share of the tokens that is guessed."""
BATCHES = 8

Samples = list[NDArray[np.int64]]
"""The ids of each."""


def packed(lengths: str, rows: int) -> Iterator[MicroBatch]:
    """``BATCHES`` batches of rows that hold as many samples as fit."""
    samples = _samples(lengths, 4 * BATCHES * rows)
    order, starts = pack(np.array([len(sample) for sample in samples]), LENGTH)
    chosen = np.random.default_rng(1).permutation(len(starts) - 1)[: BATCHES * rows]
    for batch in chosen.reshape(BATCHES, rows):
        yield _laid_out([[samples[n] for n in order[starts[row] : starts[row + 1]]] for row in batch])


def padded(lengths: str, rows: int) -> Iterator[dict[str, Tensor]]:
    """``BATCHES`` batches of one sample a row, as ``BertForPreTraining`` takes them."""
    samples = _samples(lengths, BATCHES * rows)
    for first in range(0, len(samples), rows):
        batch = _laid_out([[sample] for sample in samples[first : first + rows]])
        labels = torch.full((rows * LENGTH,), -100).index_copy(0, batch.masked_index, batch.masked_label)
        yield {
            "input_ids": batch.tokens,
            "token_type_ids": batch.types,
            "attention_mask": (batch.segments > 0).long(),
            "labels": labels.view(rows, LENGTH),
            "next_sentence_label": batch.swapped,
        }


def _samples(lengths: str, count: int) -> Samples:
    """All as long as a row, or of mixed lengths."""
    random = np.random.default_rng(0)
    shortest = {"full": LENGTH, "mixed": SHORTEST}[lengths]
    return [random.integers(5, BERT_VOCAB, length) for length in random.integers(shortest, LENGTH + 1, count)]


def _laid_out(rows: list[Samples]) -> MicroBatch:
    """One row for each list of samples."""
    random = np.random.default_rng(2)
    tokens, positions, segments = (torch.zeros(len(rows), LENGTH, dtype=torch.int64) for _ in range(3))
    pairs, masked = [], []
    for row, samples in enumerate(rows):
        place = 0
        for number, sample in enumerate(samples, 1):
            used = slice(place, place + len(sample))
            tokens[row, used] = torch.from_numpy(sample)
            positions[row, used] = torch.arange(len(sample))
            segments[row, used] = number
            pairs.append(row * LENGTH + place)
            hidden = random.choice(len(sample), round(MASKED * len(sample)), replace=False)
            masked += (row * LENGTH + place + np.sort(hidden)).tolist()
            place += len(sample)
    where = torch.tensor(masked)
    return MicroBatch(
        tokens=tokens.flatten().index_fill(0, where, 4).view_as(tokens),
        positions=positions,
        types=(positions > 40).long(),
        segments=segments.int(),
        masked_index=where,
        masked_label=tokens.flatten()[where],
        pair_index=torch.tensor(pairs),
        swapped=torch.from_numpy(random.integers(0, 2, len(pairs))),
    )
