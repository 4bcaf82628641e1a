"""The model in one process: packed samples, attention kernels, order of layers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.trainer.small_run import open_reader, small_preset, write_dataset
from trainer.attention import MASK
from trainer.batches import MicroBatch, read_share
from trainer.model import Bert, Outputs, initialise
from trainer.random_streams import RandomStreams
from trainer.spec.preset import LayerOrder
from trainer.spec.sizing import Shape, parameter_count, shape_of


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> MicroBatch:
    """Packed rows, some of them with several samples and with padding."""
    folder = tmp_path_factory.mktemp("model")
    write_dataset(folder)
    preset = small_preset(folder)
    return read_share(open_reader(folder, preset), "train", [range(16)]).micro_batches[0]


def _model(shape: Shape, *, sentence_order: bool = True) -> Bert:
    streams = RandomStreams(torch.device("cpu"), 1, data_rank=0, tensor_rank=0)
    model = Bert(shape, dropout=0.1, sentence_order=sentence_order, streams=streams).to(torch.float64)
    initialise(model, shape, std=0.1, seed=1)
    return model.eval()


def _run(model: Bert, batch: MicroBatch) -> Outputs:
    outputs: Outputs = model(batch, MASK.visible(batch.segments, batch.segments.device))
    return outputs


def _small() -> Bert:
    return _model(shape_of(small_preset(Path("unused")).model))


def test_samples_of_a_row_do_not_see_each_other(batch: MicroBatch) -> None:
    model = _small()
    row = int((batch.segments.amax(1) >= 2).nonzero()[0])
    changed = batch.tokens.clone()
    second = batch.segments[row] == 2
    changed[row, second] = (changed[row, second] + 1) % 131
    before, after = _run(model, batch), _run(model, MicroBatch(**{**vars(batch), "tokens": changed}))
    places = batch.masked_index
    others = ~((places // 32 == row) & second[places % 32])
    assert torch.equal(before.word_logits[others], after.word_logits[others])
    assert not torch.equal(before.word_logits[~others], after.word_logits[~others])
    assert before.order_logits is not None
    assert after.order_logits is not None
    elsewhere = ~((batch.pair_index // 32 == row) & second[batch.pair_index % 32])
    assert torch.equal(before.order_logits[elsewhere], after.order_logits[elsewhere])


def test_a_packed_row_is_its_samples_one_by_one(batch: MicroBatch) -> None:
    model = _small()
    row = int((batch.segments.amax(1) >= 2).nonzero()[0])
    packed = _run(model, _only(batch, batch.segments[row : row + 1] > 0, row))
    samples = range(1, int(batch.segments[row].max()) + 1)
    one_by_one: list[Outputs] = [_run(model, _only(batch, batch.segments[row : row + 1] == n, row)) for n in samples]
    assert torch.allclose(packed.word_logits, torch.cat([o.word_logits for o in one_by_one]), rtol=0, atol=1e-12)
    assert packed.order_logits is not None
    orders = torch.cat([o.order_logits for o in one_by_one if o.order_logits is not None])
    assert torch.allclose(packed.order_logits, orders, rtol=0, atol=1e-12)


def _only(batch: MicroBatch, kept: torch.Tensor, row: int) -> MicroBatch:
    """The kept tokens [1, s] of one row, moved to its front."""
    columns = kept[0].nonzero().flatten()
    new_place = {int(column): place for place, column in enumerate(columns)}

    def moved(flat: torch.Tensor) -> list[tuple[int, int]]:
        pairs = [(number, int(place) - 32 * row) for number, place in enumerate(flat)]
        return [(number, new_place[column]) for number, column in pairs if column in new_place]

    masked, pairs = moved(batch.masked_index), moved(batch.pair_index)
    return MicroBatch(
        tokens=batch.tokens[row, columns].unsqueeze(0),
        positions=batch.positions[row, columns].unsqueeze(0),
        types=batch.types[row, columns].unsqueeze(0),
        segments=batch.segments[row, columns].unsqueeze(0),
        masked_index=torch.tensor([place for _, place in masked]),
        masked_label=batch.masked_label[[number for number, _ in masked]],
        pair_index=torch.tensor([place for _, place in pairs]),
        swapped=batch.swapped[[number for number, _ in pairs]],
    )


@pytest.mark.parametrize("order", ["megatron", "bert"])
@pytest.mark.parametrize(
    ("layers", "hidden", "heads", "count"),
    [(24, 1024, 16, 336_297_858), (48, 2560, 32, 3_869_260_674), (48, 6144, 96, 22_013_798_274)],
)
def test_parameter_counts_are_those_of_megatron(
    layers: int, hidden: int, heads: int, count: int, order: LayerOrder
) -> None:
    shape = Shape(layers, hidden, heads, 512, 30522, order)
    streams = RandomStreams(torch.device("cpu"), 1, data_rank=0, tensor_rank=0)
    with torch.device("meta"):
        model = Bert(shape, dropout=0.1, sentence_order=True, streams=streams)
    assert sum(parameter.numel() for parameter in model.parameters()) == count == parameter_count(shape)


def test_first_weights_are_those_of_megatron() -> None:
    shape = Shape(8, 256, 4, 64, 1000)
    model = _model(shape)
    for name, spread in (("embeddings.words", 0.1), ("layers.3.mlp.widen", 0.1), ("layers.3.mlp.output", 0.1 / 4)):
        assert model.get_parameter(f"{name}.weight").std().item() == pytest.approx(spread, rel=0.02)
    assert torch.equal(model.get_parameter("final_norm.weight").data, torch.ones(256, dtype=torch.float64))
    assert not any(p.any() for name, p in model.named_parameters() if name.endswith("bias"))


def test_first_weights_of_the_order_bert_are_not_scaled() -> None:
    model = _model(Shape(8, 256, 4, 64, 1000, "bert"))
    for name in ("embeddings.words", "layers.3.mlp.widen", "layers.3.mlp.output", "layers.3.attention.output"):
        assert model.get_parameter(f"{name}.weight").std().item() == pytest.approx(0.1, rel=0.02)
    assert torch.equal(model.get_parameter("embeddings.norm.weight").data, torch.ones(256, dtype=torch.float64))


def test_without_sentence_order_there_is_no_order_head(batch: MicroBatch) -> None:
    model = _model(shape_of(small_preset(Path("unused")).model), sentence_order=False)
    assert model.order_head is None
    assert _run(model, batch).order_logits is None
