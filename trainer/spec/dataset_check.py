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

    ``scan`` bounds how many ids of ``.bin`` are compared with the vocabulary (evenly spread); None compares all.

    Raises:
        DatasetError: the dataset cannot be used; the first reason found is named.
        PresetError: ``data.split`` is no split.
    """
    dataset = IndexedDataset(prefix)
    _check_sentences(dataset)
    _check_documents(dataset)
    _check_ids(dataset, vocabulary, scan)
    _check_framing(dataset, vocabulary)
    paired = _documents_of_several(dataset)
    shares = split_documents(data.split, dataset.document_count)
    sizes = {split: len(documents) for split, documents in shares.items()}
    if not sizes["train"]:
        raise DatasetError(_split_empty(prefix, dataset, "train"))
    if data.sentence_order and not paired:
        facts = {"documents": dataset.document_count}
        raise DatasetError(Problem("dataset.no_pairs", str(prefix), data.split, facts))
    paired_share = paired / dataset.document_count
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
        longest_sentence=max(int(np.max(dataset.lengths[part])) for part in _chunks(len(dataset.lengths))),
        split_documents=(sizes["train"], sizes["validation"], sizes["test"]),
        document_level=document_level,
        cautions=tuple(cautions),
    )


def _split_empty(prefix: Path, dataset: IndexedDataset, split: Split) -> Problem:
    assert split in SPLITS
    return Problem("dataset.split_empty", str(prefix), split, {"documents": dataset.document_count})


def _chunks(total: int) -> Iterator[slice]:
    for start in range(0, total, CHUNK):
        yield slice(start, min(start + CHUNK, total))


def _check_sentences(dataset: IndexedDataset) -> None:
    """Lengths are not negative, sentences lie back to back from the start of ``.bin`` to its end."""
    index, content = dataset_paths(dataset.prefix)
    width = dataset.dtype.itemsize
    position = 0
    for part in _chunks(len(dataset.lengths)):
        lengths = np.array(dataset.lengths[part], dtype=np.int64)
        if (wrong := np.flatnonzero(lengths < 0)).size:
            sentence = part.start + int(wrong[0])
            raise DatasetError(Problem("dataset.lengths", str(index), str(lengths[wrong[0]]), {"sentence": sentence}))
        expected = position + width * (np.cumsum(lengths) - lengths)
        if (wrong := np.flatnonzero(dataset.pointers[part] != expected)).size:
            facts = {"sentence": part.start + int(wrong[0]), "expected": int(expected[wrong[0]])}
            seen = int(dataset.pointers[part][wrong[0]])
            raise DatasetError(Problem("dataset.pointers", str(index), str(seen), facts))
        position += width * int(lengths.sum())
    size = content.stat().st_size
    if size != position:
        raise DatasetError(Problem("dataset.bin_size", str(content), str(size), {"expected": position}))
    if not position:
        raise DatasetError(Problem("dataset.empty", str(content)))


def _check_documents(dataset: IndexedDataset) -> None:
    """The document array starts at 0, never falls and ends at S."""
    documents, index = dataset.documents, dataset_paths(dataset.prefix)[0]
    sound = documents[0] == 0 and documents[-1] == len(dataset.lengths)
    for part in _chunks(len(documents) - 1):
        sound = sound and bool(np.all(np.diff(documents[part.start : part.stop + 1]) >= 0))
    if not sound:
        facts = {"last": int(documents[-1]), "sentences": len(dataset.lengths)}
        raise DatasetError(Problem("dataset.documents", str(index), str(int(documents[0])), facts))


def _check_ids(dataset: IndexedDataset, vocabulary: Vocabulary, scan: int | None) -> None:
    """All ids, or ``scan`` of them, are in the vocabulary."""
    parts = list(_chunks(len(dataset.tokens)))
    if scan is not None and scan < len(dataset.tokens):
        wanted = max(1, scan // CHUNK)
        parts = parts[:: -(-len(parts) // wanted)]
    for part in parts:
        ids = dataset.tokens[part]
        wrong = np.flatnonzero((ids >= vocabulary.size) | (ids < 0))
        if wrong.size:
            facts = {"vocabulary": vocabulary.size, "position": part.start + int(wrong[0])}
            content = dataset_paths(dataset.prefix)[1]
            raise DatasetError(Problem("dataset.ids", str(content), str(int(ids[wrong[0]])), facts))


def _check_framing(dataset: IndexedDataset, vocabulary: Vocabulary) -> None:
    """Sentences do not carry [CLS] and [SEP] of their own; looked at in up to CHUNK of them."""
    step = -(-len(dataset.lengths) // CHUNK)
    lengths = np.array(dataset.lengths[::step], dtype=np.int64)
    starts = np.array(dataset.pointers[::step]) // dataset.dtype.itemsize
    starts, lengths = starts[lengths > 0], lengths[lengths > 0]
    if not starts.size:
        return
    framed = (dataset.tokens[starts] == vocabulary.cls) & (dataset.tokens[starts + lengths - 1] == vocabulary.sep)
    if framed.mean() > FRAMED_SHARE:
        raise DatasetError(Problem("dataset.framed", str(dataset.prefix), f"{framed.mean():.0%}"))


def _documents_of_several(dataset: IndexedDataset) -> int:
    """Documents with two sentences or more."""
    return sum(
        int(np.count_nonzero(np.diff(dataset.documents[part.start : part.stop + 1]) >= 2))
        for part in _chunks(dataset.document_count)
    )
