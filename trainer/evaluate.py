"""Validation: the same rows each time and at every layout, and what guessing by frequency gives on them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from trainer.batches import Counts, StepBatch, positions_of_rank
from trainer.learner import Learner, MicroLosses
from trainer.ranks import Ranks
from trainer.row_workers import RowWorkers
from trainer.spec.corpus import Corpus, text_of
from trainer.spec.indexed_dataset import IndexedDataset
from trainer.spec.preset import Preset
from trainer.spec.records import Validation
from trainer.spec.vocabulary import Vocabulary

UNIGRAM_TOKENS = 10_000_000
"""At most so many tokens of the training text are counted."""
UNIGRAM_BLOCKS = 1000
"""Evenly spread over it where it is longer."""
PERPLEXITY_OF = 20.0
"""Highest loss of which the perplexity is told, as in Megatron-LM; beyond, it would only be a longer number."""


@dataclass(frozen=True)
class ValidationSet:
    """The rows that every validation reads: the first of the split, none twice."""

    workers: RowWorkers
    rows: int
    micro_batch: int

    @classmethod
    def of(cls, workers: RowWorkers, preset: Preset) -> ValidationSet:
        """What the preset asks for, as far as the split has it; 0 rows where it has none."""
        assert isinstance(preset.train.micro_batch, int)
        wanted = preset.train.eval_steps * preset.train.global_batch
        return cls(workers, workers.reader.rows("validation", wanted), preset.train.micro_batch)

    def share(self, ranks: Ranks) -> Iterator[tuple[StepBatch, bool]]:
        """This rank's micro batches, one at a time, and whether each counts.

        Ranks that have fewer than others are given rows that do not count: sharded ranks gather weights in step.
        """
        mine = positions_of_rank(
            0, self.rows, micro_batch=self.micro_batch, data_rank=ranks.data_rank, data_size=ranks.data_size
        )
        rounds = -(-self.rows // (self.micro_batch * ranks.data_size))
        rows = mine + [range(1)] * (rounds - len(mine))
        shares = ([each] for each in rows)
        batches = self.workers.read_ahead("validation", shares, pin=ranks.device.type != "cpu")
        return ((batch, number < len(mine)) for number, batch in enumerate(batches))


def validate(learner: Learner, data: ValidationSet, step: int, unigram_loss: float | None) -> Validation:
    """Losses and accuracies over the validation set, the same on every rank."""
    device = learner.ranks.device
    # lm loss, its correct guesses, masked tokens, sop loss, its correct guesses, pairs
    sums = torch.zeros(6, dtype=torch.float64, device=device)
    with learner.evaluation():
        for batch, counts in data.share(learner.ranks):
            losses = learner.losses(batch.micro_batches[0])
            if counts:
                sums += _summed(losses, batch.counts)
    dist.all_reduce(sums, group=learner.ranks.data_group)
    lm, lm_correct, masked, sop, sop_correct, pairs = sums.tolist()
    lm_loss = lm / max(masked, 1)
    return Validation(
        step=step,
        lm_loss=lm_loss,
        sop_loss=sop / pairs if pairs else None,
        unigram_loss=unigram_loss,
        perplexity=math.exp(min(lm_loss, PERPLEXITY_OF)),
        masked_accuracy=lm_correct / max(masked, 1),
        sop_accuracy=sop_correct / pairs if pairs else None,
    )


def _summed(losses: MicroLosses, counts: Counts) -> Tensor:
    """[6], as ``validate`` adds them up."""
    words = torch.stack([losses.words.loss, losses.words.correct, torch.full_like(losses.words.loss, counts.masked)])
    order = torch.zeros_like(words)
    if losses.order is not None and losses.order_correct is not None:
        order = torch.stack([losses.order, losses.order_correct, torch.full_like(losses.order, counts.pairs)])
    return torch.cat([words, order])


def unigram_loss(corpus: Corpus, split: str, vocabulary: Vocabulary, data: ValidationSet) -> float:
    """Nats a target of the validation set when each piece is guessed with its frequency in the training text.

    Every piece is counted once more than it was seen, so that none is impossible.
    """
    shares = corpus.shares("train", split)
    blocks = max(1, UNIGRAM_BLOCKS // len(corpus.datasets))
    seen = [_piece_counts(dataset, split, vocabulary, blocks) for dataset in corpus.datasets]
    total_seen = sum(int(counts.sum()) for counts in seen)
    counts = np.ones(vocabulary.size)
    for share, pieces in zip(shares.tolist(), seen, strict=True):
        counts += share * total_seen * pieces / max(1, pieces.sum())
    nats = np.log(counts.sum()) - np.log(counts)  # [vocabulary]
    total = targets = 0.0
    for first in range(0, data.rows, data.micro_batch):
        rows = range(first, min(first + data.micro_batch, data.rows))
        labels = data.workers.reader.batch("validation", rows).masked_label
        total += math.fsum(nats[labels])
        targets += len(labels)
    return total / max(targets, 1.0)


def _piece_counts(dataset: IndexedDataset, split: str, vocabulary: Vocabulary, blocks: int) -> NDArray[np.int64]:
    """[vocabulary]: how often each piece stands in the training documents, or in ``blocks`` evenly spread over them."""
    text = text_of(dataset, "train", split)
    counts = np.zeros(vocabulary.size, dtype=np.int64)
    block = UNIGRAM_TOKENS // UNIGRAM_BLOCKS
    stride = max(block, len(text) // blocks)
    for start in range(text.start, text.stop, stride):
        places = np.arange(start, min(start + block, text.stop))
        counts += np.bincount(dataset.ids(places, vocabulary.size), minlength=vocabulary.size)
    counts[[vocabulary.pad, vocabulary.cls, vocabulary.sep]] = 0  # are never guessed
    return counts
