"""Gradients after the backward pass: completed from what other ranks have found of them, and measured."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn

from trainer.early_sums import EarlySums, gradient_of, sum_together
from trainer.model import Bert
from trainer.parallel import seen_in_slices
from trainer.placement import is_cut
from trainer.ranks import Ranks

NORM_ELEMENTS = 1 << 18
"""Are made float64 at once on a CPU: few enough to stay in its caches."""


class GradientSums:
    """Makes each gradient that of the sum over the global batch. Where data-parallel ranks hold whole replicas, their
    sums are under way while the backward pass of a step's last micro batch still computes."""

    def __init__(self, model: Bert, ranks: Ranks, *, sequence: bool) -> None:
        """``model`` has its final parameters; ``sequence`` says whether tensor ranks hold slices of the tokens."""
        self._parameters = list(model.parameters())
        self._ranks = ranks
        self._seen_in_slices = seen_in_slices(model) if sequence else []
        sharded = _sharded(self._parameters)
        self._means = ranks.data_size if sharded else 1
        """FSDP2 has summed gradients and divided them by so much."""
        summed = [] if sharded or ranks.data_size == 1 else self._parameters
        self._early = EarlySums(summed, ranks.data_group)

    def last_backward(self) -> None:
        """The backward pass that comes now is the step's last."""
        self._early.begin()

    @torch.no_grad()
    def complete(self) -> None:
        """Called once a step, after its last backward pass."""
        self._early.finish()
        if self._means > 1:
            torch._foreach_mul_(_gradients(self._parameters), self._means)
        if self._seen_in_slices:
            sum_together(_gradients(self._seen_in_slices), self._ranks.tensor_group)


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


def _gradients(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    return [gradient_of(parameter) for parameter in parameters]


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
