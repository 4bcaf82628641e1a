"""How large a model is, and what a GPU must hold to train it.

Parameter counts are exact. Memory is an estimate: weights, gradients and optimizer follow from the counts,
activations from the formula of Korthikanti et al. (arXiv 2205.05198, table 2, tensor parallel without sequence
parallel), and what cannot be computed (CUDA context, NCCL buffers, fragmentation) is a margin of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from trainer.spec.preset import LayerOrder, Model

VOCAB_MULTIPLE = 128
"""The word table is padded to a multiple of this at every layout, so that no layout changes the model."""

GIB = 1 << 30
CUDA_MARGIN = 3 * GIB // 2
"""CUDA context and NCCL buffers. Source: Megatron's recorded 340M run, TP 4: 3,071 MiB seen where weights,
optimizer and activations account for 2,277."""
FRAGMENTATION = 0.10
"""Share of the rest that the caching allocator may hold beside what is used."""


@dataclass(frozen=True)
class Shape:
    """A model with every size known."""

    layers: int
    hidden: int
    heads: int
    sequence_length: int
    vocab_size: int
    layer_order: LayerOrder = "megatron"

    @property
    def padded_vocab(self) -> int:
        """Rows of the word table."""
        return -(-self.vocab_size // VOCAB_MULTIPLE) * VOCAB_MULTIPLE


BERT_VOCAB = 30522
"""Entries of the vocabulary BERT was published with; assumed where none is known yet."""
SAMPLE_VOCAB = 4096
"""Entries of the vocabulary that is made from the sample text."""


def shape_of(model: Model, vocab_size: int | None = None) -> Shape:
    """The shape of a preset's model. Layers, hidden and heads must be there; an open vocabulary counts as BERT's."""
    assert model.layers is not None
    assert model.hidden is not None
    assert model.heads is not None
    entries = vocab_size or model.vocab_size or BERT_VOCAB
    return Shape(model.layers, model.hidden, model.heads, model.sequence_length, entries, model.layer_order)


def parameter_count(shape: Shape) -> int:
    """All parameters, word table tied to the output layer, sentence-order head included; alike in both layer orders."""
    return _sharded(shape) + _replicated(shape)


def parameters_per_rank(shape: Shape, tensor: int) -> int:
    """Parameters that one rank holds at tensor-parallel size ``tensor`` (the largest rank, rounded up)."""
    return -(-_sharded(shape) // tensor) + _replicated(shape)


def _sharded(shape: Shape) -> int:
    """What tensor parallel splits: attention, MLP, word table and its output bias."""
    h = shape.hidden
    return shape.layers * (12 * h * h + 7 * h) + shape.padded_vocab * (h + 1)


def _replicated(shape: Shape) -> int:
    """What every rank holds whole: norms, biases after a reduction, positions, types, the heads' dense layers."""
    h = shape.hidden
    embeddings = (shape.sequence_length + 2) * h
    norms = shape.layers * 6 * h + 2 * h  # the last two after the last layer, or after the embeddings
    language_head = h * h + h + 2 * h
    order_head = h * h + h + 2 * h + 2
    return embeddings + norms + language_head + order_head


@dataclass(frozen=True)
class Memory:
    """Bytes that one rank needs."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    margin: int

    @property
    def total(self) -> int:
        """Everything together."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.margin


def memory_per_rank(shape: Shape, *, tensor: int, micro_batch: int, precision: str, device: str = "cuda") -> Memory:
    """What training holds on one rank, in bytes.

    ``precision`` is fp32, fp16 or bf16 (weights, gradients and optimizer stay in fp32; autocast keeps a 16-bit copy
    of the weights), ``device`` is "cuda" (attention never stores its scores) or "cpu" (it does).
    """
    held = parameters_per_rank(shape, tensor)
    half = precision in ("bf16", "fp16")
    activations = _activations(shape, tensor, micro_batch, 2 if half else 4, scores=device == "cpu")
    weights = held * (6 if half else 4)
    known = weights + held * 12 + activations
    margin = int(known * FRAGMENTATION) + (CUDA_MARGIN if device == "cuda" else GIB // 4)
    return Memory(weights, held * 4, held * 8, activations, margin)


def _activations(shape: Shape, tensor: int, micro_batch: int, width: int, *, scores: bool) -> int:
    """``width`` is bytes a number; the published formula counts two, and one for each dropout mask."""
    tokens, h = micro_batch * shape.sequence_length, shape.hidden
    per_layer = tokens * h * (10 + 24 / tensor) * width / 2
    if scores:
        per_layer += 2.5 * width * shape.heads / tensor * tokens * shape.sequence_length
    guessed = 0.2 * tokens  # masked positions only, with room above the 15 % that are drawn
    head = guessed * (3 * 4 * shape.padded_vocab / tensor + 4 * width * h)
    return int(shape.layers * per_layer + head)


def tensor_sizes(heads: int, devices: int) -> list[int]:
    """The tensor-parallel sizes that ``devices`` allow: those that divide the heads and the devices."""
    return [size for size in range(1, devices + 1) if heads % size == 0 and devices % size == 0]


def step_flops(shape: Shape, rows: int, mask_probability: float) -> float:
    """Floating-point operations of one step over ``rows`` full rows, backward pass included (3 x forward).

    Megatron's count with the attention term of a two-sided mask, and the output layer on masked positions only.
    """
    tokens, h = rows * shape.sequence_length, shape.hidden
    layers = shape.layers * (24 * h * h + 4 * h * shape.sequence_length)
    head = mask_probability * (2 * h * h + 2 * h * shape.padded_vocab)
    return 3.0 * tokens * (layers + head)
