"""How Hugging Face's BERT classes name, cut and describe what :class:`trainer.model.Bert` holds.

The order ``bert`` is ``BertForPreTraining``, the order ``megatron`` is ``MegatronBertForPreTraining``; without a
sentence-order head they are ``BertForMaskedLM`` and ``MegatronBertForMaskedLM``. Names and shapes were read in
``transformers.models.bert`` and ``transformers.models.megatron_bert`` (version 5.23). Shapes: V pieces of the
vocabulary, P rows of the padded word table, h hidden, d width of a head.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.model import NORM_EPSILON, Bert
from trainer.random_streams import RandomStreams
from trainer.spec.preset import LayerOrder, setting_of
from trainer.spec.problem import ConversionError, Problem
from trainer.spec.sizing import Shape

MODEL_TYPES: dict[LayerOrder, str] = {"bert": "bert", "megatron": "megatron-bert"}
CLASSES: dict[LayerOrder, str] = {"bert": "Bert", "megatron": "MegatronBert"}
WORDS = "bert.embeddings.word_embeddings.weight"
BIAS = "cls.predictions.bias"
TIED = {"cls.predictions.decoder.weight": WORDS, "cls.predictions.decoder.bias": BIAS}
"""Second names under which a file may hold the same tensor once more."""
ORDER_HEAD = "cls.seq_relationship.weight"
NO_PARAMETERS = re.compile(r"bert\.embeddings\.(position_ids|token_type_ids)|bert\.pooler\..*")
"""What older files hold beside parameters, and a pooler that no head reads."""

_OUTSIDE_LAYERS = {
    "embeddings.words": "bert.embeddings.word_embeddings",
    "embeddings.positions": "bert.embeddings.position_embeddings",
    "embeddings.types": "bert.embeddings.token_type_embeddings",
    "embeddings.norm": "bert.embeddings.LayerNorm",
    "final_norm": "bert.encoder.ln",
    "word_head.dense": "cls.predictions.transform.dense",
    "word_head.norm": "cls.predictions.transform.LayerNorm",
    "word_head.decoder": "cls.predictions",
    "order_head.pooler": "bert.pooler.dense",
    "order_head.output": "cls.seq_relationship",
}
_IN_LAYER = {
    "attention.output": ("attention.output.dense",),
    "attention.query_key_value": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "mlp.widen": ("intermediate.dense",),
    "mlp.output": ("output.dense",),
}
_NORMS_IN_LAYER: dict[LayerOrder, dict[str, tuple[str, ...]]] = {
    "bert": {"attention_norm": ("attention.output.LayerNorm",), "mlp_norm": ("output.LayerNorm",)},
    "megatron": {"attention_norm": ("attention.ln",), "mlp_norm": ("ln",)},
}

_FIXED = {
    "hidden_act": "gelu",
    "type_vocab_size": 2,
    "position_embedding_type": "absolute",
    "tie_word_embeddings": True,
    "is_decoder": False,
    "add_cross_attention": False,
}
"""What this model has no choice of; what a ``config.json`` leaves out has these values as well."""
_SIZES = {
    "num_hidden_layers": "layers",
    "hidden_size": "hidden",
    "num_attention_heads": "heads",
    "max_position_embeddings": "sequence_length",
}


def parameters(shape: Shape, *, sentence_order: bool) -> dict[str, Tensor]:
    """Our parameters by name, on the meta device."""
    streams = RandomStreams(torch.device("cpu"), 0, data_rank=0, tensor_rank=0)
    with torch.device("meta"):
        model = Bert(shape, dropout=0.0, sentence_order=sentence_order, streams=streams)
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def their_names(ours: str, order: LayerOrder) -> tuple[str, ...]:
    """The names of one of our parameters: one, or three for query, key and value."""
    module, _, kind = ours.rpartition(".")
    if in_layer := re.fullmatch(r"layers\.(\d+)\.(.+)", module):
        names = (_IN_LAYER | _NORMS_IN_LAYER[order])[in_layer[2]]
        return tuple(f"bert.encoder.layer.{in_layer[1]}.{name}.{kind}" for name in names)
    return (f"{_OUTSIDE_LAYERS[module]}.{kind}",)


def split(ours: str, tensor: Tensor, shape: Shape) -> list[Tensor]:
    """One of our parameters as theirs, in the order of :func:`their_names`. Works on the meta device as well.

    The word table and its bias lose their padding: [P, ...] -> [V, ...]. Query, key and value, whose rows stand here
    in the order (head, which of the three, d), come apart: [3h, ...] -> 3 x [h, ...].
    """
    if ".query_key_value." in ours:
        by_head = tensor.unflatten(0, (shape.heads, 3, -1))  # [heads, 3, d, ...]
        return [part.flatten(0, 1) for part in by_head.unbind(1)]
    return [tensor[: shape.vocab_size]] if _is_padded(ours) else [tensor]


def join(ours: str, theirs: Sequence[Tensor], shape: Shape) -> Tensor:
    """Inverse of :func:`split`; padding is zero."""
    if ".query_key_value." in ours:
        by_head = [part.unflatten(0, (shape.heads, -1)) for part in theirs]  # 3 x [heads, d, ...]
        return torch.stack(by_head, 1).flatten(0, 2)
    (tensor,) = theirs
    if not _is_padded(ours):
        return tensor
    behind = (0, 0) * (tensor.ndim - 1) + (0, shape.padded_vocab - shape.vocab_size)
    return F.pad(tensor[: shape.vocab_size], behind)


def _is_padded(ours: str) -> bool:
    return ours in ("embeddings.words.weight", "word_head.decoder.bias")


def config_of(shape: Shape, *, sentence_order: bool, dropout: float, init_std: float) -> dict[str, Any]:
    """``config.json`` of a model."""
    head = "ForPreTraining" if sentence_order else "ForMaskedLM"
    return {
        "architectures": [CLASSES[shape.layer_order] + head],
        "model_type": MODEL_TYPES[shape.layer_order],
        **{theirs: getattr(shape, ours) for theirs, ours in _SIZES.items()},
        "intermediate_size": 4 * shape.hidden,
        "layer_norm_eps": NORM_EPSILON[shape.layer_order],
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
        "initializer_range": init_std,
        "pad_token_id": 0,
        "vocab_size": shape.vocab_size,
        **_FIXED,
    }


def shape_of_config(config: Mapping[str, Any], vocab_size: int, where: str) -> tuple[Shape, list[Problem]]:
    """The shape that a ``config.json`` describes, with the vocabulary's true size, and cautions.

    Raises:
        ConversionError: it describes something else than this model, or lacks a size; all reasons are named.
    """
    orders: dict[Any, LayerOrder] = {model_type: order for order, model_type in MODEL_TYPES.items()}
    order = orders.get(config.get("model_type"))
    if order is None:
        raise ConversionError(_unsupported(where, "model_type", config.get("model_type"), " or ".join(orders)))
    if problems := [*_size_problems(config, where)]:
        raise ConversionError(*problems)
    named = {ours: config[theirs] for theirs, ours in _SIZES.items()}
    shape = Shape(**named, vocab_size=vocab_size, layer_order=order)
    _require_same_kind(config, shape, where)
    return shape, _cautions(config, shape, where)


def _size_problems(config: Mapping[str, Any], where: str) -> Iterator[Problem]:
    """A size must be one that a preset may have."""
    for theirs, ours in {**_SIZES, "vocab_size": "vocab_size"}.items():
        value, limits = config.get(theirs), setting_of(f"model.{ours}")
        assert limits.minimum is not None
        assert limits.maximum is not None
        if type(value) is not int or not limits.minimum <= value <= limits.maximum:
            yield _unsupported(where, theirs, value, f"a number from {limits.minimum} to {limits.maximum}")


def _require_same_kind(config: Mapping[str, Any], shape: Shape, where: str) -> None:
    wanted = _FIXED | {"intermediate_size": 4 * shape.hidden}
    problems = [
        _unsupported(where, name, config[name], value)
        for name, value in wanted.items()
        if config.get(name, value) != value
    ]
    if shape.hidden % shape.heads:
        divisor = f"a divisor of hidden_size, {shape.hidden}"
        problems.append(_unsupported(where, "num_attention_heads", shape.heads, divisor))
    if config["vocab_size"] < shape.vocab_size:
        facts = {"pieces": shape.vocab_size}
        problems.append(Problem("convert.vocabulary_larger", where, str(config["vocab_size"]), facts))
    if problems:
        raise ConversionError(*problems)


def _cautions(config: Mapping[str, Any], shape: Shape, where: str) -> list[Problem]:
    found, epsilon = [], NORM_EPSILON[shape.layer_order]
    theirs = config.get("layer_norm_eps", NORM_EPSILON["bert"])  # the default of both their configurations
    if theirs != epsilon:
        found.append(Problem("convert.epsilon", where, str(theirs), {"ours": epsilon}))
    if config["vocab_size"] > shape.vocab_size:
        facts = {"pieces": shape.vocab_size}
        found.append(Problem("convert.vocabulary_cut", where, str(config["vocab_size"]), facts))
    return found


def _unsupported(where: str, name: str, value: Any, supported: Any) -> Problem:
    return Problem("convert.unsupported", f"{where}: {name}", str(value), {"supported": str(supported)})
