"""What tensor-parallel ranks exchange inside the model, each exchange with its gradient.

Without sequence parallelism ranks hold the activations between two blocks whole; with it, the tokens of a micro batch,
row after row, are cut into one equal run a rank (arXiv 2205.05198, figure 5). A run of tokens is contiguous in memory,
so that gathering and cutting need no copies beside the message itself. Shapes: T tokens of a micro batch, t ranks.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from trainer.compiling import outside_graphs

# torch 2.13 renames these two and warns of the old names.
_all_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
_reduce_scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor


@outside_graphs
def sum_forward(parts: Tensor, group: dist.ProcessGroup) -> Tensor:
    """Sums over ranks, in place; the gradient, alike on all of them, passes."""
    summed: Tensor = _SumForward.apply(parts, group)  # type: ignore[no-untyped-call]
    return summed


@outside_graphs
def sum_backward(x: Tensor, group: dist.ProcessGroup) -> Tensor:
    """Passes ``x``; sums its gradient over ranks, each of which has a part."""
    same: Tensor = _SumBackward.apply(x, group)  # type: ignore[no-untyped-call]
    return same


@outside_graphs
def sum_to_slices(parts: Tensor, group: dist.ProcessGroup) -> Tensor:
    """Sums over ranks and leaves each its tokens: [b, s, h] or [T, h] -> [T/t, h]; gathers the gradient."""
    summed: Tensor = _SumToSlices.apply(parts, group)  # type: ignore[no-untyped-call]
    return summed


def slice_of(tokens: Tensor, group: dist.ProcessGroup) -> Tensor:
    """This rank's run of ids: [b, s] -> [T/t]."""
    return tokens.flatten().chunk(group.size())[group.rank()]


@outside_graphs
def gathered_product(x: Tensor, weight: Tensor, bias: Tensor | None, group: dist.ProcessGroup) -> Tensor:
    """The tokens of all ranks times this rank's rows of the weight: [T/t, in] -> [T, out]."""
    if torch.is_autocast_enabled(x.device.type):  # before the exchange, so that half as many bytes travel
        kind = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(kind), weight.to(kind), None if bias is None else bias.to(kind)
    product: Tensor = _GatheredProduct.apply(x, weight, bias, group)  # type: ignore[no-untyped-call]
    return product


class _SumForward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, parts: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.mark_dirty(parts)
        dist.all_reduce(parts, group=group)
        return parts

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class _SumBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group = group
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient, group=ctx.group)
        return gradient, None


class _SumToSlices(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, parts: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group, ctx.shape = group, parts.shape
        return _scattered(parts.flatten(0, -2), group)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _gathered(gradients[0], ctx.group).view(ctx.shape), None


class _GatheredProduct(torch.autograd.Function):
    """Keeps only its own tokens for the backward pass, which gathers the others again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, group: dist.ProcessGroup) -> Tensor:
        ctx.group, ctx.biased = group, bias is not None
        ctx.save_for_backward(x, weight)
        return F.linear(_gathered(x, group), weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        gradient = gradients[0]  # [T, out]
        whole, gathering = _start_gather(x, ctx.group)
        parts = gradient @ weight  # while tokens travel
        of_x, scattering = _start_scatter(parts, ctx.group)
        gathering.wait()
        of_weight = gradient.t() @ whole  # while gradients travel
        scattering.wait()
        return of_x, of_weight, gradient.sum(0) if ctx.biased else None, None


def _gathered(part: Tensor, group: dist.ProcessGroup) -> Tensor:
    """[T/t, h] -> [T, h]."""
    whole, work = _start_gather(part, group)
    work.wait()
    return whole


def _scattered(parts: Tensor, group: dist.ProcessGroup) -> Tensor:
    """[T, h] -> [T/t, h], summed over ranks."""
    part, work = _start_scatter(parts, group)
    work.wait()
    return part


def _start_gather(part: Tensor, group: dist.ProcessGroup) -> tuple[Tensor, dist.Work]:
    whole = part.new_empty(group.size() * len(part), part.shape[1])
    return whole, _all_gather(whole, part.contiguous(), group=group, async_op=True)


def _start_scatter(parts: Tensor, group: dist.ProcessGroup) -> tuple[Tensor, dist.Work]:
    part = parts.new_empty(len(parts) // group.size(), parts.shape[1])
    return part, _reduce_scatter(part, parts.contiguous(), group=group, async_op=True)
