"""The real model's step on tensors without contents, and the bytes that are alive meanwhile.

Fake tensors know their shape, their device and when they are freed, but have no memory, and the process group is
torch's fake one: so one process plays a rank of a world of hundreds, with FSDP2 and all. A fake tensor on a cuda
device needs CUDA, so these say they are on a CPU, and :class:`CudaPaths` takes the ways that CUDA would.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, UntypedStorage
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.overrides import TorchFunctionMode
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from trainer.attention import MASK, Flash, Kernel, Visible
from trainer.batches import MicroBatch
from trainer.gradients import GradientSums
from trainer.loss import order_loss, word_loss
from trainer.model import Bert
from trainer.parallel import apply_tensor_parallel, vocabulary_slice
from trainer.placement import local
from trainer.precision import Precision
from trainer.random_streams import RandomStreams
from trainer.ranks import Ranks
from trainer.recompute import apply_recompute
from trainer.sharding import apply_sharding
from trainer.spec.memory import Work
from trainer.spec.sizing import Layout, Shape

SHAPES = {
    "tiny": Shape(2, 128, 2, 128, 4096),
    "base": Shape(12, 768, 12, 512, 30522),
    "340m": Shape(24, 1024, 16, 512, 30522),
    "4b": Shape(48, 2560, 32, 512, 30522),
    "20b": Shape(48, 6144, 96, 512, 30522),
}
"""The shipped sizes."""
CPU = torch.device("cpu")
SHAPE_INFERENCE = "torch.distributed.tensor._sharding_prop.detect_fake_mode"
"""DTensor infers whole shapes on fake tensors, of a world of its own where it finds none."""


class LiveBytes(TorchDispatchMode):
    """Follows every storage of one fake world from its birth over its resizes to its death."""

    def __init__(self, world: FakeTensorMode) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.peak = 0
        self._world = world
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if DTensor in types:
            return NotImplemented  # DTensor breaks the call into calls on local tensors, which come here again
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, FakeTensor) and leaf.fake_mode is self._world:
                self.hold(leaf)
        return result

    def hold(self, tensor: Tensor) -> None:
        """Counts a tensor's storage, once, as long as it lives."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self._sizes:
            self._sizes[storage._cdata] = 0
            weakref.finalize(storage, self._release, storage._cdata)
        self._resize(storage)

    def _resize(self, storage: UntypedStorage) -> None:
        if storage._cdata in self._sizes:
            self.now += storage.nbytes() - self._sizes[storage._cdata]
            self._sizes[storage._cdata] = storage.nbytes()
            self.peak = max(self.peak, self.now)

    def _release(self, storage: int) -> None:
        self.now -= self._sizes.pop(storage)

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Inside, everything counts; FSDP2 for one frees a gathered layer by resizing it to nothing."""
        resize = UntypedStorage.resize_

        def counted(storage: UntypedStorage, size: int) -> Any:
            result = resize(storage, size)
            self._resize(storage)
            return result

        with patch.object(UntypedStorage, "resize_", counted), patch(SHAPE_INFERENCE, return_value=None):
            yield


class FusedAttention(torch.autograd.Function):
    """What torch's memory-efficient kernel for CUDA keeps: its inputs and output, a logarithm for each query, and the
    mask, which it takes as numbers of the queries' type (``convert_boolean_attn_mask`` in ATen's attention.cpp)."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Tensor:
        rows, heads, length, width = query.shape
        context = query.new_empty(rows, length, heads, width).transpose(1, 2)
        logarithms = query.new_empty(rows, heads, length, dtype=torch.float32)
        ctx.save_for_backward(query, key, value, context, logarithms, query.new_empty(visible.shape))
        return context

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        query, key, value, *_ = ctx.saved_tensors
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value), None


class CudaPaths(TorchFunctionMode):
    """What differs on CUDA: dropout keeps a mask of bytes, attention keeps no scores."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.dropout:
            return torch.native_dropout(args[0], kwargs["p"], True)[0]
        if func is F.scaled_dot_product_attention:
            kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else args[0].dtype
            return FusedAttention.apply(*(x.to(kind) for x in args), kwargs["attn_mask"])  # type: ignore[no-untyped-call]
        return func(*args, **kwargs)


class SimulatedStreams(RandomStreams):
    """Nothing is drawn for tensors without contents, but what is computed again takes the ways of CUDA again."""

    def __init__(self) -> None:
        super().__init__(CPU, 1, data_rank=0, tensor_rank=0)

    def repeated(self) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
        """The engine leaves the mode of functions when it goes backward."""
        return nullcontext(), CudaPaths()


@dataclass(frozen=True)
class Simulated:
    """Bytes on one rank."""

    state: int
    """Weights and the optimizer's two moments."""
    saved: int
    """What a forward pass leaves for the backward pass."""
    peak: int
    """Everything at the fullest moment of a step."""


def simulate(shape: Shape, layout: Layout, work: Work) -> Simulated:
    """One step of rank 0 as on CUDA. All micro batches after the second are as the second."""
    world, precision = FakeTensorMode(allow_non_fake_inputs=True), Precision(work.precision, "cpu")
    live = LiveBytes(world)
    with fake_ranks(layout) as ranks:
        model = _model(shape, layout, work, ranks, precision)
        vocabulary = vocabulary_slice(shape, ranks.mesh["tensor"])
        with world, live, live.counting(), _not_on_cpu(), CudaPaths():
            moments = _hold_state(model, live)
            sums = GradientSums(model, ranks, sequence=layout.sequence)
            state, saved = live.now, 0
            passes = min(work.accumulation, 2)
            for number in range(passes):
                before = live.now
                batch = _batch(shape, work)
                with precision.autocast():
                    outputs = model(batch, _visible(batch, work))
                words = word_loss(outputs.word_logits, batch.masked_label, vocabulary)
                loss = words.loss + order_loss(outputs.order_logits, batch.swapped)
                del outputs, words
                saved = live.now - before
                if number == passes - 1:
                    sums.last_backward()
                torch.autograd.backward(loss)
                del loss, batch
            sums.complete()
            del moments
    return Simulated(state, saved, live.peak)


@contextmanager
def _not_on_cpu() -> Iterator[None]:
    def no(_: Tensor) -> bool:  # a mock would remember, and so keep, every tensor it was asked about
        return False

    with patch("trainer.dropout.on_cpu", no), patch("trainer.attention.on_cpu", no):
        yield


@contextmanager
def fake_ranks(layout: Layout) -> Iterator[Ranks]:
    """This process as rank 0 of a grid of which no other rank exists."""
    dist.init_process_group("fake", rank=0, world_size=layout.ranks, store=FakeStore())
    try:
        mesh = init_device_mesh("cpu", (layout.data, layout.tensor), mesh_dim_names=("data", "tensor"))
        yield Ranks(CPU, mesh, host_group=mesh.get_group("data"), saving_group=mesh.get_group("data"))
    finally:
        dist.destroy_process_group()


def _model(shape: Shape, layout: Layout, work: Work, ranks: Ranks, precision: Precision) -> Bert:
    """Built as ``Learner`` builds it, but for the values."""
    streams = SimulatedStreams()
    with torch.device("meta"):
        model = Bert(shape, dropout=work.dropout, sentence_order=True, streams=streams, kernel=_kernel(work))
    apply_tensor_parallel(model, ranks.mesh["tensor"], sequence=layout.sequence)
    apply_recompute(model, layout.recompute, streams)
    if layout.shard == "full" and layout.data > 1:
        apply_sharding(model, ranks.mesh["data"], precision)
    return model


def _hold_state(model: Bert, live: LiveBytes) -> list[Tensor]:
    """Makes the weights, and two moments of each, which it returns."""
    model.to_empty(device=CPU)
    parameters = [local(parameter.detach()) for parameter in model.parameters()]
    moments = [torch.empty_like(parameter) for parameter in parameters for _ in range(2)]
    for tensor in (*parameters, *moments):
        live.hold(tensor)
    return moments


def _kernel(work: Work) -> Kernel:
    """torch infers shapes for the variable-length operators itself, what they keep included."""
    return MASK if work.masks else Flash()


def _visible(batch: MicroBatch, work: Work) -> Visible:
    """One sample a row; bounds cannot be counted where there are no contents."""
    rows, length = batch.segments.shape
    return (
        MASK.visible(batch.segments, CPU) if work.masks else Visible(torch.empty(rows + 1, dtype=torch.int32), length)
    )


def _batch(shape: Shape, work: Work) -> MicroBatch:
    """A full micro batch of one pair a row."""
    grid = (work.micro_batch, shape.sequence_length)
    rows, masked = grid[:1], (round(work.mask_probability * grid[0] * grid[1]),)

    def ids(size: tuple[int, ...]) -> Tensor:
        return torch.empty(size, dtype=torch.int64)

    segments = torch.empty(grid, dtype=torch.int32)
    return MicroBatch(ids(grid), ids(grid), ids(grid), segments, ids(masked), ids(masked), ids(rows), ids(rows))
