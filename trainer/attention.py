"""Attention over packed rows: the one place that says which kernel does it."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.dropout import Draw, on_cpu


def same_sample(segments: Tensor) -> Tensor:
    """Which tokens see each other: those of one sample, block-diagonal in each row.

    Padding is a block of its own, so that no token is without a partner (a softmax over nothing is NaN).

    Args:
        segments: [b, s], the number of each token's sample within its row; 0 is padding.

    Returns:
        Booleans of shape [b, 1, s, s].
    """
    return (segments.unsqueeze(1) == segments.unsqueeze(2)).unsqueeze(1)


def attend(query: Tensor, key: Tensor, value: Tensor, visible: Tensor, dropout: float) -> Tensor:
    """softmax(query key' / sqrt(d)) value over the visible tokens; all [b, heads, s, d], ``visible`` [b, 1, s, s].

    torch picks among its fused kernels. None of them takes dropout on a CPU; what torch does there instead is done here
    with fewer passes over the weights.
    """
    if dropout > 0 and on_cpu(query) and query.dtype in (torch.float32, torch.float64):
        context: Tensor = _AttendWithDropout.apply(query, key, value, visible, dropout)  # type: ignore[no-untyped-call]
        return context
    return F.scaled_dot_product_attention(query, key, value, attn_mask=visible, dropout_p=dropout)


class _AttendWithDropout(torch.autograd.Function):
    """The formula, with two [b, heads, s, s] tensors kept for the backward pass: the weights and what dropout left."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, visible: Tensor, dropout: float) -> Tensor:
        query = query.contiguous() / math.sqrt(query.shape[3])
        key, value = key.contiguous(), value.contiguous()
        hidden = torch.zeros(visible.shape, dtype=query.dtype).masked_fill_(~visible, -math.inf)
        weights = (query @ key.transpose(2, 3)).add_(hidden).softmax(3)  # [b, heads, s, s]
        draw = Draw(weights.shape, dropout)
        kept = draw.kept(weights.dtype).mul_(weights)
        context = (kept @ value).mul_(draw.scale)  # [b, heads, s, d]
        ctx.save_for_backward(query, key, value, weights, kept, context)
        ctx.scale = draw.scale
        return context

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        query, key, value, weights, kept, context = ctx.saved_tensors
        scaled = gradients[0] * ctx.scale
        # Softmax's backward pass, weights * (g - sum(weights * g)); the sum is that over d of gradient * context.
        sums = (gradients[0] * context).sum(3, keepdim=True)  # [b, heads, s, 1]
        of_scores = (scaled @ value.transpose(2, 3)).mul_(kept).addcmul_(weights, sums, value=-1)
        of_query = (of_scores @ key).div_(math.sqrt(query.shape[3]))
        return of_query, of_scores.transpose(2, 3) @ query, kept.transpose(2, 3) @ scaled, None, None
