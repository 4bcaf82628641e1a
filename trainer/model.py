"""BERT with masked-language-model and sentence-order heads, in two layer orders.

``megatron``: norms stand before each block and after the last layer, none after the embeddings
(``megatron.core.models.bert``; Hugging Face's twin is ``MegatronBertForPreTraining``). ``bert``: norms stand after each
block's sum and after the embeddings (arXiv 1810.04805; ``BertForPreTraining``). Both have the same number of norms.

Shapes: b rows, s tokens a row, T = b s, h hidden, n masked tokens of the batch, p sentence pairs of it, v rows of the
word table on this rank, t tensor-parallel ranks. Under sequence parallelism (``parallel``) what is [b, s, h] between
blocks is [tokens here, h].
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.attention import MASK, Kernel, Visible
from trainer.batches import MicroBatch
from trainer.compiling import outside_graphs
from trainer.layers import Choice, Dropout, LayerNorm, Linear, Table, WordTable
from trainer.placement import local, part_of
from trainer.random_streams import RandomStreams
from trainer.spec.preset import LayerOrder
from trainer.spec.sizing import Shape

NORM_EPSILON: dict[LayerOrder, float] = {"megatron": 1e-5, "bert": 1e-12}
"""Megatron-LM's ``layernorm_epsilon``; the ``layer_norm_eps`` of Hugging Face's ``BertConfig``, which is also that of
Google's BERT."""


class Outputs(NamedTuple):
    """What the heads say."""

    word_logits: Tensor
    """[n, v]: this rank's slice of the vocabulary."""
    order_logits: Tensor | None
    """[p, 2]: pairs in their order, pairs swapped."""


class Bert(nn.Module):
    """The whole model."""

    def __init__(
        self, shape: Shape, *, dropout: float, sentence_order: bool, streams: RandomStreams, kernel: Kernel = MASK
    ) -> None:
        super().__init__()
        self.embeddings = Embeddings(shape, dropout, streams)
        layer = {"megatron": MegatronLayer, "bert": BertLayer}[shape.layer_order]
        self.layers = nn.ModuleList(layer(shape, dropout, streams, kernel) for _ in range(shape.layers))
        self.final_norm = _norm(shape) if shape.layer_order == "megatron" else nn.Identity()
        self.choice = Choice()
        self.word_head = WordHead(shape)
        self.order_head = OrderHead(shape) if sentence_order else None

    def forward(self, batch: MicroBatch, visible: Visible) -> Outputs:
        """Logits of the masked tokens and of the pairs."""
        hidden = self.embeddings(batch.tokens, batch.positions, batch.types)  # [b, s, h]
        for layer in self.layers:
            hidden = layer(hidden, visible)
        hidden = self.final_norm(hidden)
        # The output layer is the largest product of a small BERT; only masked tokens need it.
        masked = self.choice(hidden, batch.masked_index)  # [n, h]
        word_logits = self.word_head(masked, self.embeddings.words.weight)
        if self.order_head is None:
            return Outputs(word_logits, None)
        return Outputs(word_logits, self.order_head(self.choice(hidden, batch.pair_index)))


def _norm(shape: Shape) -> LayerNorm:
    return LayerNorm(shape.hidden, eps=NORM_EPSILON[shape.layer_order])


class Embeddings(nn.Module):
    """Words, positions and token types, added; in the order ``bert`` with a norm behind."""

    def __init__(self, shape: Shape, dropout: float, streams: RandomStreams) -> None:
        super().__init__()
        self.words = WordTable(shape.padded_vocab, shape.hidden)
        self.positions = Table(shape.sequence_length, shape.hidden)
        self.types = Table(2, shape.hidden)
        self.norm = _norm(shape) if shape.layer_order == "bert" else nn.Identity()
        self.dropout = Dropout(dropout, streams)

    def forward(self, tokens: Tensor, positions: Tensor, types: Tensor) -> Tensor:
        """[b, s] each -> [b, s, h]."""
        vectors: Tensor = self.words(tokens) + self.positions(positions) + self.types(types)
        dropped: Tensor = self.dropout(self.norm(vectors))
        return dropped


class Layer(nn.Module):
    """What layers of both orders are made of: attention, then a two-layer perceptron, each with a norm."""

    def __init__(self, shape: Shape, dropout: float, streams: RandomStreams, kernel: Kernel) -> None:
        super().__init__()
        self.attention_norm = _norm(shape)
        self.attention = Attention(shape, dropout, streams, kernel)
        self.mlp_norm = _norm(shape)
        self.mlp = Mlp(shape.hidden)
        self.dropout = Dropout(dropout, streams)


class MegatronLayer(Layer):
    """Each block behind its norm and beside a residual path."""

    def forward(self, hidden: Tensor, visible: Visible) -> Tensor:
        """[b, s, h] -> [b, s, h]."""
        hidden = hidden + self.dropout(self.attention(self.attention_norm(hidden), visible))
        dropped: Tensor = self.dropout(self.mlp(self.mlp_norm(hidden)))
        return hidden + dropped


class BertLayer(Layer):
    """Each block beside a residual path, the norm behind their sum."""

    def forward(self, hidden: Tensor, visible: Visible) -> Tensor:
        """[b, s, h] -> [b, s, h]."""
        hidden = self.attention_norm(hidden + self.dropout(self.attention(hidden, visible)))
        normed: Tensor = self.mlp_norm(hidden + self.dropout(self.mlp(hidden)))
        return normed


class Attention(nn.Module):
    """Self-attention within samples. A rank holds some of the heads, whole."""

    def __init__(self, shape: Shape, dropout: float, streams: RandomStreams, kernel: Kernel) -> None:
        super().__init__()
        self.head_width = shape.hidden // shape.heads
        # Rows ordered (head, query|key|value, width): a slice of them is a set of whole heads at every tensor size.
        self.query_key_value = Linear(shape.hidden, 3 * shape.hidden)
        self.core = AttentionCore(dropout, streams, kernel)
        self.output = Linear(shape.hidden, shape.hidden)

    def forward(self, hidden: Tensor, visible: Visible) -> Tensor:
        """[b, s, h] -> [b, s, h]."""
        projected = self.query_key_value(hidden)  # [b, s, 3h/t]
        heads = projected.view(-1, projected.shape[-1] // (3 * self.head_width), 3, self.head_width)
        query, key, value = heads.unbind(2)
        context = _attend(self.core, query, key, value, visible)  # [T, heads/t, d]
        output: Tensor = self.output(context.reshape(*projected.shape[:-1], -1))
        return output


@outside_graphs
def _attend(core: nn.Module, query: Tensor, key: Tensor, value: Tensor, visible: Visible) -> Tensor:
    context: Tensor = core(query, key, value, visible)
    return context


class AttentionCore(nn.Module):
    """What attention does beside its products with weights: the part that selective recomputation repeats."""

    def __init__(self, dropout: float, streams: RandomStreams, kernel: Kernel) -> None:
        super().__init__()
        self.dropout = dropout
        self.streams = streams
        self.kernel = kernel

    def forward(self, query: Tensor, key: Tensor, value: Tensor, visible: Visible) -> Tensor:
        """[T, heads/t, d] each -> [T, heads/t, d]."""
        if not (self.training and self.dropout > 0):
            return self.kernel.attend(query, key, value, visible, 0.0)
        with self.streams.sliced():
            return self.kernel.attend(query, key, value, visible, self.dropout)


class Mlp(nn.Module):
    """h -> 4h -> h."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.widen = Linear(hidden, 4 * hidden)
        self.output = Linear(4 * hidden, hidden)

    def forward(self, hidden: Tensor) -> Tensor:
        """[b, s, h] -> [b, s, h]."""
        output: Tensor = self.output(F.gelu(self.widen(hidden)))
        return output


class WordHead(nn.Module):
    """Guesses masked words; its output layer is the word table itself, passed in, so that it cannot come untied."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.dense = Linear(shape.hidden, shape.hidden)
        self.norm = _norm(shape)
        self.decoder = Decoder(shape.padded_vocab)

    def forward(self, masked: Tensor, table: Tensor) -> Tensor:
        """[n, h] -> [n, v]."""
        logits: Tensor = self.decoder(self.norm(F.gelu(self.dense(masked))), table)
        return logits


class Decoder(nn.Module):
    """Vectors to one logit a row of the word table."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(rows))

    def forward(self, vectors: Tensor, table: Tensor) -> Tensor:
        """[n, h] and [rows, h] -> [n, v]."""
        return F.linear(vectors, local(table), local(self.bias))


class OrderHead(nn.Module):
    """Tells from a sample's first token whether its two sentences were swapped."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.pooler = Linear(shape.hidden, shape.hidden)
        self.output = Linear(shape.hidden, 2)

    def forward(self, first: Tensor) -> Tensor:
        """[p, h] -> [p, 2]."""
        logits: Tensor = self.output(torch.tanh(self.pooler(first)))
        return logits


@torch.no_grad()
def initialise(model: Bert, shape: Shape, *, std: float, seed: int) -> None:
    """First weights: N(0, std), biases 0, norms 1.

    In the order ``megatron`` the projections back to h are drawn from N(0, std/sqrt(2 layers)), as Megatron-LM's are
    (``scaled_init_method_normal``); in the order ``bert`` nothing is scaled, as in Hugging Face's ``_init_weights``
    (Google's BERT draws from the same distribution cut off at two standard deviations).

    Each parameter is drawn whole from a seed of its own and then cut, so that every layout starts from the same model
    and no rank ever holds more than one whole parameter.
    """
    narrow = std / math.sqrt(2 * shape.layers) if shape.layer_order == "megatron" else std
    for number, (name, parameter) in enumerate(model.named_parameters()):
        part = local(parameter)
        if name.endswith("bias"):
            part.zero_()
        elif "norm" in name:
            part.fill_(1.0)
        else:
            back_to_hidden = ".attention.output." in name or ".mlp.output." in name
            scale = narrow if back_to_hidden else std
            generator = torch.Generator(part.device).manual_seed((seed << 20) + number)
            whole = torch.empty(parameter.shape, dtype=torch.float32, device=part.device)
            part.copy_(part_of(whole.normal_(0.0, scale, generator=generator), parameter))
