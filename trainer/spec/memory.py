"""What a rank must hold to train a model at a layout, in bytes.

Activations are counted tensor by tensor as ``trainer.model`` keeps them for the backward pass, in the manner of
Korthikanti et al. (arXiv 2205.05198, section 4): b rows, s tokens a row, h hidden, t tensor-parallel ranks. Their
34 sbh bytes a layer are 38 here, because autocast leaves the inputs of the norms in float32, and nothing is kept of
the attention scores on a GPU: variable-length kernels keep a logarithm for each token and head, and no mask.
``tests/trainer/test_memory.py`` holds the figures against a simulation of the real model at every layout, and against
what torch allocates on a CPU.

What nobody can tell without a GPU is a margin of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from trainer.spec.sizing import (
    Layout,
    Shape,
    end_parameters,
    layer_matrices,
    layer_parameters,
    parameters_per_rank,
    table_rows,
)

MIB = 1 << 20
CUDA_CONTEXT = 512 * MIB
"""Driver and kernels of one process. Sources: about 300 MB since CUDA 11.7 loads kernels when they are needed
(pytorch #107667), 543 MiB before (pytorch #81257)."""
COMMUNICATOR = 688 * MIB
"""Buffers of NCCL for each group of ranks. Source: 544 to 688 MB on 4 A100 with NVLink (NVIDIA/nccl #964)."""
FRAGMENTATION = 0.10
"""What the caching allocator may hold without use, as a share of what comes and goes in a step. No source gives one
figure; ZeRO (arXiv 1910.02054, section 3.2) saw far more in the worst case, before torch's expandable segments."""
CPU_PROCESS = 256 * MIB
"""The interpreter with torch loaded."""
MESSAGE = 4 * MIB
"""Gradients of at least this size travel between data-parallel replicas as they are, smaller ones in copies
(``trainer.early_sums``)."""
FP32 = 4
"""Bytes of a float32."""


@dataclass(frozen=True)
class Work:
    """What a rank works on, and with which means."""

    micro_batch: int
    """Rows at once."""
    accumulation: int = 1
    """Micro batches for one update."""
    precision: Literal["fp32", "fp16", "bf16"] = "bf16"
    device: Literal["cuda", "cpu"] = "cuda"
    dropout: float = 0.1
    mask_probability: float = 0.15
    attention: Literal["variable-length", "mask"] = "variable-length"
    """Which kind of kernel a GPU attends with (``trainer.attention``); there is none but "mask" on a CPU."""

    @property
    def masks(self) -> bool:
        """Whether who sees whom is written out for each pair of tokens of a row."""
        return self.device == "cpu" or self.attention == "mask"


@dataclass(frozen=True)
class Memory:
    """Bytes that one rank holds at the fullest moment of a step."""

    weights: int
    """In float32, and the 16-bit copies that autocast makes of the matrices."""
    gradients: int
    """Those that are there: none yet where the fullest moment is before a step's only backward pass."""
    optimizer: int
    """Two moments of each weight."""
    activations: int = 0
    """What the forward pass keeps for the backward pass, and what that works with."""
    logits: int = 0
    """One number for each masked token and entry of the vocabulary."""
    exchange: int = 0
    """Copies made to exchange weights and gradients between ranks."""
    margin: int = 0
    """Not measured on a GPU: CUDA context, NCCL, fragmentation."""

    @property
    def tensors(self) -> int:
        """Everything but the margin: what torch is asked for."""
        model = self.weights + self.gradients + self.optimizer
        return model + self.activations + self.logits + self.exchange

    @property
    def total(self) -> int:
        """Everything together."""
        return self.tensors + self.margin


def memory_per_rank(shape: Shape, layout: Layout, work: Work) -> Memory:
    """What training holds on one rank at the fullest moment of a step; weights and optimizer are in float32."""
    rank = _Rank(shape, layout, work)
    moments = (_loss_computed(rank), _backward_begun(rank), _embeddings_reached(rank), _gradients_travel(rank))
    fullest = max(moments, key=lambda memory: memory.tensors)
    return replace(fullest, margin=_margin(rank, fullest))


@dataclass(frozen=True)
class _Rank:
    """The sizes from which everything else follows."""

    shape: Shape
    layout: Layout
    work: Work

    @property
    def sharded(self) -> bool:
        """Whether data-parallel ranks share what they hold."""
        return self.layout.shard == "full" and self.layout.data > 1

    @property
    def held(self) -> int:
        """Parameters this rank keeps."""
        mine = parameters_per_rank(self.shape, self.layout.tensor)
        return -(-mine // self.layout.data) if self.sharded else mine

    @property
    def tokens(self) -> int:
        """Of a full micro batch."""
        return self.work.micro_batch * self.shape.sequence_length

    @property
    def masked(self) -> int:
        """Tokens of a micro batch that are to be guessed."""
        return round(self.work.mask_probability * self.tokens)

    @property
    def width(self) -> int:
        """Bytes of a number in a matrix product."""
        return FP32 if self.work.precision == "fp32" else 2

    @property
    def sliced(self) -> float:
        """This rank's share of an activation inside a block."""
        return 1 / self.layout.tensor

    @property
    def whole(self) -> float:
        """This rank's share of an activation between blocks."""
        return self.sliced if self.layout.sequence else 1.0

    @property
    def table(self) -> int:
        """Bytes of this rank's part of the word table, whole where ranks share it."""
        return table_rows(self.shape, self.layout.tensor) * self.shape.hidden * FP32

    @property
    def ends(self) -> int:
        """Bytes of embeddings, last norm and heads, whole where ranks share them."""
        return end_parameters(self.shape, self.layout.tensor) * FP32


def _loss_computed(rank: _Rank) -> Memory:
    """Every layer has kept what it will need; the logits are there as they came and in float32."""
    logits = rank.masked * table_rows(rank.shape, rank.layout.tensor)
    return Memory(
        weights=rank.held * FP32 + _layer_copies(rank) + _head_copies(rank),
        gradients=rank.held * FP32 if rank.work.accumulation > 1 else 0,
        optimizer=rank.held * 2 * FP32,
        activations=int(_kept(rank)),
        logits=logits * (FP32 + rank.width),
        exchange=rank.ends if rank.sharded else 0,  # gathered for the whole pass, because both ends use the word table
    )


def _backward_begun(rank: _Rank) -> Memory:
    """The heads are done and have left a gradient of the word table; the last layer works on what all have kept."""
    before = _loss_computed(rank)
    return replace(
        before,
        weights=before.weights - _head_copies(rank),
        gradients=before.gradients + rank.table,
        activations=before.activations + int(_computed_again(rank) + _working(rank)),
        logits=0,
        exchange=before.exchange + (_layers_on_the_way(rank) if rank.sharded else 0),
    )


def _embeddings_reached(rank: _Rank) -> Memory:
    """All other gradients are there; the word table's is a sum of two, and is added to that of earlier passes."""
    held, accumulated = rank.held * FP32, rank.work.accumulation > 1
    terms = 1 if rank.sharded else 2 + accumulated
    return Memory(
        weights=held,
        gradients=held + terms * rank.table + (rank.ends if rank.sharded else 0),
        optimizer=2 * held,
        activations=int(4 * FP32 * rank.tokens * rank.shape.hidden * rank.whole),
        exchange=2 * rank.ends if rank.sharded else _copies_on_the_way(rank),  # weights, and gradients on their way
    )


def _gradients_travel(rank: _Rank) -> Memory:
    """The backward pass is over; without sharding, gradients are summed over data-parallel ranks now."""
    held = rank.held * FP32
    return Memory(weights=held, gradients=held, optimizer=2 * held, exchange=_copies_on_the_way(rank))


def _copies_on_the_way(rank: _Rank) -> int:
    """Bytes of small gradients that were copied to be summed over data-parallel replicas; without sharding."""
    if rank.sharded or rank.layout.data == 1:
        return 0
    square = rank.shape.hidden**2 * FP32 // rank.layout.tensor
    small = sum(each for each in (3 * square, square, 4 * square, 4 * square) if each < MESSAGE)
    return rank.shape.layers * small


def _layers_on_the_way(rank: _Rank) -> int:
    """Bytes of whole layers where ranks share them: one at work, the next coming, gradients of the one before going."""
    at_work = coming = rank.width
    return layer_parameters(rank.shape, rank.layout.tensor) * (at_work + coming + FP32)


def _kept(rank: _Rank) -> float:
    """Bytes that the forward pass leaves for the backward pass."""
    layers, core = rank.shape.layers, rank.tokens * _kept_by_attention(rank)
    each = {
        "none": _kept_by_layer(rank) + core,
        "selective": _kept_by_layer(rank),
        "full": rank.tokens * rank.shape.hidden * FP32 * rank.whole,  # the layer's input
    }
    return layers * each[rank.layout.recompute] + _kept_by_ends(rank)


def _computed_again(rank: _Rank) -> float:
    """Bytes that the layer at work has made again of what was not kept."""
    core = rank.tokens * _kept_by_attention(rank)
    return {"none": 0.0, "selective": core, "full": _kept_by_layer(rank) + core}[rank.layout.recompute]


def _kept_by_layer(rank: _Rank) -> float:
    """Bytes that one layer needs for its backward pass, but for the inside of attention."""
    h, w = rank.shape.hidden, rank.width
    norm_inputs = rank.whole * 2 * FP32 * h + 2 * 2 * FP32  # with mean and deviation of each token
    product_inputs = rank.whole * 2 * w * h
    dropped = rank.whole * 2 * _kept_by_dropout(rank) * h
    attention = rank.sliced * (3 + 1) * w * h
    perceptron = rank.sliced * (4 + 4) * w * h
    return rank.tokens * (norm_inputs + product_inputs + dropped + attention + perceptron)


def _kept_by_attention(rank: _Rank) -> float:
    """Bytes a token beside the inputs and the output."""
    heads, s = rank.shape.heads * rank.sliced, rank.shape.sequence_length
    if rank.work.device == "cuda" or rank.work.dropout == 0:
        return FP32 * heads + (rank.width * s if rank.work.masks else 0)  # a logarithm a head, and the mask as numbers
    if rank.width < FP32:
        return 3 * FP32 * heads * s  # no kernel for CPUs drops: probabilities, the factors of dropout, their product
    return 2 * FP32 * heads * s + FP32 * rank.shape.hidden * rank.sliced  # ``attention``; the context lies there twice


def _kept_by_dropout(rank: _Rank) -> int:
    """Bytes a number: on a GPU whether it was dropped, on a CPU the random bits."""
    if rank.work.dropout == 0:
        return 0
    return 1 if rank.work.device == "cuda" else 2


def _kept_by_ends(rank: _Rank) -> float:
    """Bytes that embeddings, final norm and heads keep."""
    h = rank.shape.hidden
    mask = rank.shape.sequence_length if rank.work.masks else 0
    embeddings = rank.whole * _kept_by_dropout(rank) * h + 4 * 8 + mask  # the second term are ids
    final_norm = rank.whole * FP32 * h
    heads = rank.masked * h * 3 * (FP32 + rank.width)
    return rank.tokens * (embeddings + final_norm) + heads


def _working(rank: _Rank) -> float:
    """Bytes of gradients with which the backward pass goes through a layer: two between blocks, one inside."""
    return rank.tokens * rank.shape.hidden * (2 * FP32 + 4 * rank.width * rank.sliced)


def _layer_copies(rank: _Rank) -> int:
    """Bytes of the layers' matrices in 16 bits, which live from the forward to the backward pass.

    None where layers are gathered in 16 bits, or made again with the layer.
    """
    if rank.width == FP32 or rank.sharded or rank.layout.recompute == "full":
        return 0
    return rank.width * rank.shape.layers * layer_matrices(rank.shape, rank.layout.tensor)


def _head_copies(rank: _Rank) -> int:
    """The same of both heads; the word table is one of their matrices."""
    h = rank.shape.hidden
    return 0 if rank.width == FP32 else rank.width * (2 * h * h + table_rows(rank.shape, rank.layout.tensor) * h)


def _margin(rank: _Rank, fullest: Memory) -> int:
    if rank.work.device == "cpu":
        return CPU_PROCESS
    groups = (rank.layout.tensor > 1) + (rank.layout.data > 1)
    coming_and_going = fullest.tensors - rank.held * 3 * FP32
    return CUDA_CONTEXT + groups * COMMUNICATOR + int(FRAGMENTATION * coming_and_going)
