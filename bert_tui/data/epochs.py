"""How much an epoch of a dataset is, counted with the trainer's own rules on a sample of its documents."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bert_tui.data.dataset_parts import DatasetParts
from bert_tui.data.survey import spread
from trainer.spec.indexed_dataset import HEADER, MAGIC, VERSION, IndexedDataset, dataset_paths
from trainer.spec.preset import Data
from trainer.spec.problem import DatasetError
from trainer.spec.sample_index import build_index
from trainer.spec.split import parse_split

PLACES = 32
SENTENCES_AT_A_PLACE = 1 << 13
"""A quarter of a million sentences in all: a few seconds, and an error well below one per cent."""


@dataclass(frozen=True)
class Epoch:
    """What training reads when it goes through the dataset once."""

    rows: int
    """Rows of ``sequence_length`` positions."""
    pairs: int
    tokens: int
    """[CLS] and [SEP] counted, padding not: what training reports as tokens."""
    counted: bool
    """False: estimated from a sample of the documents."""

    def epochs(self, steps: int, global_batch: int) -> float:
        """How often a run of so many steps goes through the dataset."""
        return steps * global_batch / self.rows

    def seconds(self, tokens_per_second: float) -> float:
        """How long one epoch takes at a rate."""
        return self.tokens / tokens_per_second


def size_of_epoch(parts: DatasetParts, data: Data, sequence_length: int) -> Epoch | None:
    """None where no document of the sample makes a pair.

    ``parts`` must be sound. Only lengths decide about samples, so the sample's ``.bin`` is a file without content.

    Raises:
        PresetError: ``data.split`` is no split.
        OSError: the temporary folder cannot be written.
    """
    lengths, borders = _sample(parts)
    with tempfile.TemporaryDirectory(prefix="bert-tui-") as folder:
        prefix = Path(folder, "sample")
        _write(prefix, lengths, borders)
        everything = dataclasses.replace(data, split="1")
        try:
            index = build_index(IndexedDataset(prefix), everything, sequence_length, Path(folder, "index"), _quiet)
        except DatasetError:
            return None
        found, looked_at = index.summary["train"], len(borders) - 1
    share = parse_split(data.split)[0] * parts.documents_count / looked_at
    counted = looked_at == parts.documents_count
    rows, pairs, tokens = (round(number * share) for number in (found.rows, found.pairs, found.tokens))
    return Epoch(max(1, rows), pairs, tokens, counted)


def _sample(parts: DatasetParts) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The lengths of the sentences of the documents sampled, [s], and where each document begins in them, [d + 1]."""
    lengths: list[NDArray[Any]] = []
    sizes: list[NDArray[Any]] = []
    mean = max(1, parts.sentences // parts.documents_count)
    for part in spread(parts.documents_count, max(1, SENTENCES_AT_A_PLACE // mean), PLACES):
        borders = np.array(parts.documents[part.start : part.stop + 1])
        lengths.append(np.array(parts.lengths[borders[0] : borders[-1]]))
        sizes.append(np.diff(borders))
    return np.concatenate(lengths), np.concatenate([[0], np.cumsum(np.concatenate(sizes))])


def _write(prefix: Path, lengths: NDArray[np.int32], borders: NDArray[np.int64]) -> None:
    """A dataset of one byte an id, whose ``.bin`` takes no room."""
    index, content = dataset_paths(prefix)
    ends = np.cumsum(lengths, dtype=np.int64)
    with index.open("wb") as file:
        file.write(HEADER.pack(MAGIC, VERSION, 1, len(lengths), len(borders)))
        for array, kind in ((lengths, "<i4"), (ends - lengths, "<i8"), (borders, "<i8")):
            file.write(array.astype(kind).tobytes())
    with content.open("wb") as file:
        file.truncate(int(ends[-1]) if len(ends) else 0)


def _quiet(*_facts: object) -> None:
    """Nobody watches: it takes a second or two."""
