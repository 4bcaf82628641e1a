"""Gradients after the backward pass: completed from what other ranks have found of them, and measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.distributed as dist
from torch import Tensor, nn

from trainer.model import Bert
from trainer.parallel import seen_in_slices
from trainer.placement import is_cut, local
from trainer.ranks import Ranks

BUCKET_BYTES = 256 << 20
"""Gradients are copied together up to this size: few large messages instead of one for each parameter."""

NORM_ELEMENTS = 1 << 18
"""Are made float64 at once on a CPU: few enough to stay in its caches."""


@torch.no_grad()
def complete(model: Bert, ranks: Ranks, *, sequence: bool) -> None:
    """Makes each gradient that of the sum over the global batch; called once a step, after accumulation.

    Args:
        model: with the gradients.
        ranks: the grid.
        sequence: whether tensor ranks held slices of the tokens.
    """
    if sequence:
        _sum(seen_in_slices(model), ranks.tensor_group)
    if ranks.data_size == 1:
        return
    parameters = list(model.parameters())
    if _sharded(parameters):  # FSDP2 has made them means over the data-parallel ranks
        torch._foreach_mul_(_gradients(parameters), ranks.data_size)
    else:
        _sum(parameters, ranks.data_group)


@torch.no_grad()
def gradient_norm(parameters: Iterable[nn.Parameter], ranks: Ranks) -> Tensor:
    """Euclidean norm of all gradients, float64, on the device: in float32 it would change with the layout.

    Parts are summed over the ranks that hold them, replicated gradients counted once.
    """
    parameters = list(parameters)
    squares = _sum_of_squares([p for p in parameters if is_cut(p, "tensor")])
    dist.all_reduce(squares, group=ranks.tensor_group)
    squares += _sum_of_squares([p for p in parameters if not is_cut(p, "tensor")])
    if _sharded(parameters):
        dist.all_reduce(squares, group=ranks.data_group)
    return squares.sqrt()


def _sharded(parameters: list[nn.Parameter]) -> bool:
    """Over the data-parallel ranks; all of them are, or none."""
    return is_cut(parameters[0], "data")


def _sum(parameters: Iterable[nn.Parameter], group: dist.ProcessGroup) -> None:
    """Replaces each gradient by its sum over a group."""
    for bucket in _buckets(_gradients(parameters)):
        flat = torch.cat([gradient.flatten() for gradient in bucket])
        dist.all_reduce(flat, group=group)
        parts = flat.split([gradient.numel() for gradient in bucket])
        for gradient, part in zip(bucket, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def _gradients(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """This rank's parts of them."""
    gradients = []
    for parameter in parameters:
        assert parameter.grad is not None
        gradients.append(local(parameter.grad))
    return gradients


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


def _sum_of_squares(parameters: Iterable[nn.Parameter]) -> Tensor:
    gradients = _gradients(parameters)
    if gradients[0].device.type != "cpu":
        norms = torch._foreach_norm(gradients, 2, dtype=torch.float64)
        return torch.stack(list(norms)).square().sum()
    # On a CPU torch would first make a float64 copy of each gradient whole, which takes longer than all the rest.
    total = torch.zeros((), dtype=torch.float64)
    buffer = torch.empty(NORM_ELEMENTS, dtype=torch.float64)
    for gradient in gradients:
        for part in gradient.flatten().split(NORM_ELEMENTS):
            copied = buffer[: len(part)].copy_(part)
            total += copied.dot(copied)
    return total
