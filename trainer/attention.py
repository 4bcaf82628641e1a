"""Attention over packed rows: the one place that says which kernel does it.

T tokens of a micro batch of b rows of s tokens, row after row; this rank's heads, each d wide. Three ways lead to the
same numbers. ``flash`` and ``efficient`` are torch's variable-length kernels: they are told where each sample begins,
and never touch a pair of tokens of different samples. ``mask`` computes all pairs of a row and hides those.

The operators ``aten::_flash_attention_forward`` and ``aten::_efficient_attention_forward`` are used in spite of the
underscore: they alone take dropout, and what they are told is the same from torch 2.6 to 2.13.
``torch.nn.attention.varlen`` (2.10) calls the first of them without dropout (pytorch#179390), nested tensors call both
but are given up by torch (pytorch#171814), and FlexAttention knows no dropout either. What torch or a GPU has no kernel
for is not looked up in tables: ``choose_attention`` tries.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.dropout import Draw, on_cpu


class Visible(NamedTuple):
    """Which tokens see each other: those of one sample. Padding sees padding, for a softmax over nothing is NaN."""

    where: Tensor
    """As the kernel wants it: :func:`same_sample`, or :func:`sample_bounds`."""
    length: int
    """s, which no sample exceeds."""


class Kernel(ABC):
    """One way to attend."""

    name: str

    @abstractmethod
    def visible(self, segments: Tensor, device: torch.device) -> Visible:
        """Made once a micro batch from its :func:`same_sample` segments, which are still on the host."""

    @abstractmethod
    def attend(self, query: Tensor, key: Tensor, value: Tensor, visible: Visible, dropout: float) -> Tensor:
        """softmax(query key' / sqrt(d)) value over the visible tokens; all [T, heads, d]."""


def same_sample(segments: Tensor) -> Tensor:
    """Who sees whom, block-diagonal in each row.

    Args:
        segments: [b, s], the number of each token's sample within its row; 0 is padding.

    Returns:
        Booleans of shape [b, 1, s, s].
    """
    return (segments.unsqueeze(1) == segments.unsqueeze(2)).unsqueeze(1)


def sample_bounds(segments: Tensor) -> Tensor:
    """Where in the T tokens each of k samples begins, and at last T; the padding of a row is a sample of its own.

    How many there are depends on the contents, so a GPU would have to be waited for: call it on the host.

    Args:
        segments: [b, s], as for :func:`same_sample`.

    Returns:
        int32 of shape [k + 1].
    """
    first = torch.ones_like(segments, dtype=torch.bool)
    first[:, 1:] = segments[:, 1:] != segments[:, :-1]
    starts = first.flatten().nonzero().flatten()
    return torch.cat([starts, starts.new_tensor([segments.numel()])]).to(torch.int32)


class Mask(Kernel):
    """All pairs of tokens of a row, those of different samples hidden. Runs everywhere.

    torch picks among its fused kernels. None of them takes dropout on a CPU; what torch does there instead is done here
    with fewer passes over the weights.
    """

    name = "mask"

    def visible(self, segments: Tensor, device: torch.device) -> Visible:
        """A mask for each row."""
        return Visible(same_sample(segments.to(device, non_blocking=True)), segments.shape[1])

    def attend(self, query: Tensor, key: Tensor, value: Tensor, visible: Visible, dropout: float) -> Tensor:
        """See :class:`Kernel`."""
        mask, rows = visible.where, (-1, visible.length, *query.shape[1:])
        query, key, value = (x.view(rows).transpose(1, 2) for x in (query, key, value))  # [b, heads, s, d]
        if dropout > 0 and on_cpu(query) and query.dtype in (torch.float32, torch.float64):
            context = _AttendWithDropout.apply(query, key, value, mask, dropout)  # type: ignore[no-untyped-call]
        else:
            context = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
        back: Tensor = context.transpose(1, 2).flatten(0, 1)
        return back


MASK = Mask()


class Packed(Kernel):
    """A variable-length kernel. It is told s as the longest sample: what is shorter costs it no work, and the true
    length would be one more number for a compiled model to depend on."""

    operator: str
    """In torch's namespace ``aten``."""

    def visible(self, segments: Tensor, device: torch.device) -> Visible:
        """The bounds."""
        return Visible(sample_bounds(segments).to(device, non_blocking=True), segments.shape[1])


class Flash(Packed):
    """For 16-bit numbers on GPUs from Ampere on."""

    name, operator = "flash", "_flash_attention_forward"

    def attend(self, query: Tensor, key: Tensor, value: Tensor, visible: Visible, dropout: float) -> Tensor:
        """See :class:`Kernel`."""
        told = (visible.where, visible.where, visible.length, visible.length, dropout)
        causal = debug = False
        context: Tensor = getattr(torch.ops.aten, self.operator)(query, key, value, *told, causal, debug)[0]
        return context


class Efficient(Packed):
    """For older GPUs and for float32."""

    name, operator = "efficient", "_efficient_attention_forward"

    def attend(self, query: Tensor, key: Tensor, value: Tensor, visible: Visible, dropout: float) -> Tensor:
        """See :class:`Kernel`."""
        one_row = (x.unsqueeze(0) for x in (query, key, value))
        told = (visible.where, visible.where, visible.length, visible.length, dropout)
        bias, causal, keep_logarithms = None, 0, True
        run = getattr(torch.ops.aten, self.operator)
        context: Tensor = run(*one_row, bias, *told, causal, keep_logarithms)[0].squeeze(0)
        return context


@dataclass(frozen=True)
class Choice:
    """What became of :func:`choose_attention`."""

    kernel: Kernel
    refused: dict[str, str]
    """The faster ones that were tried, and why each of them was not taken."""

    def __str__(self) -> str:
        lacking = ", ".join(f"{name} ({reason})" for name, reason in self.refused.items())
        return self.kernel.name + (f"; faster ways that this device or this torch lacks: {lacking}" if lacking else "")


PREFERRED: tuple[Packed, ...] = (Flash(), Efficient())
"""Fastest first; where none of them works, ``mask`` does."""


def choose_attention(device: torch.device, numbers: torch.dtype, head_width: int, dropout: float) -> Choice:
    """The fastest kernel that does on this device, with these numbers, what ``mask`` does.

    Each is run once on a small example, forward and backward. So it does not matter which part is lacking: the operator
    in this torch, the kernel in this build of it, or its support for the GPU, the format or the width.
    """
    refused: dict[str, str] = {}
    for kernel in PREFERRED:
        reason = _objection(kernel, device, numbers, head_width, dropout)
        if reason is None:
            return Choice(kernel, refused)
        refused[kernel.name] = reason
    return Choice(MASK, refused)


def _objection(kernel: Kernel, device: torch.device, numbers: torch.dtype, width: int, dropout: float) -> str | None:
    segments = torch.tensor([[1] * 50 + [2] * 9 + [0] * 5, [1] * 64])
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(segments.numel(), 2, width, generator=generator) for _ in range(4)]
    example = [value.to(device, numbers) for value in values]
    try:
        seen = _run(kernel, segments, example, 0.0)
        _run(kernel, segments, example, dropout)
    except (AttributeError, RuntimeError, TypeError) as error:  # what torch raises for a lack of any of these
        return str(error).splitlines()[0][:150]
    expected = _run(MASK, segments, example, 0.0)
    allowed = 1e-3 if numbers.itemsize > 2 else 4e-2
    apart = max(float((a - b).abs().max()) for a, b in zip(seen, expected, strict=True))
    return None if apart <= allowed else f"its results are off by {apart:.2g}"


def _run(kernel: Kernel, segments: Tensor, example: Sequence[Tensor], dropout: float) -> list[Tensor]:
    """Result and gradients, [T, heads, d] each, in float32."""
    *inputs, of_result = example
    query, key, value = leaves = [value.detach().requires_grad_() for value in inputs]
    visible = kernel.visible(segments, of_result.device)
    result = kernel.attend(query, key, value, visible, dropout)
    gradients = torch.autograd.grad(result, leaves, of_result)
    return [value.detach().float() for value in (result, *gradients)]


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
