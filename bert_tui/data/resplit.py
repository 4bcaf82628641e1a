"""A dataset of whole documents, or one with [CLS] and [SEP] in it, becomes a dataset of sentences.

It works on the ids: every id stays, in its order and its document, but for the frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bert_tui.data.inspect import inspect_dataset
from bert_tui.data.sentence_ends import EndRules, find_ends
from bert_tui.data.survey import spread
from trainer.spec.indexed_dataset import IndexedDataset, IndexedDatasetWriter, dataset_paths
from trainer.spec.preset import Data
from trainer.spec.problem import DatasetError, Problem
from trainer.spec.vocabulary import Vocabulary, read_vocabulary

CHUNK_TOKENS = 1 << 21
CHUNK_DOCUMENTS = 1 << 14
"""Documents are taken in groups of up to so many ids and documents; a longer document is a group of its own."""
TRIAL_PLACES, TRIAL_DOCUMENTS = 16, 64
"""Documents that are split on trial before the work begins."""
LEAST_GAIN = 1.1
"""New sentences for each old one; where it is less, the text has no signs that end sentences."""
CURABLE = frozenset({"dataset.framed"})
"""What is wrong with a dataset and put right here."""

Report = Callable[[str, float], None]
"""Called with what is being done and the share of it that is done."""


@dataclass(frozen=True)
class Resplit:
    """What was done."""

    prefix: Path
    """Of the new dataset."""
    documents: int
    sentences_before: int
    sentences: int
    tokens_before: int
    tokens: int
    """Fewer than before by the frames taken away."""


@dataclass(frozen=True, eq=False)
class Group:
    """Some documents, split: ids and how they are cut."""

    ids: NDArray[np.int64]
    """[n]"""
    lengths: NDArray[np.int64]
    """[s], ids of each sentence."""
    counts: NDArray[np.int64]
    """[d], sentences of each document."""


def resplit(prefix: Path, vocab_file: Path, output: Path, report: Report | None = None) -> Resplit:
    """Writes the dataset anew to ``output``, complete or not at all.

    Raises:
        DatasetError: the dataset is damaged or was made with another vocabulary; it is split already; its text has no
            ends of sentences; or ``output`` is there or cannot be written.
        VocabularyError: the vocabulary cannot be used.
    """
    _require_free(output)
    vocabulary, dataset = read_vocabulary(vocab_file), IndexedDataset(prefix)
    rules = EndRules.of(vocabulary)
    report = report or _quiet
    _require_sense(dataset, vocabulary, vocab_file, rules, report)
    sentences = tokens = read = 0
    try:
        with IndexedDatasetWriter(output, vocabulary.size) as writer:
            for documents in _groups(dataset):
                group = split_documents(dataset, documents, vocabulary, rules)
                writer.add_documents(group.ids, group.lengths, group.counts)
                sentences, tokens = sentences + len(group.lengths), tokens + len(group.ids)
                read += int(dataset.lengths[_sentences_of(dataset, documents)].sum(dtype=np.int64))
                report("splitting", read / len(dataset.tokens))
    except OSError as error:
        facts = {"reason": error.strerror or str(error)}
        raise DatasetError(Problem("dataset.not_written", str(output), "", facts)) from error
    return Resplit(
        prefix=output,
        documents=dataset.document_count,
        sentences_before=len(dataset.lengths),
        sentences=sentences,
        tokens_before=len(dataset.tokens),
        tokens=tokens,
    )


def split_documents(dataset: IndexedDataset, documents: slice, vocabulary: Vocabulary, rules: EndRules) -> Group:
    """Cuts the sentences of some documents further, and takes [CLS] and [SEP] off those that have both.

    The dataset must be sound and fit the vocabulary.
    """
    part = _sentences_of(dataset, documents)
    ids = dataset.sentences(part.start, part.stop).astype(np.int64)
    lengths = np.array(dataset.lengths[part], dtype=np.int64)
    lengths, ids = _without_frames(ids, lengths, vocabulary)
    last = np.zeros(len(ids), dtype=np.bool_)
    last[np.cumsum(lengths)[lengths > 0] - 1] = True
    ends = np.flatnonzero(find_ends(ids, last, rules)) if len(ids) else np.zeros(0, dtype=np.int64)
    borders = np.array(dataset.documents[documents.start : documents.stop + 1]) - part.start
    ids_before = np.concatenate([[0], np.cumsum(lengths)])[borders]  # [d + 1]
    counts = np.diff(np.searchsorted(ends, ids_before - 1, side="right"))
    return Group(ids, np.diff(ends, prepend=-1), counts)


def _without_frames(
    ids: NDArray[np.int64], lengths: NDArray[np.int64], vocabulary: Vocabulary
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The lengths and the ids without the [CLS] and [SEP] of framed sentences."""
    ends = np.cumsum(lengths)
    long = lengths >= 2
    starts, stops = (ends - lengths)[long], ends[long] - 1
    framed = (ids[starts] == vocabulary.cls) & (ids[stops] == vocabulary.sep)
    kept = np.ones(len(ids), dtype=np.bool_)
    kept[starts[framed]] = kept[stops[framed]] = False
    shorter = lengths.copy()
    shorter[np.flatnonzero(long)[framed]] -= 2
    return shorter, ids[kept]


def _groups(dataset: IndexedDataset) -> Iterator[slice]:
    """All documents, in order, in groups of limited size."""
    done, total = 0, dataset.document_count
    while done < total:
        borders = np.array(dataset.documents[done : done + CHUNK_DOCUMENTS + 1])
        lengths = np.array(dataset.lengths[borders[0] : borders[-1]], dtype=np.int64)
        before = np.concatenate([[0], np.cumsum(lengths)])[borders - borders[0]]
        taken = max(1, int(np.searchsorted(before, CHUNK_TOKENS, side="right")) - 1)
        yield slice(done, min(total, done + taken))
        done += taken


def _sentences_of(dataset: IndexedDataset, documents: slice) -> slice:
    return slice(int(dataset.documents[documents.start]), int(dataset.documents[documents.stop]))


def _require_free(output: Path) -> None:
    for path in dataset_paths(output):
        if path.exists():
            raise DatasetError(Problem("dataset.output_exists", str(path)))


def _require_sense(
    dataset: IndexedDataset, vocabulary: Vocabulary, vocab_file: Path, rules: EndRules, report: Report
) -> None:
    """Refuses what is not sound, what is split already, and what cannot be split."""
    found = inspect_dataset(
        dataset.prefix,
        vocab_file,
        Data(sentence_order=False),  # documents of one sentence are no fault here
        512,
        full=True,
        report=lambda done, total: report("checking", done / total),
    )
    codes = {finding.problem.code for finding in found.findings}
    grave = [finding.problem for finding in found.findings if finding.fatal and finding.problem.code not in CURABLE]
    if grave:
        raise DatasetError(*grave)
    if "dataset.framed" in codes:
        return
    if "dataset.document_level" not in codes:
        raise DatasetError(Problem("resplit.split_already", str(dataset.prefix), f"{found.paired_share:.0%}"))
    gain = _trial(dataset, vocabulary, rules)
    if gain < LEAST_GAIN:
        raise DatasetError(Problem("resplit.no_ends", str(dataset.prefix), f"{gain:.2f}"))


def _trial(dataset: IndexedDataset, vocabulary: Vocabulary, rules: EndRules) -> float:
    """New sentences for each old one, in a few documents."""
    old = new = 0
    for documents in spread(dataset.document_count, TRIAL_DOCUMENTS, TRIAL_PLACES):
        part = _sentences_of(dataset, documents)
        old += part.stop - part.start
        new += len(split_documents(dataset, documents, vocabulary, rules).lengths)
    return new / max(1, old)


def _quiet(_doing: str, _share: float) -> None:
    """For callers that show no progress."""
