"""Whether an indexed dataset is sound, and fits the vocabulary and the objectives it is to be used with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.spec.indexed_dataset import IndexedDataset, dataset_paths
from trainer.spec.preset import Data
from trainer.spec.problem import DatasetError, Problem
from trainer.spec.split import SPLITS, Split, split_documents
from trainer.spec.vocabulary import Vocabulary

CHUNK = 1 << 20
"""Sentences or ids looked at in one go."""
DOCUMENT_LEVEL_SHARE = 0.05
"""A dataset split into sentences has more documents of several sentences than this."""
FRAMED_SHARE = 0.9
"""Preparation that adds [CLS] and [SEP] does so to every sentence; text alone hardly ever looks like that."""


@dataclass(frozen=True)
class DatasetSummary:
    """What a sound dataset holds."""

    documents: int
    sentences: int
    tokens: int
    paired_share: float
    """Share of the documents that have two sentences or more."""
    longest_sentence: int
    """Tokens."""
    split_documents: tuple[int, int, int]
    """Documents for training, validation and test."""
    document_level: bool
    """Whether it seems to hold whole documents where sentences are wanted."""
    cautions: tuple[Problem, ...]
    """What is odd but allowed."""


def check_dataset(prefix: Path, vocabulary: Vocabulary, data: Data, *, scan: int | None = None) -> DatasetSummary:
    """Looks at everything that would otherwise fail, or train on nonsense, later.

    ``scan`` bounds how many ids, sentences and documents are looked at, spread evenly; the summary's shares and its
    longest sentence are of these. None looks at all.

    Raises:
        DatasetError: the dataset cannot be used; the first reason found is named.
        PresetError: ``data.split`` is no split.
    """
    dataset = IndexedDataset(prefix)
    _check_size(dataset)
    _check_sentences(dataset, scan)
    _check_documents(dataset, scan)
    _check_ids(dataset, vocabulary, scan)
    _check_framing(dataset, vocabulary, scan)
    paired_share = _share_of_several(dataset, scan)
    shares = split_documents(data.split, dataset.document_count)
    sizes = {split: len(documents) for split, documents in shares.items()}
    if not sizes["train"]:
        raise DatasetError(_split_empty(prefix, dataset, "train"))
    if data.sentence_order and not paired_share:
        facts = {"documents": dataset.document_count}
        raise DatasetError(Problem("dataset.no_pairs", str(prefix), data.split, facts))
    document_level = paired_share < DOCUMENT_LEVEL_SHARE
    cautions = []
    if document_level:
        cautions.append(Problem("dataset.document_level", str(prefix), f"{paired_share:.1%}"))
    if not sizes["validation"]:
        cautions.append(_split_empty(prefix, dataset, "validation"))
    return DatasetSummary(
        documents=dataset.document_count,
        sentences=len(dataset.lengths),
        tokens=len(dataset.tokens),
        paired_share=paired_share,
        longest_sentence=max(int(dataset.lengths[part].max()) for part in _chunks(len(dataset.lengths), scan)),
        split_documents=(sizes["train"], sizes["validation"], sizes["test"]),
        document_level=document_level,
        cautions=tuple(cautions),
    )


def _split_empty(prefix: Path, dataset: IndexedDataset, split: Split) -> Problem:
    assert split in SPLITS
    return Problem("dataset.split_empty", str(prefix), split, {"documents": dataset.document_count})


def _chunks(total: int, scan: int | None) -> Iterator[slice]:
    """Slices over ``total`` entries, or over ``scan`` of them, evenly spread from the first."""
    size = CHUNK if scan is None else max(1, min(CHUNK, scan // 4))
    stride = size if scan is None else max(size, size * total // scan)
    for start in range(0, total, stride):
        yield slice(start, min(start + size, total))


def _check_size(dataset: IndexedDataset) -> None:
    """``.bin`` ends where the last sentence does."""
    content, width = dataset_paths(dataset.prefix)[1], dataset.dtype.itemsize
    size, end = width * len(dataset.tokens), int(dataset.pointers[-1]) + width * int(dataset.lengths[-1])
    if size != end:
        raise DatasetError(Problem("dataset.bin_size", str(content), str(size), {"expected": end}))
    if not end:
        raise DatasetError(Problem("dataset.empty", str(content)))


def _check_sentences(dataset: IndexedDataset, scan: int | None) -> None:
    """Lengths are not negative, sentences lie back to back from the start of ``.bin``."""
    for part in _chunks(len(dataset.lengths), scan):
        dataset.sentence_lengths(part.start, part.stop)


def _check_documents(dataset: IndexedDataset, scan: int | None) -> None:
    """The document array starts at 0, never falls and ends at S."""
    documents = dataset.documents
    sound = documents[0] == 0 and documents[-1] == len(dataset.lengths)
    for part in _chunks(len(documents) - 1, scan):
        sound = sound and bool(np.all(np.diff(documents[part.start : part.stop + 1]) >= 0))
    if not sound:
        raise DatasetError(dataset.wrong_documents())


def _check_ids(dataset: IndexedDataset, vocabulary: Vocabulary, scan: int | None) -> None:
    """All ids, or ``scan`` of them, are in the vocabulary."""
    for part in _chunks(len(dataset.tokens), scan):
        ids = dataset.tokens[part]
        wrong = np.flatnonzero((ids >= vocabulary.size) | (ids < 0))
        if wrong.size:
            facts = {"vocabulary": vocabulary.size, "position": part.start + int(wrong[0])}
            content = dataset_paths(dataset.prefix)[1]
            raise DatasetError(Problem("dataset.ids", str(content), str(int(ids[wrong[0]])), facts))


def _check_framing(dataset: IndexedDataset, vocabulary: Vocabulary, scan: int | None) -> None:
    """Sentences do not carry [CLS] and [SEP] of their own; looked at in up to CHUNK of them."""
    framed = looked_at = 0
    for part in _chunks(len(dataset.lengths), min(scan or CHUNK, CHUNK)):
        lengths = np.array(dataset.lengths[part], dtype=np.int64)
        starts = np.array(dataset.pointers[part]) // dataset.dtype.itemsize
        starts, ends = starts[lengths > 0], (starts + lengths)[lengths > 0]
        own = (dataset.tokens[starts] == vocabulary.cls) & (dataset.tokens[ends - 1] == vocabulary.sep)
        framed, looked_at = framed + int(np.count_nonzero(own)), looked_at + len(own)
    if framed > FRAMED_SHARE * looked_at:
        raise DatasetError(Problem("dataset.framed", str(dataset.prefix), f"{framed / looked_at:.0%}"))


def _share_of_several(dataset: IndexedDataset, scan: int | None) -> float:
    """Share of the documents with two sentences or more."""
    several = looked_at = 0
    for part in _chunks(dataset.document_count, scan):
        several += int(np.count_nonzero(np.diff(dataset.documents[part.start : part.stop + 1]) >= 2))
        looked_at += part.stop - part.start
    return several / looked_at
