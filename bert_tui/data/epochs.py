"""How much an epoch of a dataset is, counted with the trainer's own rules."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.spec.indexed_dataset import IndexedDataset
from trainer.spec.preset import Data
from trainer.spec.row_stream import RowStream

GROUPS = 1
"""Groups of half a million sentences that are formed to tell: a second or two."""


@dataclass(frozen=True)
class Epoch:
    """What training reads when it goes through the dataset once."""

    rows: int
    """Rows of ``sequence_length`` positions."""
    pairs: int
    tokens: int
    """[CLS] and [SEP] counted, padding not: what training reports as tokens."""
    counted: bool
    """False: estimated from a sample of the sentences."""

    def epochs(self, steps: int, global_batch: int) -> float:
        """How often a run of so many steps goes through the dataset."""
        return steps * global_batch / self.rows

    def seconds(self, tokens_per_second: float) -> float:
        """How long one epoch takes at a rate."""
        return self.tokens / tokens_per_second


def size_of_epoch(dataset: IndexedDataset, data: Data, sequence_length: int) -> Epoch | None:
    """None where no document makes a sample.

    Raises:
        PresetError: ``data.split`` is no split.
        DatasetError: the dataset is damaged where it is read.
    """
    found = RowStream(dataset, 0, "train", data, sequence_length).size_of_epoch(GROUPS)
    return Epoch(found.rows, found.samples, found.tokens, found.counted) if found.rows else None
