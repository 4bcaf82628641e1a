"""CPU twins of torch's variable-length attention kernels, registered under the operators' own names.

torch has these kernels for GPUs only. With the twins, all that surrounds a kernel runs here as it runs there: torch's
own derivatives of the operators, what they are told, what is kept and drawn, recomputation, and ranks. The twins take
the samples one by one, by the formula, and refuse whatever the kernels would misunderstand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor


class Flash:
    """``aten::_flash_attention_forward`` and its backward pass: [T, heads, d]."""

    operators = ("_flash_attention_forward", "_flash_attention_backward")

    @staticmethod
    def forward(
        query: Tensor, key: Tensor, value: Tensor, bounds: Tensor, bounds_k: Tensor, longest: int, longest_k: int,
        dropout: float, causal: bool, debug: bool, **options: Any,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        assert not causal
        assert not debug
        seed = torch.randint(2**31, (2,)) if dropout else torch.zeros(2, dtype=torch.int64)
        told = _Told(query, bounds, bounds_k, longest, longest_k, dropout, int(seed[0]))
        logarithms = query.new_zeros(query.shape[1], len(query), dtype=torch.float32)
        return (
            told.forward(query, key, value),
            logarithms,
            seed.to(torch.uint64),
            query.new_zeros(()),
            query.new_zeros(0),
        )

    @staticmethod
    def backward(
        gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, out: Tensor, logarithms: Tensor, bounds: Tensor,
        bounds_k: Tensor, longest: int, longest_k: int, dropout: float, causal: bool, seed: Tensor, *unused: Any,
        **options: Any,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        told = _Told(query, bounds, bounds_k, longest, longest_k, dropout, int(seed[0]))
        return told.backward(gradient, query, key, value)


class Efficient:
    """``aten::_efficient_attention_forward`` and its backward pass: [1, T, heads, d]."""

    operators = ("_efficient_attention_forward", "_efficient_attention_backward")

    @staticmethod
    def forward(
        query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, bounds: Tensor, bounds_k: Tensor, longest: int,
        longest_k: int, dropout: float, mask_type: int, keep_logarithms: bool, **options: Any,
    ) -> tuple[Any, ...]:  # fmt: skip
        assert bias is None
        assert mask_type == 0
        assert keep_logarithms
        seed = torch.randint(2**31, ()) if dropout else torch.zeros((), dtype=torch.int64)
        told = _Told(query[0], bounds, bounds_k, longest, longest_k, dropout, int(seed))
        out = told.forward(query[0], key[0], value[0]).unsqueeze(0)
        logarithms = query.new_zeros(len(bounds) - 1, query.shape[2], -(-longest // 32) * 32, dtype=torch.float32)
        return out, logarithms, seed, torch.zeros_like(seed), longest, longest_k

    @staticmethod
    def backward(
        gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, out: Tensor, bounds: Tensor,
        bounds_k: Tensor, longest: int, longest_k: int, logarithms: Tensor, dropout: float, seed: Tensor, *others: Any,
        **options: Any,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        told = _Told(query[0], bounds, bounds_k, longest, longest_k, dropout, int(seed))
        gradients = told.backward(gradient[0], query[0], key[0], value[0])
        return (*(each.unsqueeze(0) for each in gradients), query.new_zeros(0))


class _Told:
    """What a kernel is told, checked, and the formula."""

    def __init__(
        self, query: Tensor, bounds: Tensor, bounds_k: Tensor, longest: int, longest_k: int, dropout: float, seed: int
    ) -> None:
        assert bounds.dtype == bounds_k.dtype == torch.int32
        assert torch.equal(bounds, bounds_k)
        assert query.stride(-1) == 1
        places = bounds.tolist()
        assert places[0] == 0
        assert places[-1] == len(query)
        lengths = [end - start for start, end in pairwise(places)]
        assert min(lengths) > 0
        assert max(lengths) <= longest == longest_k
        self._samples = [slice(start, end) for start, end in pairwise(places)]
        self._dropout, self._seed = dropout, seed

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """[T, heads, d]."""
        draw, parts = torch.Generator().manual_seed(self._seed), []
        for sample in self._samples:
            weights, factors = self._weights(query[sample], key[sample], draw)
            parts.append(torch.einsum("hqk,khd->qhd", weights * factors, value[sample]))
        return torch.cat(parts)

    def backward(
        self, gradient: Tensor, query: Tensor, key: Tensor, value: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:  # autograd does not work below its own level, so by hand
        """Of query, key and value."""
        draw, scale = torch.Generator().manual_seed(self._seed), math.sqrt(query.shape[2])
        of_query, of_key, of_value = (
            torch.empty_like(x, memory_format=torch.contiguous_format) for x in (query, key, value)
        )
        for sample in self._samples:
            weights, factors = self._weights(query[sample], key[sample], draw)
            of_value[sample] = torch.einsum("hqk,qhd->khd", weights * factors, gradient[sample])
            of_weights = torch.einsum("qhd,khd->hqk", gradient[sample], value[sample]) * factors
            of_scores = weights * (of_weights - (weights * of_weights).sum(2, keepdim=True)) / scale
            of_query[sample] = torch.einsum("hqk,khd->qhd", of_scores, key[sample])
            of_key[sample] = torch.einsum("hqk,qhd->khd", of_scores, query[sample])
        return of_query, of_key, of_value

    def _weights(self, query: Tensor, key: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """After softmax, and what dropout multiplies them by; [heads, s, s] each."""
        weights = (torch.einsum("qhd,khd->hqk", query, key) / math.sqrt(query.shape[2])).softmax(2)
        if not self._dropout:
            return weights, torch.ones_like(weights)
        stays = torch.rand(weights.shape, generator=draw) >= self._dropout
        return weights, stays.to(weights.dtype) / (1 - self._dropout)


@contextmanager
def registered(*twins: type[Flash] | type[Efficient], spoil: Callable[..., Any] | None = None) -> Iterator[None]:
    """Inside, a CPU has these kernels; ``spoil`` takes the place of their forward passes."""
    with torch.library._scoped_library("aten", "IMPL") as library:
        for twin in twins:
            forward, backward = twin.operators
            library.impl(forward, spoil or twin.forward, "CPU")
            library.impl(backward, twin.backward, "CPU")
        yield
