"""How large a model is, how it is spread over ranks, and how much there is to compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trainer.spec.preset import LayerOrder, Model

VOCAB_MULTIPLE = 128
"""The word table is padded to a multiple of this at every layout, so that no layout changes the model."""

MIB = 1 << 20
GIB = 1 << 30


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


@dataclass(frozen=True)
class Layout:
    """How a model and its rows are spread over ranks."""

    tensor: int = 1
    """Ranks that share every layer."""
    data: int = 1
    """Groups of such ranks, each with its own rows."""
    sequence: bool = False
    """Whether the ranks of a group share the tokens, too, where they do not share the layer's weights."""
    shard: Literal["none", "full"] = "none"
    """Whether the groups share weights, gradients and optimizer."""
    recompute: Literal["none", "selective", "full"] = "none"
    """How much of each layer's forward pass is done again in the backward pass instead of being kept."""

    @property
    def ranks(self) -> int:
        """All of them."""
        return self.tensor * self.data


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
    return parameters_per_rank(shape, 1)


def parameters_per_rank(shape: Shape, tensor: int) -> int:
    """Parameters that one rank holds at tensor-parallel size ``tensor`` (the largest rank's, where they differ)."""
    return shape.layers * layer_parameters(shape, tensor) + end_parameters(shape, tensor)


def layer_parameters(shape: Shape, tensor: int) -> int:
    """Of one layer on one rank: matrices and the biases before them are split, norms and biases after them are not."""
    h = shape.hidden
    return layer_matrices(shape, tensor) + 7 * h // tensor + 6 * h


def end_parameters(shape: Shape, tensor: int) -> int:
    """Of embeddings, last norm and heads on one rank: word table and its output bias are split, all else is whole."""
    h = shape.hidden
    words = table_rows(shape, tensor) * (h + 1)
    positions_and_types = (shape.sequence_length + 2) * h
    last_norm = 2 * h  # after the last layer, or after the embeddings
    language_head = h * h + h + 2 * h
    order_head = h * h + h + 2 * h + 2
    return words + positions_and_types + last_norm + language_head + order_head


def layer_matrices(shape: Shape, tensor: int) -> int:
    """Numbers in the four matrices of one layer on one rank."""
    return 12 * shape.hidden**2 // tensor


def table_rows(shape: Shape, tensor: int) -> int:
    """Rows of the word table on one rank."""
    return -(-shape.padded_vocab // tensor)


def tensor_sizes(heads: int, devices: int) -> list[int]:
    """The tensor-parallel sizes that ``devices`` allow: those that divide the heads and the devices."""
    return [size for size in range(1, devices + 1) if heads % size == 0 and devices % size == 0]


def step_flops(shape: Shape, rows: int, mask_probability: float) -> float:
    """Floating-point operations that one step over ``rows`` full rows needs, backward pass included (3 x forward).

    Megatron's count with the attention term of a two-sided mask, and the output layer on masked positions only.
    """
    tokens, h = rows * shape.sequence_length, shape.hidden
    head = mask_probability * (2 * h * h + 2 * h * shape.padded_vocab)
    return 3.0 * tokens * (shape.layers * _layer_flops(shape) + head)


def recompute_flops(shape: Shape, rows: int, recompute: Literal["none", "selective", "full"]) -> float:
    """What recomputation does on top: a second forward pass of the layers, or of their attention cores."""
    attention_core = 4 * shape.hidden * shape.sequence_length
    again = {"none": 0, "selective": attention_core, "full": _layer_flops(shape)}[recompute]
    return float(rows * shape.sequence_length * shape.layers * again)


def _layer_flops(shape: Shape) -> int:
    """Of one layer's forward pass, a token: the four matrices, then scores and the sum over values."""
    return 24 * shape.hidden**2 + 4 * shape.hidden * shape.sequence_length
