"""Layers that compute on this rank's part of their parameters.

Under tensor parallelism every parameter is a DTensor. The layers here unwrap it first (one cheap autograd node, its
gradient comes back as a DTensor), so that the arithmetic is that of plain torch and costs no DTensor dispatch. What
has to be exchanged between ranks is added by the styles of ``parallel``; in one process nothing is.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.tensor import DTensor


def local(parameter: Tensor) -> Tensor:
    """This rank's part of a parameter: all of it where it is replicated or no DTensor."""
    return parameter.to_local() if isinstance(parameter, DTensor) else parameter


class Linear(nn.Linear):
    """[..., in] -> [..., out]; where ranks hold slices of ``in``, ``reduce`` sums their products before the bias."""

    reduce: Callable[[Tensor], Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """One matrix product."""
        weight, bias = local(self.weight), local(self.bias)
        if self.reduce is None:
            return F.linear(x, weight, bias)
        product: Tensor = self.reduce(F.linear(x, weight))
        return product + bias


class LayerNorm(nn.LayerNorm):
    """[..., h] -> [..., h]."""

    def forward(self, x: Tensor) -> Tensor:
        """Norms the last dimension."""
        return F.layer_norm(x, self.normalized_shape, local(self.weight), local(self.bias), self.eps)


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
        table = local(self.weight)  # [rows here, h]
        row = ids - self.first
        elsewhere = (row < 0) | (row >= len(table))  # [b, s]
        vectors = F.embedding(row.masked_fill(elsewhere, 0), table)
        return vectors.masked_fill(elsewhere.unsqueeze(-1), 0.0)
