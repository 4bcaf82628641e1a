"""Dropout: torch's own on a GPU; on a CPU, where torch draws one slow number an element, 16 bits of a fast one."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.compiling import outside_graphs

DRAWS = 1 << 16
"""Values of the 16 bits that decide over an element; a probability is rounded to a multiple of 1 / 65,536."""


def drop(x: Tensor, probability: float) -> Tensor:
    """``x`` of any shape with a share of its elements zero, the others made up for it; draws from the default
    generator of its device."""
    return _drop_on_cpu(x, probability) if on_cpu(x) else F.dropout(x, probability)


@outside_graphs
def _drop_on_cpu(x: Tensor, probability: float) -> Tensor:
    result: Tensor = _Drop.apply(x, probability)  # type: ignore[no-untyped-call]
    return result


def on_cpu(x: Tensor) -> bool:
    """Whether the ways for CPUs are taken, here and in ``attention``."""
    return x.device.type == "cpu"


class Draw:
    """Which elements of a tensor on the CPU fall."""

    def __init__(self, shape: torch.Size, probability: float) -> None:
        count = shape.numel()
        bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(1 << 63), None)
        self.bits = bits.view(torch.int16)[:count].view(shape)
        self.first_kept = round(probability * DRAWS) - DRAWS // 2
        self.scale = DRAWS / (DRAWS // 2 - self.first_kept)
        """What the elements that stay are multiplied by, so that the mean remains."""

    def kept(self, dtype: torch.dtype) -> Tensor:
        """1 where an element stays, 0 where it falls: as numbers, since products with booleans are slow."""
        numbers = torch.empty(self.bits.shape, dtype=dtype)
        torch.ge(self.bits, self.first_kept, out=numbers)
        return numbers


class _Drop(torch.autograd.Function):
    """Keeps two bytes an element for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, probability: float) -> Tensor:
        draw = Draw(x.shape, probability)
        ctx.draw = draw
        return draw.kept(x.dtype).mul_(x).mul_(draw.scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        draw: Draw = ctx.draw
        return draw.kept(gradients[0].dtype).mul_(gradients[0]).mul_(draw.scale), None
