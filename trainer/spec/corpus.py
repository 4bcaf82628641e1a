"""The datasets a run reads, and which of them each of its rows comes from.

A weight is a share of the rows. The rows are dealt out by a formula, in a pattern of :data:`PERIOD` rows that comes
again and again, in which each dataset's rows stand evenly spread. So at every row each dataset is within a few rows of
its share, the choice of any row is known without the ones before, and there is no index to build, as Megatron's
``build_blending_indices`` does to the same end. A dataset that is used up begins another epoch; the others do not wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.spec.blend import parse_blend
from trainer.spec.indexed_dataset import IndexedDataset
from trainer.spec.problem import DatasetError
from trainer.spec.split import Split, split_documents

PERIOD = 1 << 16
"""Rows of the pattern: shares are kept to 1 in 65,536, and none is less than that."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """The datasets of a blend, opened."""

    datasets: tuple[IndexedDataset, ...]
    weights: tuple[float, ...] | None
    """None: by the tokens that each has for the split."""

    @classmethod
    def open(cls, data_path: Sequence[str]) -> Corpus:
        """Opens what ``data.data_path`` names; of each dataset the header is read.

        Raises:
            PresetError: it is no blend.
            DatasetError: a dataset cannot be read.
        """
        blend = parse_blend(data_path)
        return cls(tuple(IndexedDataset(Path(prefix)) for prefix in blend.prefixes), blend.weights)

    def shares(self, split: Split, borders: str) -> NDArray[np.float64]:
        """[datasets], summing to 1: each one's share of a split's rows. One without documents there has none.

        Raises:
            PresetError: ``borders`` is no split.
            DatasetError: an index is damaged.
        """
        tokens = np.array([len(text_of(dataset, split, borders)) for dataset in self.datasets], dtype=np.float64)
        weights = tokens if self.weights is None else np.where(tokens > 0, self.weights, 0.0)
        total = weights.sum()
        return weights / total if total else weights


def text_of(dataset: IndexedDataset, split: Split, borders: str) -> range:
    """The tokens of a split's documents, as places of ``.bin``.

    Raises:
        PresetError: ``borders`` is no split.
        DatasetError: the index is damaged.
    """
    documents = split_documents(borders, dataset.document_count)[split]
    first, end = (int(dataset.documents[border]) for border in (documents.start, documents.stop))
    if not 0 <= first <= end <= len(dataset.lengths):
        raise DatasetError(dataset.wrong_documents())
    if first == end:
        return range(0)
    dataset.sentence_lengths(first, first + 1)
    last, width = int(dataset.sentence_lengths(end - 1, end)[0]), dataset.dtype.itemsize
    return range(int(dataset.pointers[first]) // width, int(dataset.pointers[end - 1]) // width + last)


class Interleaving:
    """Which dataset each row of a stream comes from, and which of that dataset's rows it is.

    Args:
        shares: [D], summing to 1.
    """

    def __init__(self, shares: NDArray[np.float64]) -> None:
        self._quotas = _quotas(shares)  # [D], rows of each dataset in a period
        numbers = np.concatenate([np.arange(quota) for quota in self._quotas])  # [PERIOD]
        owners = np.repeat(np.arange(len(shares)), self._quotas)
        order = np.argsort((numbers + 0.5) / self._quotas[owners], kind="stable")
        self._owners, self._numbers = owners[order], numbers[order]

    def locate(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The dataset that each row comes from, and its number among that dataset's, [n] each."""
        periods, places = np.divmod(rows, PERIOD)
        owners = self._owners[places]
        return owners, periods * self._quotas[owners] + self._numbers[places]

    def before(self, row: int) -> NDArray[np.int64]:
        """[D], how many of the first ``row`` rows come from each dataset."""
        periods, places = divmod(row, PERIOD)
        return periods * self._quotas + np.bincount(self._owners[:places], minlength=len(self._quotas))

    def rows_within(self, available: NDArray[np.int64], most: int) -> int:
        """How many rows, at most ``most``, come before one that takes more than ``available`` [D] of a dataset."""
        rows = most
        for dataset in np.flatnonzero(self._quotas).tolist():
            periods, rest = divmod(int(available[dataset]), int(self._quotas[dataset]))
            rows = min(rows, periods * PERIOD + int(np.flatnonzero(self._owners == dataset)[rest]))
        return rows


def _quotas(shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole numbers that sum to :data:`PERIOD`, by largest remainder; at least 1 where there is a share at all."""
    exact = shares * PERIOD
    quotas = np.where(shares > 0, np.maximum(1, np.floor(exact)), 0).astype(np.int64)
    while (lacking := PERIOD - int(quotas.sum())) > 0:
        most_owed = np.argsort(quotas - exact, kind="stable")[: min(lacking, np.count_nonzero(shares))]
        quotas[most_owed] += 1
    while (excess := int(quotas.sum()) - PERIOD) > 0:
        quotas[np.argmax(quotas)] -= excess
    return quotas
