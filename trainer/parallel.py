"""Tensor parallelism: which parameter is cut where, and where ranks exchange what.

The scheme is Megatron-LM's (arXiv 1909.08053): in each block the first product is cut by output features, the second
by input features, so that one sum forward and one backward make a block. After ``apply_tensor_parallel`` every
parameter is a DTensor on the tensor dimension of the mesh; ``layers`` computes on the local parts.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import Shard, distribute_module, distribute_tensor
from torch.distributed.tensor.parallel import ParallelStyle, parallelize_module

from trainer.layers import Linear, WordTable
from trainer.loss import VocabularySlice
from trainer.model import Bert
from trainer.spec.sizing import Shape


def apply_tensor_parallel(model: Bert, mesh: DeviceMesh) -> None:
    """Cuts ``model`` over the one-dimensional ``mesh``, in place. Cheapest while it is on the meta device."""
    layer_plan: dict[str, ParallelStyle] = {
        "attention.query_key_value": ByOutput(),
        "attention.output": ByInput(),
        "mlp.widen": ByOutput(),
        "mlp.output": ByInput(),
    }
    plan: dict[str, ParallelStyle] = {
        "embeddings.words": ByVocabulary(),
        **{f"layers.*.{name}": style for name, style in layer_plan.items()},
        "word_head.decoder": ByOutput(),
    }
    parallelize_module(model, mesh, plan)
    distribute_module(model, mesh)  # every other parameter: whole on each rank


def vocabulary_slice(shape: Shape, mesh: DeviceMesh) -> VocabularySlice:
    """The rows of the word table on this rank."""
    first, rows = _slice(shape.padded_vocab, mesh)
    used = min(max(shape.vocab_size - first, 0), rows)
    return VocabularySlice(first, used, mesh.get_group() if mesh.size() > 1 else None)


class ByOutput(ParallelStyle):
    """Each rank computes some of the output features from the whole input."""

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        return distribute_module(module, device_mesh, _cut_first_dimension, _sum_gradients)


class ByInput(ParallelStyle):
    """Each rank multiplies its slice of the input; the products are summed over ranks."""

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        assert isinstance(module, Linear)
        if device_mesh.size() > 1:
            group = device_mesh.get_group()
            module.reduce = lambda product: _SumForward.apply(product, group)  # type: ignore[no-untyped-call]
        return distribute_module(module, device_mesh, _cut_weight_columns)


class ByVocabulary(ParallelStyle):
    """Each rank looks up the words it holds; the vectors, zero elsewhere, are summed over ranks."""

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        assert isinstance(module, WordTable)
        module.first, _ = _slice(len(module.weight), device_mesh)
        return distribute_module(module, device_mesh, _cut_first_dimension, output_fn=_sum_output)  # type: ignore[arg-type]


def _slice(rows: int, mesh: DeviceMesh) -> tuple[int, int]:
    """First row and number of rows on this rank; ranks share as ``torch.chunk`` does, the last may get fewer."""
    each = -(-rows // mesh.size())
    first = min(each * mesh.get_local_rank(), rows)
    return first, min(each, rows - first)


def _cut_first_dimension(name: str, module: nn.Module, mesh: DeviceMesh) -> None:
    for key, parameter in module.named_parameters(recurse=False):
        module.register_parameter(key, nn.Parameter(distribute_tensor(parameter, mesh, [Shard(0)])))


def _cut_weight_columns(name: str, module: nn.Module, mesh: DeviceMesh) -> None:
    weight = distribute_tensor(module.get_parameter("weight"), mesh, [Shard(1)])
    module.register_parameter("weight", nn.Parameter(weight))


def _sum_gradients(module: nn.Module, inputs: tuple[Any, ...], mesh: DeviceMesh) -> Any:
    if mesh.size() == 1:
        return inputs
    first, *others = inputs
    return (_SumBackward.apply(first, mesh.get_group()), *others)  # type: ignore[no-untyped-call]


def _sum_output(module: nn.Module, output: Tensor, mesh: DeviceMesh) -> Tensor:
    if mesh.size() == 1:
        return output
    summed: Tensor = _SumForward.apply(output, mesh.get_group())  # type: ignore[no-untyped-call]
    return summed


class _SumForward(torch.autograd.Function):
    """Sums over ranks; the gradient, alike on all of them, passes."""

    @staticmethod
    def forward(ctx: Any, product: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.mark_dirty(product)
        dist.all_reduce(product, group=group)
        return product

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class _SumBackward(torch.autograd.Function):
    """Passes the input; sums its gradient over ranks, each of which has a part."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group = group
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient, group=ctx.group)
        return gradient, None
