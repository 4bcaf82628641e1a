"""Gradients after the backward pass: summed over data-parallel ranks, and measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from trainer.layers import local
from trainer.ranks import Ranks

BUCKET_BYTES = 256 << 20
"""Gradients are copied together up to this size: few large messages instead of one for each parameter."""


@torch.no_grad()
def sum_over_data(parameters: Iterable[nn.Parameter], ranks: Ranks) -> None:
    """Replaces each gradient by its sum over the data-parallel ranks; called once a step, after accumulation."""
    if ranks.data_size == 1:
        return
    for bucket in _buckets(_gradients(parameters)):
        flat = torch.cat([gradient.flatten() for gradient in bucket])
        dist.all_reduce(flat, group=ranks.data_group)
        parts = flat.split([gradient.numel() for gradient in bucket])
        for gradient, part in zip(bucket, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


@torch.no_grad()
def gradient_norm(parameters: Iterable[nn.Parameter], ranks: Ranks) -> Tensor:
    """Euclidean norm of all gradients, float64, on the device: in float32 it would change with the layout.

    Slices are summed over the tensor ranks, replicated gradients counted once.
    """
    sliced: list[Tensor] = []
    whole: list[Tensor] = []
    for parameter in parameters:
        assert parameter.grad is not None
        (sliced if _is_sliced(parameter) else whole).append(local(parameter.grad))
    squares = _sum_of_squares(sliced)
    dist.all_reduce(squares, group=ranks.tensor_group)
    return (squares + _sum_of_squares(whole)).sqrt()


def _gradients(parameters: Iterable[nn.Parameter]) -> Iterator[Tensor]:
    for parameter in parameters:
        assert parameter.grad is not None
        yield local(parameter.grad)


def _buckets(gradients: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    size = 0
    for gradient in gradients:
        if bucket and size + gradient.nbytes > BUCKET_BYTES:
            yield bucket
            bucket, size = [], 0
        bucket.append(gradient)
        size += gradient.nbytes
    yield bucket


def _is_sliced(parameter: nn.Parameter) -> bool:
    return isinstance(parameter, DTensor) and any(placement.is_shard() for placement in parameter.placements)


def _sum_of_squares(gradients: list[Tensor]) -> Tensor:
    norms = torch._foreach_norm(gradients, 2, dtype=torch.float64)
    return torch.stack(list(norms)).square().sum()
