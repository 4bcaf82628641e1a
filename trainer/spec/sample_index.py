"""Which sentences make a sample, and which samples share a row: computed once, kept in a folder, memory-mapped.

A sample ("pair") is a run of consecutive sentences of one document, cut in two segments later. Pairs are formed as
Megatron's ``build_mapping`` (``megatron/core/datasets/helpers.cpp``) does, with three differences: a document is not
dropped for a long sentence (the pair is cut to length instead), one pass is made instead of one for each epoch, and
documents without a pair are counted instead of passed over.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from trainer.spec.indexed_dataset import IndexedDataset, dataset_paths
from trainer.spec.packing import pack
from trainer.spec.preset import Data
from trainer.spec.problem import DatasetError, Problem
from trainer.spec.split import SPLITS, Split, split_documents
from trainer.spec.whole_folder import whole_folder

FORMAT = 1
META = "meta.json"
CHUNK = 1 << 20
"""Sentences whose pairs are formed in one go; bounds the memory."""

Report = Callable[[float, float, str, str], None]
"""Called with (done, total, unit, detail)."""


@dataclass(frozen=True)
class SplitSummary:
    """What one split of an index holds."""

    documents: int
    dropped_documents: int
    """Documents too short for a pair: one sentence where sentence order is learned, or no text."""
    pairs: int
    rows: int
    tokens: int
    """Tokens of one epoch, [CLS] and [SEP] counted, padding not."""

    def fill(self, sequence_length: int) -> float:
        """Share of the rows' positions that is not padding."""
        return self.tokens / (self.rows * sequence_length) if self.rows else 0.0


@dataclass(frozen=True, eq=False)
class SampleIndex:
    """An index on disk."""

    folder: Path
    sequence_length: int
    summary: dict[Split, SplitSummary]
    pairs: dict[Split, NDArray[Any]]
    """[P, 3]: first sentence, sentence after the last, target length (tokens without [CLS] and [SEP])."""
    rows: dict[Split, NDArray[np.int64]]
    """[R + 1]: row r holds pairs rows[r] .. rows[r + 1] - 1."""

    @classmethod
    def open(cls, folder: Path) -> SampleIndex:
        """Memory-maps an index.

        Raises:
            DatasetError: there is none, or it was written by another version.
        """
        try:
            meta = json.loads((folder / META).read_text(encoding="utf-8"))
            if meta["format"] != FORMAT:
                raise DatasetError(Problem("index.format", str(folder), str(meta["format"]), {"known": FORMAT}))
            return cls(
                folder=folder,
                sequence_length=meta["sequence_length"],
                summary={split: SplitSummary(**meta["splits"][split]) for split in SPLITS},
                pairs={split: open_memmap(folder / f"{split}-pairs.npy", mode="r") for split in SPLITS},
                rows={split: open_memmap(folder / f"{split}-rows.npy", mode="r") for split in SPLITS},
            )
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(Problem("index.unreadable", str(folder), "", {"reason": str(error)})) from error


def special_tokens(data: Data) -> int:
    """[CLS] and [SEP] in one sample: ``[CLS] A [SEP] B [SEP]``, or ``[CLS] A [SEP]`` without sentence order."""
    return 3 if data.sentence_order else 2


def fingerprint(dataset: IndexedDataset, data: Data, sequence_length: int) -> str:
    """Identifies a dataset and everything that shapes its samples, as 32 hexadecimal digits.

    ``.idx`` is hashed whole; of ``.bin`` its size and 64 blocks spread over it.
    """
    index, content = dataset_paths(dataset.prefix)
    settings = (FORMAT, sequence_length, data.split, data.sentence_order, data.packing, data.seed)
    digest = hashlib.sha256(repr((*settings, data.mask_probability, data.short_sequence_probability)).encode())
    with index.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    size = content.stat().st_size
    digest.update(str(size).encode())
    with content.open("rb") as file:
        for offset in range(0, size, max(1, size // 64)):
            file.seek(offset)
            digest.update(file.read(1 << 16))
    return digest.hexdigest()[:32]


def build_index(dataset: IndexedDataset, data: Data, sequence_length: int, folder: Path, report: Report) -> SampleIndex:
    """Forms the pairs of every split, shuffles and packs them, and writes the index into ``folder``.

    The folder is complete or absent; one that is there already is opened and returned. The same dataset and settings
    give the same index to the byte.

    Raises:
        DatasetError: no document yields a pair for training.
        PresetError: ``data.split`` is no split.
    """
    if folder.exists():
        return SampleIndex.open(folder)
    with whole_folder(folder) as beside:
        summaries = {}
        for split, documents in split_documents(data.split, dataset.document_count).items():
            pairs, rows, summaries[split] = _build_split(dataset, data, sequence_length, split, documents, report)
            _save(beside / f"{split}-pairs.npy", pairs)
            _save(beside / f"{split}-rows.npy", rows)
        if not summaries["train"].pairs:
            facts = {"documents": summaries["train"].documents}
            raise DatasetError(Problem("dataset.no_pairs", str(dataset.prefix), data.split, facts))
        _write_meta(beside / META, sequence_length, summaries)
    return SampleIndex.open(folder)


def _build_split(
    dataset: IndexedDataset, data: Data, sequence_length: int, split: Split, documents: range, report: Report
) -> tuple[NDArray[Any], NDArray[np.int64], SplitSummary]:
    longest = sequence_length - special_tokens(data)
    order = SPLITS.index(split)
    random = np.random.Generator(np.random.Philox(key=[data.seed, order]))
    pairs, dropped = _form_pairs(dataset, data, longest, documents, random, report, split)
    pairs = pairs[random.permutation(len(pairs))]
    lengths = _text_lengths(dataset, pairs) + special_tokens(data)
    if data.packing:
        chosen, rows = pack(
            lengths, sequence_length, lambda done: report(done, len(pairs), "pairs", f"packing {split}")
        )
        pairs = pairs[chosen]
    else:
        rows = np.arange(len(pairs) + 1, dtype=np.int64)
    summary = SplitSummary(len(documents), dropped, len(pairs), len(rows) - 1, int(lengths.sum()))
    return pairs, rows, summary


def _form_pairs(
    dataset: IndexedDataset,
    data: Data,
    longest: int,
    documents: range,
    random: np.random.Generator,
    report: Report,
    split: Split,
) -> tuple[NDArray[Any], int]:
    """The pairs of ``documents`` in document order, [P, 3], and how many documents have none."""
    kind = np.uint32 if len(dataset.lengths) < 2**32 else np.int64
    found: list[NDArray[Any]] = [np.zeros((0, 3), dtype=kind)]
    dropped, done = 0, documents.start
    while done < documents.stop:
        limit = int(dataset.documents[done]) + CHUNK
        ahead = dataset.documents[done + 1 : min(documents.stop, done + CHUNK) + 1]
        taken = max(1, int(np.searchsorted(np.array(ahead), limit, side="right")))
        borders = np.array(dataset.documents[done : done + taken + 1])
        pairs, without = _pairs_of_chunk(dataset, data, longest, borders, random)
        found.append(pairs.astype(kind))
        dropped += without
        done += taken
        report(done - documents.start, len(documents), "documents", f"samples for {split}")
    return np.concatenate(found), dropped


def _pairs_of_chunk(
    dataset: IndexedDataset, data: Data, longest: int, borders: NDArray[np.int64], random: np.random.Generator
) -> tuple[NDArray[np.int64], int]:
    """Pairs of the documents between ``borders``: the next pair of every document at once, round after round."""
    base, stop = int(borders[0]), int(borders[-1])
    fewest = 2 if data.sentence_order else 1
    # Tokens before each sentence of the chunk, and all of them: [sentences + 1], aligned.
    before = np.concatenate(([0], np.cumsum(dataset.lengths[base:stop], dtype=np.int64)))
    ends = borders[1:] - base
    first = borders[:-1] - base
    usable = (ends - first >= fewest) & (before[ends] > before[first])
    dropped = int(np.count_nonzero(~usable))
    first, ends = first[usable], ends[usable]
    found = [np.zeros((0, 3), dtype=np.int64)]
    while len(first):
        target = _targets(len(first), longest, data.short_sequence_probability, random)
        end = np.maximum(np.searchsorted(before, before[first] + target), first + fewest)
        end = np.where(ends - end <= 1, ends, end)
        found.append(np.stack([first + base, end + base, target], axis=1))
        going_on = end < ends
        first, ends = end[going_on], ends[going_on]
    pairs = np.concatenate(found)
    return pairs[np.argsort(pairs[:, 0], kind="stable")], dropped


def _targets(count: int, longest: int, short_probability: float, random: np.random.Generator) -> NDArray[np.int64]:
    """Target lengths, [count]: the longest, or with ``short_probability`` uniform from 2 to the longest."""
    short = random.random(count) < short_probability
    return np.where(short, random.integers(2, longest + 1, size=count), longest)


def _text_lengths(dataset: IndexedDataset, pairs: NDArray[Any]) -> NDArray[np.int64]:
    """Tokens of each pair after it is cut to its target, [P]."""
    first, last = pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64) - 1
    before_last = (dataset.pointers[last] - dataset.pointers[first]) // dataset.dtype.itemsize
    cut: NDArray[np.int64] = np.minimum(before_last + dataset.lengths[last], pairs[:, 2].astype(np.int64))
    return cut


def _save(path: Path, array: NDArray[Any]) -> None:
    with path.open("wb") as file:
        np.save(file, array)
        file.flush()
        os.fsync(file.fileno())


def _write_meta(path: Path, sequence_length: int, summaries: dict[Split, SplitSummary]) -> None:
    splits = {split: dataclasses.asdict(summary) for split, summary in summaries.items()}
    with path.open("w", encoding="utf-8") as file:
        json.dump({"format": FORMAT, "sequence_length": sequence_length, "splits": splits}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
