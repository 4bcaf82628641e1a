"""Hugging Face's BERT as the reference: same weights, same words; and there and back to the bit (promise 20)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertTokenizerFast,
    MegatronBertConfig,
    MegatronBertForPreTraining,
    PreTrainedModel,
)

from tests.trainer.small_run import PIECES, metrics, open_reader, small_preset, write_attempt, write_dataset
from trainer import convert
from trainer.attention import MASK
from trainer.batches import MicroBatch, read_share
from trainer.loss import VocabularySlice, order_loss, word_loss
from trainer.model import NORM_EPSILON, Bert, initialise
from trainer.random_streams import RandomStreams
from trainer.spec.preset import LayerOrder, Preset
from trainer.spec.problem import SpecError
from trainer.spec.saved_weights import SavedWeights
from trainer.spec.sizing import Shape, shape_of
from trainer.train import train
from trainer.weights import load_weights, save_weights

ORDERS: list[LayerOrder] = ["bert", "megatron"]
TWINS: dict[LayerOrder, type[PreTrainedModel]] = {"bert": BertForPreTraining, "megatron": MegatronBertForPreTraining}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with its vocabulary."""
    path = tmp_path_factory.mktemp("convert")
    write_dataset(path)
    return path


@pytest.fixture(scope="module")
def batch(folder: Path) -> MicroBatch:
    """Rows of one pair each, as Hugging Face's classes take them."""
    preset = small_preset(folder, data__packing=False)
    return read_share(open_reader(folder, preset), "train", [range(12)]).micro_batches[0]


def _preset(folder: Path, order: LayerOrder = "megatron", **values: Any) -> Preset:
    return small_preset(folder, **{"model__layer_order": order, **values})


def _empty(shape: Shape, *, sentence_order: bool = True) -> Bert:
    streams = RandomStreams(torch.device("cpu"), 1, data_rank=0, tensor_rank=0)
    return Bert(shape, dropout=0.0, sentence_order=sentence_order, streams=streams)


def _model(shape: Shape, *, sentence_order: bool = True) -> Bert:
    """With biases and norms that no other parameter could be taken for."""
    model = _empty(shape, sentence_order=sentence_order)
    initialise(model, shape, std=0.1, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def _vocabulary(folder: Path) -> tuple[Path, str]:
    path = folder / "vocab.txt"
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def _saved(model: Bert, shape: Shape, folder: Path, path: Path) -> Path:
    """The model as a checkpoint."""
    path.mkdir()
    about = SavedWeights(path, shape, model.order_head is not None, _vocabulary(folder)[1])
    save_weights(dict(model.named_parameters()), about)
    return path


def _exported(weights: Path, folder: Path, output: Path) -> Path:
    convert.export(weights, _vocabulary(folder)[0], output, dropout=0.1, init_std=0.02, report=_silent)
    return output


def _silent(phase: str, detail: str, done: int, total: int) -> None:
    pass


def _loaded(weights: Path, shape: Shape) -> Bert:
    model = _empty(shape)
    load_weights(dict(model.named_parameters()), weights)
    return model.eval()


def _theirs(order: LayerOrder, folder: Path, output: Path, *, rows: int = PIECES) -> PreTrainedModel:
    """A model of Hugging Face's with its vocabulary in ``output``."""
    kind = {"bert": BertConfig, "megatron": MegatronBertConfig}[order]
    config = kind(
        vocab_size=rows, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
        max_position_embeddings=32, layer_norm_eps=NORM_EPSILON[order], initializer_range=0.1,
    )  # fmt: skip
    torch.manual_seed(3)
    model = TWINS[order](config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(output)
    (output / "vocab.txt").write_bytes(_vocabulary(folder)[0].read_bytes())
    return model


def _labels(batch: MicroBatch) -> Tensor:
    labels = torch.full_like(batch.tokens, -100).flatten()
    labels[batch.masked_index] = batch.masked_label
    return labels.view_as(batch.tokens)


def _require_equal(model: Bert, twin: PreTrainedModel, batch: MicroBatch, tolerance: float) -> None:
    """Logits of both heads and both losses."""
    assert len(batch.pair_index) == len(batch.tokens)
    with torch.no_grad():
        ours = model(batch, MASK.visible(batch.segments, batch.segments.device))
        theirs = twin(
            input_ids=batch.tokens, attention_mask=(batch.segments > 0).long(), token_type_ids=batch.types,
            labels=_labels(batch), next_sentence_label=batch.swapped,
        )  # fmt: skip
    assert ours.order_logits is not None
    words = theirs.prediction_logits.flatten(0, 1)[batch.masked_index]
    assert torch.allclose(ours.word_logits[:, :PIECES], words, rtol=0, atol=tolerance)
    assert torch.allclose(ours.order_logits, theirs.seq_relationship_logits, rtol=0, atol=tolerance)
    lm = word_loss(ours.word_logits, batch.masked_label, VocabularySlice(0, PIECES, None)).loss / len(words)
    sop = order_loss(ours.order_logits, batch.swapped) / len(batch.swapped)
    assert lm.item() == pytest.approx(F.cross_entropy(words, batch.masked_label).item(), rel=0, abs=tolerance)
    their_sop = F.cross_entropy(theirs.seq_relationship_logits, batch.swapped)
    assert sop.item() == pytest.approx(their_sop.item(), rel=0, abs=tolerance)
    assert (lm + sop).item() == pytest.approx(theirs.loss.item(), rel=0, abs=tolerance)


@pytest.mark.parametrize("order", ORDERS)
def test_an_export_is_the_same_model(folder: Path, batch: MicroBatch, tmp_path: Path, order: LayerOrder) -> None:
    shape = shape_of(_preset(folder, order).model)
    model = _model(shape)
    output = _exported(_saved(model, shape, folder, tmp_path / "weights"), folder, tmp_path / "hf")
    twin, report = TWINS[order].from_pretrained(output, output_loading_info=True, local_files_only=True)
    assert not any(report.values()), report
    _require_equal(model, twin.eval(), batch, 1e-5)
    _require_equal(model.double(), twin.double(), batch, 1e-12)


@pytest.mark.parametrize("order", ORDERS)
def test_an_import_is_the_same_model_and_its_export_the_same_file(
    folder: Path, batch: MicroBatch, tmp_path: Path, order: LayerOrder
) -> None:
    twin = _theirs(order, folder, tmp_path / "hf")
    result = convert.import_(tmp_path / "hf", tmp_path / "weights", _silent)
    assert result["cautions"] == []
    model = _loaded(tmp_path / "weights", Shape(**result["shape"]))
    _require_equal(model, twin, batch, 1e-5)
    again = _exported(tmp_path / "weights", folder, tmp_path / "again")
    first, second = (load_file(path / "model.safetensors") for path in (tmp_path / "hf", again))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("order", ORDERS)
def test_there_and_back_to_the_bit(
    folder: Path, tmp_path: Path, order: LayerOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = shape_of(_preset(folder, order).model)
    model = _model(shape)
    monkeypatch.setattr(convert, "SHARD_BYTES", 20_000)  # several files and an index
    output = _exported(_saved(model, shape, folder, tmp_path / "weights"), folder, tmp_path / "hf")
    assert len(list(output.glob("model-*.safetensors"))) > 3
    convert.import_(output, tmp_path / "back", _silent)
    for (name, old), new in zip(model.named_parameters(), _loaded(tmp_path / "back", shape).parameters(), strict=True):
        rows = PIECES if len(old) == shape.padded_vocab else None
        assert torch.equal(old[:rows], new[:rows]), name
    twin = TWINS[order].from_pretrained(output, local_files_only=True)
    assert torch.equal(twin.get_input_embeddings().weight, model.embeddings.words.weight[:PIECES])


def test_an_export_brings_its_tokenizer(folder: Path, tmp_path: Path) -> None:
    shape = shape_of(_preset(folder).model)
    output = _exported(_saved(_model(shape), shape, folder, tmp_path / "weights"), folder, tmp_path / "hf")
    tokenizer = BertTokenizerFast.from_pretrained(output, local_files_only=True)
    assert tokenizer("W3 w4s [MASK]").input_ids == [2, 8, 9, PIECES - 1, 4, 3]
    assert (tokenizer.model_max_length, len(tokenizer)) == (32, PIECES)


def test_a_model_without_sentence_order_is_a_masked_language_model(folder: Path, tmp_path: Path) -> None:
    shape = shape_of(_preset(folder, "bert").model)
    weights = _saved(_model(shape, sentence_order=False), shape, folder, tmp_path / "weights")
    output = _exported(weights, folder, tmp_path / "hf")
    _, report = BertForMaskedLM.from_pretrained(output, output_loading_info=True, local_files_only=True)
    assert not any(report.values()), report
    assert convert.import_(output, tmp_path / "back", _silent)["sentence_order"] is False


def test_older_files_can_be_imported(folder: Path, batch: MicroBatch, tmp_path: Path) -> None:
    """TensorFlow's names of norms, the tied tensors once more, half precision, a padded vocabulary, no vocab.txt."""
    hf = tmp_path / "hf"
    twin = _theirs("megatron", folder, hf, rows=136)
    tensors = {name: tensor.half() for name, tensor in load_file(hf / "model.safetensors").items()}
    twin.load_state_dict(tensors, strict=False)
    old = {name.replace("ln.weight", "ln.gamma").replace("ln.bias", "ln.beta"): t for name, t in tensors.items()}
    old["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"].clone()
    old["cls.predictions.decoder.bias"] = old.pop("cls.predictions.bias")
    old["bert.embeddings.position_ids"] = torch.arange(32)
    save_file(old, hf / "model.safetensors")
    pieces = (hf / "vocab.txt").read_text().split()
    (hf / "vocab.txt").unlink()
    ids = {piece: number for number, piece in enumerate(pieces)}
    (hf / "tokenizer.json").write_text(json.dumps({"model": {"type": "WordPiece", "vocab": ids}}))
    _change_config(hf, layer_norm_eps=1e-12)
    result = convert.import_(hf, tmp_path / "weights", _silent)
    assert [caution["code"] for caution in result["cautions"]] == ["convert.epsilon", "convert.vocabulary_cut"]
    assert (tmp_path / "weights" / "vocab.txt").read_text() == (folder / "vocab.txt").read_text()
    twin.resize_token_embeddings(PIECES)
    _require_equal(_loaded(tmp_path / "weights", Shape(**result["shape"])), twin, batch, 1e-5)


def _change_config(hf: Path, **values: Any) -> None:
    path = hf / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _change_tensor(hf: Path, name: str, change: Callable[[Tensor], Tensor] | None) -> None:
    """Changes, adds or, with None, removes a tensor."""
    path = hf / "model.safetensors"
    tensors = load_file(path)
    old = tensors.pop(name, torch.ones(1))
    save_file(tensors if change is None else tensors | {name: change(old)}, path)


POOLER = "bert.pooler.dense.weight"


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (lambda hf: (hf / "config.json").unlink(), "convert.unreadable"),
        (lambda hf: (hf / "config.json").write_text("["), "convert.unreadable"),
        (lambda hf: (hf / "config.json").write_text("[]"), "convert.unreadable"),
        (lambda hf: (hf / "vocab.txt").unlink(), "convert.unreadable"),
        (lambda hf: (hf / "vocab.txt").write_text("a\n"), "vocabulary.special_missing"),
        (lambda hf: (hf / "vocab.txt").rename(hf / "tokenizer.json"), "convert.unreadable"),
        (lambda hf: (hf / "model.safetensors").unlink(), "convert.no_safetensors"),
        (lambda hf: (hf / "model.safetensors").write_bytes(b"x" * 99), "convert.unreadable"),
        (lambda hf: _change_config(hf, model_type="roberta"), "convert.unsupported"),
        (lambda hf: _change_config(hf, hidden_size=None), "convert.unsupported"),
        (lambda hf: _change_config(hf, num_hidden_layers=10**9), "convert.unsupported"),
        (lambda hf: _change_config(hf, hidden_act="relu"), "convert.unsupported"),
        (lambda hf: _change_config(hf, intermediate_size=64), "convert.unsupported"),
        (lambda hf: _change_config(hf, vocab_size=130), "convert.vocabulary_larger"),
        (lambda hf: _change_config(hf, max_position_embeddings=64), "convert.tensor_shape"),
        (lambda hf: _change_tensor(hf, POOLER, None), "convert.tensor_missing"),
        (lambda hf: _change_tensor(hf, POOLER, lambda old: old[1:].clone()), "convert.tensor_shape"),
        (lambda hf: _change_tensor(hf, POOLER, lambda old: old.to(torch.int8)), "convert.tensor_type"),
        (lambda hf: _change_tensor(hf, "bert.adapter", lambda old: old), "convert.tensor_unknown"),
        (lambda hf: _change_tensor(hf, "cls.predictions.decoder.bias", lambda old: old), "convert.untied"),
    ],
)
def test_what_cannot_be_imported_is_told(
    folder: Path, tmp_path: Path, harm: Callable[[Path], object], code: str
) -> None:
    _theirs("bert", folder, tmp_path / "hf")
    harm(tmp_path / "hf")
    with pytest.raises(SpecError) as caught:
        convert.import_(tmp_path / "hf", tmp_path / "weights", _silent)
    assert caught.value.problems[0].code == code, caught.value
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]


def test_nothing_is_written_where_something_is(folder: Path, tmp_path: Path) -> None:
    shape = shape_of(_preset(folder).model)
    weights = _saved(_model(shape), shape, folder, tmp_path / "weights")
    with pytest.raises(SpecError) as caught:
        _exported(weights, folder, weights)
    assert caught.value.problems[0].code == "convert.not_empty"
    (tmp_path / "empty").mkdir()
    assert (_exported(weights, folder, tmp_path / "empty") / "config.json").is_file()
    (tmp_path / "file").touch()
    with pytest.raises(SpecError) as caught:
        _exported(weights, folder, tmp_path / "file" / "below")
    assert caught.value.problems[0].code == "convert.not_written"


@pytest.fixture
def one_rank(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What torchrun says to a rank that is alone."""
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "0")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", os.environ.get("GLOO_SOCKET_IFNAME", "lo"))
    yield
    if dist.is_initialized():
        dist.destroy_process_group()


@pytest.mark.parametrize("order", ORDERS)
def test_a_run_trains_on_from_weights(folder: Path, tmp_path: Path, order: LayerOrder, one_rank: None) -> None:
    """Its first loss is that of the weights, and it goes down from there."""
    write_dataset(tmp_path)
    shape = shape_of(_preset(folder, order).model)
    model = _model(shape)
    weights = _saved(model, shape, folder, tmp_path / "weights")
    preset = _preset(tmp_path, order, train__init_from=str(weights), train__learning_rate=1e-2, train__warmup=0)
    attempt = write_attempt(tmp_path, 1, preset)
    train(attempt)
    losses = [record["lm_loss"] for record in metrics(attempt.run)]
    rows = read_share(open_reader(folder, preset), "train", [range(8)]).micro_batches[0]
    with torch.no_grad():
        outputs = model(rows, MASK.visible(rows.segments, rows.segments.device))
        first = word_loss(outputs.word_logits, rows.masked_label, VocabularySlice(0, PIECES, None)).loss
    assert losses[0] == pytest.approx(first.item() / len(rows.masked_label), abs=1e-5)
    assert losses[-1] < losses[0] - 0.1


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ({"model__layer_order": "bert"}, ["weights.other_model"]),
        ({"model__layers": 3, "model__hidden": 64}, ["weights.other_model", "weights.other_model"]),
        ({"train__init_from": "/nowhere"}, ["weights.absent"]),
    ],
)
def test_weights_that_do_not_fit_stop_the_run(
    folder: Path, tmp_path: Path, values: dict[str, Any], codes: list[str], one_rank: None
) -> None:
    write_dataset(tmp_path)
    shape = shape_of(_preset(folder).model)
    weights = _saved(_model(shape), shape, folder, tmp_path / "weights")
    preset = _preset(tmp_path, **{"train__init_from": str(weights), **values})
    with pytest.raises(SpecError) as caught:
        train(write_attempt(tmp_path, 1, preset))
    assert [problem.code for problem in caught.value.problems] == codes


@pytest.mark.parametrize(("harm", "reason"), [("a bit", "checksum"), ("an end", "bytes"), ("gone", "missing")])
def test_damaged_weights_stop_the_run_and_an_export(
    folder: Path, tmp_path: Path, harm: str, reason: str, one_rank: None
) -> None:
    write_dataset(tmp_path)
    shape = shape_of(_preset(folder).model)
    weights = _saved(_model(shape), shape, folder, tmp_path / "weights")
    (tensors,) = weights.glob("*.distcp")
    content = bytearray(tensors.read_bytes())
    content[len(content) // 2] ^= 1  # torch reads it without a word
    if harm == "gone":
        tensors.unlink()
    else:
        tensors.write_bytes(content if harm == "a bit" else content[:-1])
    preset = _preset(tmp_path, train__init_from=str(weights))
    for use in (lambda: train(write_attempt(tmp_path, 1, preset)), lambda: _exported(weights, folder, tmp_path / "hf")):
        with pytest.raises(SpecError) as caught:
            use()
        (problem,) = caught.value.problems
        assert (problem.code, problem.where) == ("weights.damaged", str(weights))
        assert tensors.name in str(problem.params["reason"]) and reason in str(problem.params["reason"])
