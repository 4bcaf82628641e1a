"""The two losses, as sums; the caller divides by the counts of the whole global batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class VocabularySlice:
    """The rows of the word table that one rank holds."""

    first: int
    """Id of the first row."""
    used: int
    """Rows that stand for a piece; the rest pads the table and takes no probability."""
    group: dist.ProcessGroup | None
    """The tensor ranks among which the vocabulary is split; None in one process."""


@dataclass(frozen=True)
class WordLoss:
    """Of one micro batch."""

    loss: Tensor
    """Sum over masked tokens, nats, float64."""
    correct: Tensor
    """How many of them the model would have guessed, float64."""


def word_loss(logits: Tensor, labels: Tensor, vocabulary: VocabularySlice) -> WordLoss:
    """Cross entropy of masked tokens over a vocabulary that is split across ranks, computed in at least float32.

    Args:
        logits: [n, v], this rank's slice of the vocabulary.
        labels: [n], ids in the whole vocabulary.
        vocabulary: what the slice holds.
    """
    loss, correct = _SlicedCrossEntropy.apply(logits, labels, vocabulary)  # type: ignore[no-untyped-call]
    return WordLoss(loss, correct)


def order_loss(logits: Tensor, swapped: Tensor) -> Tensor:
    """Cross entropy of the sentence-order head, summed over pairs: [p, 2] and [p] -> float64."""
    at_least_float32 = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(at_least_float32, swapped, reduction="none").sum(dtype=torch.float64)


class _SlicedCrossEntropy(torch.autograd.Function):
    """log(sum exp) - logit at the label, with two reductions of [n] numbers forward and none backward."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, vocabulary: VocabularySlice) -> tuple[Tensor, Tensor]:
        work = logits.to(torch.promote_types(logits.dtype, torch.float32), copy=True)  # [n, v]
        work[:, vocabulary.used :] = -torch.inf
        highest = work.amax(1)  # [n]
        _reduce(highest, dist.ReduceOp.MAX, vocabulary)
        work.sub_(highest.unsqueeze(1))
        row = labels - vocabulary.first
        here = (row >= 0) & (row < vocabulary.used)
        row = row.masked_fill(~here, 0).unsqueeze(1)  # [n, 1]
        at_label = work.gather(1, row).squeeze(1).masked_fill(~here, 0.0)
        work.exp_()
        sums = torch.stack([work.sum(1), at_label])  # [2, n]
        _reduce(sums, dist.ReduceOp.SUM, vocabulary)
        ctx.save_for_backward(work, sums[0], row, here)
        ctx.dtype = logits.dtype
        loss = (sums[0].log() - sums[1]).sum(dtype=torch.float64)
        correct = (sums[1] >= 0).sum(dtype=torch.float64)
        ctx.mark_non_differentiable(correct)
        return loss, correct

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        work, total, row, here = ctx.saved_tensors
        gradient = gradients[0].to(work.dtype)
        # The exponentials are needed once only, so their memory becomes the gradient: softmax - one hot.
        work.mul_((gradient / total).unsqueeze(1))
        work.scatter_add_(1, row, (-gradient * here).unsqueeze(1))
        return work.to(ctx.dtype), None, None


def _reduce(values: Tensor, operation: Any, vocabulary: VocabularySlice) -> None:
    if vocabulary.group is not None:
        dist.all_reduce(values, operation, group=vocabulary.group)
