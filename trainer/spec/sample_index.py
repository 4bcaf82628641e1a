"""Which sentences make a sample.

A sample is a run of consecutive sentences of one document, cut in two segments later. Runs are taken as Megatron's
``build_mapping`` (``megatron/core/datasets/helpers.cpp``) takes them, with three differences: a document is not dropped
for a long sentence (the sample is cut to length instead), documents without a sample are counted instead of passed
over, and samples are formed for a part of the dataset at a time, when it is about to be read. So there is no index to
build: the first row of a dataset of any size is there at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.spec.indexed_dataset import IndexedDataset
from trainer.spec.preset import Data

Report = Callable[[float, float, str, str], None]
"""Called with (done, total, unit, detail)."""


@dataclass(frozen=True)
class SampleRule:
    """What makes a sample."""

    fewest: int
    """Sentences."""
    longest: int
    """Tokens, [CLS] and [SEP] not counted."""
    specials: int
    """[CLS] and [SEP] in one sample: ``[CLS] A [SEP] B [SEP]``, or ``[CLS] A [SEP]`` without sentence order."""
    short_probability: float
    """Share of the samples whose target is drawn from 2 .. ``longest``; the others' is ``longest``."""

    @classmethod
    def of(cls, data: Data, sequence_length: int) -> SampleRule:
        """The rule that a preset asks for."""
        specials = 3 if data.sentence_order else 2
        fewest = 2 if data.sentence_order else 1
        return cls(fewest, sequence_length - specials, specials, data.short_sequence_probability)


@dataclass(frozen=True, eq=False)
class SampleTable:
    """P samples, one a row of the table."""

    first: NDArray[np.int64]
    """[P], first sentence."""
    end: NDArray[np.int64]
    """[P], sentence after the last."""
    target: NDArray[np.int64]
    """[P], most tokens, without [CLS] and [SEP]."""
    length: NDArray[np.int64]
    """[P], tokens once it is cut to its target, with [CLS] and [SEP]."""

    def __len__(self) -> int:
        return len(self.first)

    def taken(self, which: NDArray[np.int64]) -> SampleTable:
        """The samples at the places ``which``, in that order."""
        return SampleTable(self.first[which], self.end[which], self.target[which], self.length[which])


@dataclass(frozen=True, eq=False)
class _Stretches:
    """Several stretches of a dataset as if they lay one behind the other: n sentences of d documents."""

    before: NDArray[np.int64]
    """[n + 1], tokens before each sentence, and all of them."""
    first: NDArray[np.int64]
    """[d], first sentence of each document."""
    end: NDArray[np.int64]
    """[d], sentence after its last."""
    places: NDArray[np.int64]
    """[stretches], where each stretch begins."""
    shifts: NDArray[np.int64]
    """[stretches], what leads from here to the sentence's number in the dataset."""


def form_samples(
    dataset: IndexedDataset, stretches: Sequence[range], rule: SampleRule, random: np.random.Generator
) -> tuple[SampleTable, NDArray[np.int64]]:
    """The samples of the documents in some stretches of sentences, in order; how many each stretch has, [stretches].

    A document too short for a sample (one sentence where sentence order is learned, or no text) has none. Memory and
    time grow with the sentences in the stretches.

    Raises:
        DatasetError: the index is damaged there.
    """
    text = _lay_out(dataset, stretches)
    first, end, target = _take_runs(text, rule, random)
    length = np.minimum(text.before[end] - text.before[first], target) + rule.specials
    stretch = np.searchsorted(text.places, first, side="right") - 1
    shift = text.shifts[stretch]
    counts = np.bincount(stretch, minlength=len(stretches))
    return SampleTable(first + shift, end + shift, target, length), counts


def _lay_out(dataset: IndexedDataset, stretches: Sequence[range]) -> _Stretches:
    sizes = np.array([len(stretch) for stretch in stretches], dtype=np.int64)
    places = np.cumsum(sizes) - sizes
    shifts = np.array([stretch.start for stretch in stretches], dtype=np.int64) - places
    lengths = [dataset.sentence_lengths(stretch.start, stretch.stop) for stretch in stretches]
    borders = [
        dataset.document_borders(stretch.start, stretch.stop) - shift
        for stretch, shift in zip(stretches, shifts.tolist(), strict=True)
    ]
    return _Stretches(
        before=np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(np.concatenate(lengths))]),
        first=np.concatenate([border[:-1] for border in borders]),
        end=np.concatenate([border[1:] for border in borders]),
        places=places,
        shifts=shifts,
    )


def _take_runs(
    text: _Stretches, rule: SampleRule, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """First sentence, sentence after the last and target of each sample: the next one of every document at once, round
    after round. A run goes on until its target is reached, and to the document's end where one sentence would be left.
    """
    usable = (text.end - text.first >= rule.fewest) & (text.before[text.end] > text.before[text.first])
    first, last = text.first[usable], text.end[usable]
    found = [np.zeros((3, 0), dtype=np.int64)]
    while len(first):
        target = _targets(len(first), rule, random)
        end = np.maximum(np.searchsorted(text.before, text.before[first] + target), first + rule.fewest)
        end = np.where(last - end <= 1, last, end)
        found.append(np.stack([first, end, target]))
        going_on = end < last
        first, last = end[going_on], last[going_on]
    samples = np.concatenate(found, axis=1)
    first, end, target = samples[:, np.argsort(samples[0], kind="stable")]
    return first, end, target


def _targets(count: int, rule: SampleRule, random: np.random.Generator) -> NDArray[np.int64]:
    """Target lengths, [count]: the longest, or a short one."""
    short = random.random(count) < rule.short_probability
    return np.where(short, random.integers(2, rule.longest + 1, size=count), rule.longest)
