"""Weights, gradients and optimizer split over the data-parallel ranks (FSDP2; ZeRO stage 3, arXiv 1910.02054).

A rank holds 1/d of each parameter. The whole of a layer is gathered just before it computes, and let go after it; its
gradients are summed and cut as soon as the layer's backward pass is done. That happens for each micro batch: waiting
for the last one would save the messages of the others, but hold all gradients whole, which sharding is to avoid.
"""

from __future__ import annotations

import torch
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

from trainer.model import Bert
from trainer.precision import Precision


def apply_sharding(model: Bert, mesh: DeviceMesh, precision: Precision) -> None:
    """Splits ``model`` over the one-dimensional ``mesh``, in place; after tensor parallelism, before it has values.

    Layers are gathered in the format of their matrix products: autocast alone would keep a cast copy of every layer
    until the backward pass. Embeddings, heads and last norm, one group because they share the word table, stay in
    float32.
    """
    policy = MixedPrecisionPolicy()
    if precision.format is not None:
        policy = MixedPrecisionPolicy(precision.format, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for layer in model.layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh)


def let_go(model: Bert) -> None:
    """Frees what a forward pass without a backward pass left gathered; only then can weights be named or saved."""
    if isinstance(model, FSDPModule):
        model.reshard()
