"""Tensor and sequence parallelism: which parameter is cut where, and where ranks exchange what.

The scheme is Megatron-LM's (arXiv 1909.08053): in each block the first product is cut by output features, the second
by input features, so that one sum forward and one backward make a block. With sequence parallelism (arXiv 2205.05198)
the sum leaves each rank a slice of the tokens, for norms, dropout and residuals, and the next product gathers them.
After ``apply_tensor_parallel`` every parameter is a DTensor on the tensor dimension of the mesh; ``layers`` computes
on the local parts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import Shard, distribute_module, distribute_tensor
from torch.distributed.tensor.parallel import ParallelStyle, parallelize_module

from trainer.exchange import gathered_product, slice_of, sum_backward, sum_forward, sum_to_slices
from trainer.layers import Choice, Dropout, Linear, WordTable
from trainer.loss import VocabularySlice
from trainer.model import Bert
from trainer.placement import is_cut, run_of
from trainer.spec.sizing import Shape

Exchange = Callable[[Tensor, dist.ProcessGroup], Tensor]


def apply_tensor_parallel(model: Bert, mesh: DeviceMesh, *, sequence: bool) -> None:
    """Cuts ``model`` over the one-dimensional ``mesh``, in place. Cheapest while it is on the meta device.

    Args:
        model: all of it.
        mesh: the tensor ranks.
        sequence: whether each of them holds only a slice of the tokens between blocks.
    """
    enter = ByOutputFromSlices() if sequence else ByOutput()
    add_up = sum_to_slices if sequence else sum_forward
    layer_plan: dict[str, ParallelStyle] = {
        "attention.query_key_value": enter,
        "attention.output": ByInput(add_up),
        "mlp.widen": enter,
        "mlp.output": ByInput(add_up),
    }
    plan: dict[str, ParallelStyle] = {"embeddings.words": ByVocabulary(add_up), "word_head.decoder": ByOutput()}
    if sequence:
        layer_plan["dropout"] = plan["embeddings.dropout"] = OwnDropout()
        plan["embeddings.positions"] = plan["embeddings.types"] = OwnTokens()
        plan["choice"] = FromSlices()
    plan |= {f"layers.*.{name}": style for name, style in layer_plan.items()}
    parallelize_module(model, mesh, plan)
    distribute_module(model, mesh)  # every other parameter: whole on each rank


def seen_in_slices(model: Bert) -> list[nn.Parameter]:
    """Parameters that under sequence parallelism meet only a rank's own tokens, so that gradients must be summed.

    They are those between the blocks: whole on every tensor rank, and not in the heads, which all ranks compute alike.
    """
    heads = ("word_head.", "order_head.")
    named = model.named_parameters()
    return [parameter for name, parameter in named if not name.startswith(heads) and not is_cut(parameter, "tensor")]


def vocabulary_slice(shape: Shape, mesh: DeviceMesh) -> VocabularySlice:
    """The rows of the word table on this rank."""
    first, rows = run_of(shape.padded_vocab, mesh)
    used = min(max(shape.vocab_size - first, 0), rows)
    return VocabularySlice(first, used, mesh.get_group() if mesh.size() > 1 else None)


class ByOutput(ParallelStyle):
    """Each rank computes some of the output features from the whole input."""

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        return distribute_module(module, device_mesh, _cut_first_dimension, _sum_gradients)


class ByOutputFromSlices(ParallelStyle):
    """Each rank gathers the tokens of all, and computes some of the output features."""

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        assert isinstance(module, Linear)
        group = device_mesh.get_group()
        module.multiply = lambda x, weight, bias: gathered_product(x, weight, bias, group)
        return distribute_module(module, device_mesh, _cut_first_dimension)


class ByInput(ParallelStyle):
    """Each rank multiplies its slice of the input features; the products are added up over ranks."""

    def __init__(self, add_up: Exchange) -> None:
        super().__init__()
        self.add_up = add_up

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        assert isinstance(module, Linear)
        if device_mesh.size() > 1:
            group = device_mesh.get_group()
            module.reduce = lambda product: self.add_up(product, group)
        return distribute_module(module, device_mesh, _cut_weight_columns)


class ByVocabulary(ParallelStyle):
    """Each rank looks up the words it holds; the vectors, zero elsewhere, are added up over ranks."""

    def __init__(self, add_up: Exchange) -> None:
        super().__init__()
        self.add_up = add_up

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        assert isinstance(module, WordTable)
        module.first, _ = run_of(len(module.weight), device_mesh)
        return distribute_module(module, device_mesh, _cut_first_dimension, output_fn=self._exchange)  # type: ignore[arg-type]

    def _exchange(self, module: nn.Module, output: Tensor, mesh: DeviceMesh) -> Tensor:
        return output if mesh.size() == 1 else self.add_up(output, mesh.get_group())


class OwnTokens(ParallelStyle):
    """Each rank looks up its own tokens only."""

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        return distribute_module(module, device_mesh, input_fn=_own_tokens)


class OwnDropout(ParallelStyle):
    """Each rank drops elements of its own tokens."""

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        assert isinstance(module, Dropout)
        module.on_slices = True
        return module


class FromSlices(ParallelStyle):
    """Each rank picks those of the wanted tokens that it holds; added up, all ranks have them all."""

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        assert isinstance(module, Choice)
        group = device_mesh.get_group()
        module.slice_number = device_mesh.get_local_rank()
        module.reduce = lambda vectors: sum_forward(vectors, group)
        return module


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
    return (sum_backward(first, mesh.get_group()), *others)


def _own_tokens(module: nn.Module, inputs: tuple[Any, ...], mesh: DeviceMesh) -> Any:
    (ids,) = inputs
    return (slice_of(ids, mesh.get_group()),)
