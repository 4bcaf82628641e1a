"""Layers that compute on this rank's part of their parameters.

Under tensor parallelism every parameter is a DTensor. The layers here unwrap it first (one cheap autograd node, its
gradient comes back as a DTensor), so that the arithmetic is that of plain torch and costs no DTensor dispatch. What
has to be exchanged between ranks is added by the styles of ``parallel``; in one process nothing is. Where ranks hold
slices of the tokens, [b, s, h] becomes [tokens here, h].
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.compiling import outside_graphs
from trainer.dropout import drop
from trainer.placement import local
from trainer.random_streams import RandomStreams


class Linear(nn.Linear):
    """[..., in] -> [..., out]; where ranks hold slices of ``in``, ``reduce`` sums their products before the bias."""

    multiply: Callable[[Tensor, Tensor, Tensor | None], Tensor] = staticmethod(F.linear)
    """x, weight and bias to x weight' + bias; gathers x first where ranks hold slices of the tokens."""
    reduce: Callable[[Tensor], Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """One matrix product."""
        weight, bias = local(self.weight), local(self.bias)
        if self.reduce is None:
            return self.multiply(x, weight, bias)
        return self.reduce(self.multiply(x, weight, None)) + bias


class LayerNorm(nn.LayerNorm):
    """[..., h] -> [..., h]."""

    def forward(self, x: Tensor) -> Tensor:
        """Norms the last dimension."""
        weight, bias = _at_least_float32(local(self.weight)), _at_least_float32(local(self.bias))
        return F.layer_norm(x, self.normalized_shape, weight, bias, self.eps)


class Dropout(nn.Module):
    """Drops elements: the same on all tensor ranks, or, where each holds a slice of the tokens, different ones."""

    on_slices = False

    def __init__(self, share: float, streams: RandomStreams) -> None:
        super().__init__()
        self.share = share
        self.streams = streams

    def forward(self, x: Tensor) -> Tensor:
        """Of any shape."""
        if not self.training or self.share == 0:
            return x
        return _drop_sliced(x, self.share, self.streams) if self.on_slices else drop(x, self.share)


@outside_graphs
def _drop_sliced(x: Tensor, share: float, streams: RandomStreams) -> Tensor:
    with streams.sliced():
        return drop(x, share)


class Table(nn.Module):
    """Ids to vectors."""

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, width))

    def forward(self, ids: Tensor) -> Tensor:
        """[b, s] -> [b, s, h]."""
        return F.embedding(ids, local(self.weight))


class WordTable(Table):
    """A table of which a rank may hold only the rows from ``first`` on; other ids give zeros, to be summed up."""

    first = 0

    def forward(self, ids: Tensor) -> Tensor:
        """[b, s] -> [b, s, h]."""
        return _rows_here(local(self.weight), ids - self.first)


class Choice(nn.Module):
    """Vectors of some tokens of the micro batch, by their places in it."""

    slice_number = 0
    reduce: Callable[[Tensor], Tensor] | None = None
    """Sums over the ranks that hold slices of the tokens: each place is in one of them."""

    def forward(self, hidden: Tensor, places: Tensor) -> Tensor:
        """[b, s, h] and [n] -> [n, h]."""
        tokens = hidden.flatten(0, -2)
        if self.reduce is None:
            return tokens.index_select(0, places)
        return self.reduce(_rows_here(tokens, places - self.slice_number * len(tokens)))


def _rows_here(table: Tensor, row: Tensor) -> Tensor:
    """[rows here, h] and numbers of rows [...] -> [..., h]; zeros for rows that are elsewhere."""
    elsewhere = (row < 0) | (row >= len(table))
    vectors = F.embedding(row.masked_fill(elsewhere, 0), table)
    return vectors.masked_fill(elsewhere.unsqueeze(-1), 0.0)


def _at_least_float32(parameter: Tensor) -> Tensor:
    """Sharded layers are gathered in 16 bits, and a CPU norms no 32-bit input with them."""
    return parameter.to(torch.promote_types(parameter.dtype, torch.float32))
