"""Attention over packed rows: the one place that says which kernel does it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


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

    torch picks among its fused kernels and, where none takes an arbitrary mask on this device, plain matrix products.
    """
    return F.scaled_dot_product_attention(query, key, value, attn_mask=visible, dropout_p=dropout)
