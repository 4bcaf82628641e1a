"""Every layout trains the same model: promise 19, and what ranks must hold alike."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainer.layouts import COMPILED, ONE, name_of
from tests.trainer.layouts import LAYOUTS as MANY
from tests.trainer.small_run import open_reader, small_preset, torchrun, write_dataset
from trainer.spec.sizing import Layout

LAYOUTS = [name_of(layout) for layout in MANY]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What 1, 2 and 4 ranks made of the same data."""
    folder = tmp_path_factory.mktemp("layouts")
    write_dataset(folder)
    open_reader(folder, small_preset(folder))
    for ranks in (1, 2, 4):
        done = torchrun(ranks, "tests.trainer.layouts", folder)
        assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def facts(results: Path) -> dict[str, Any]:
    """What the ranks said of each other, by layout."""
    return {k: v for n in (1, 2, 4) for k, v in json.loads((results / f"{n}-facts.json").read_text()).items()}


@pytest.mark.parametrize("kind", ["fp64", "bert-fp64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_float64_equals_one_process(results: Path, layout: str, kind: str) -> None:
    one, many = torch.load(results / f"t1-d1-{kind}.pt"), torch.load(results / f"{layout}-{kind}.pt")
    for name in ("lm", "sop", "norm"):
        assert many[name] == pytest.approx(one[name], rel=1e-12, abs=1e-12)
    for tensors in ("gradients", "weights"):
        for name, expected in one[tensors].items():
            assert torch.allclose(many[tensors][name], expected, rtol=0, atol=1e-12), (tensors, name)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_float32_is_within_rounding(results: Path, layout: str) -> None:
    one, many = torch.load(results / "t1-d1-fp32.pt"), torch.load(results / f"{layout}-fp32.pt")
    for name in ("lm", "sop"):
        assert many[name] == pytest.approx(one[name], rel=0, abs=2e-6)
    assert many["norm"] == pytest.approx(one["norm"], rel=1e-6)
    for name, expected in one["gradients"].items():
        assert (many["gradients"][name] - expected).norm() <= 1e-5 * expected.norm(), name
    for name, expected in one["weights"].items():
        assert (many["weights"][name] - expected).abs().max() <= 5e-5, name


def test_clipping_was_at_work(results: Path) -> None:
    assert max(torch.load(results / "t1-d1-fp64.pt")["norm"]) > 0.5


@pytest.mark.parametrize("layout", [name_of(ONE), *LAYOUTS])
def test_sliced_loss_is_cross_entropy_over_the_real_vocabulary(facts: dict[str, Any], layout: str) -> None:
    loss, gradient, correct = facts[layout]["word loss"]
    assert loss <= 1e-13
    assert gradient <= 1e-13
    assert correct == 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_collectives_do_the_same_under_their_older_names(facts: dict[str, Any], layout: str) -> None:
    assert facts[layout]["old names"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_dropout_streams(facts: dict[str, Any], layout: str) -> None:
    tensor = int(layout[1])
    numbers = facts[layout]["streams"]
    for rank, (before, inside, after) in enumerate(numbers):
        first_of_group = numbers[rank - rank % tensor]
        assert (before, after) == (first_of_group[0], first_of_group[2])
        assert before != inside != after
    assert len({inside for _, inside, _ in numbers}) == len(numbers)
    assert len({before for before, _, _ in numbers}) == len(numbers) // tensor


@pytest.mark.parametrize("layout", MANY, ids=LAYOUTS)
def test_dropout_between_blocks(facts: dict[str, Any], layout: Layout) -> None:
    patterns = facts[name_of(layout)]["dropped"]
    for first in range(0, layout.ranks, layout.tensor):
        different = {tuple(pattern) for pattern in patterns[first : first + layout.tensor]}
        assert len(different) == (layout.tensor if layout.sequence else 1)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_replicas_stay_equal_to_the_bit_with_dropout(facts: dict[str, Any], layout: str) -> None:
    assert facts[layout]["replicas"] == 0


@pytest.mark.parametrize("layout", [name_of(ONE), *LAYOUTS])
def test_a_gradient_that_is_not_finite_on_one_rank_is_skipped_on_all(facts: dict[str, Any], layout: str) -> None:
    for steps in facts[layout]["not finite"]:
        assert steps == [[True, 1, False], [False, 0, True]]


@pytest.mark.parametrize("layout", [name_of(ONE), *LAYOUTS])
def test_weights_to_begin_with_arrive_whole(facts: dict[str, Any], layout: str) -> None:
    assert facts[layout]["begun"]


@pytest.mark.parametrize("layout", [name_of(ONE), *LAYOUTS])
def test_every_parameter_is_a_dtensor(facts: dict[str, Any], layout: str) -> None:
    assert facts[layout]["plain parameters"] == 0


@pytest.mark.parametrize("layout", [name_of(ONE), *LAYOUTS])
def test_recomputation_changes_no_bit(facts: dict[str, Any], layout: str) -> None:
    assert facts[layout]["recompute"] == []


@pytest.mark.parametrize("layout", [name_of(ONE), *LAYOUTS])
def test_attention_over_packed_rows_equals_the_mask(facts: dict[str, Any], layout: str) -> None:
    kernel, apart, recomputed = facts[layout]["flash"]
    assert kernel == "flash"
    assert apart <= 1e-12
    assert recomputed == []


@pytest.mark.parametrize("layout", COMPILED, ids=name_of)
def test_compiled_layers_are_within_rounding(facts: dict[str, Any], layout: Layout) -> None:
    seen = facts[name_of(layout)]["compiled"]
    assert seen["graphs"] > 0
    assert seen["loss"] <= 2e-6
    assert seen["weight"] <= 5e-5


def test_recomputation_keeps_less(facts: dict[str, Any]) -> None:
    none, selective, full = facts["kept"]
    assert full < selective / 2 < none / 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bf16_is_near(results: Path, facts: dict[str, Any], layout: str) -> None:
    one = torch.load(results / "t1-d1-fp32.pt")["lm"][:2]
    assert facts[layout]["bf16"] == pytest.approx(one, rel=0, abs=0.02)


@pytest.mark.parametrize("layout", MANY, ids=LAYOUTS)
def test_sharded_ranks_hold_their_part_only(facts: dict[str, Any], layout: Layout) -> None:
    shares = facts[name_of(layout)]["held"]
    if layout.shard == "none":
        assert min(shares) >= 1 / layout.tensor
    else:
        whole = facts[name_of(replace(layout, shard="none", sequence=False))]["held"] if layout.tensor > 1 else [1.0]
        assert sum(shares) == pytest.approx(layout.tensor * sum(whole) / len(whole))
        assert max(shares) < 1.1 * min(shares)


@pytest.mark.parametrize("layout", [name_of(ONE), *LAYOUTS])
def test_validation_reads_every_row_once(facts: dict[str, Any], layout: str) -> None:
    assert facts[layout]["validated rows"] == list(range(11))


@pytest.mark.parametrize("layout", [name_of(ONE), *LAYOUTS])
def test_checkpoints_can_be_read_at_every_layout_and_precision(facts: dict[str, Any], layout: str) -> None:
    changed = facts[layout]["checkpoints"]
    assert changed.keys() >= {"t1-d1", layout, "fp32"}
    assert {saved: names for saved, names in changed.items() if names} == {}


@pytest.mark.parametrize("layout", [name_of(ONE), *LAYOUTS])
def test_validation_is_the_same_everywhere(facts: dict[str, Any], layout: str) -> None:
    (alone,) = facts["t1-d1"]["validation"]
    assert alone["perplexity"] == pytest.approx(math.exp(alone["lm_loss"]))
    assert 0 <= alone["masked_accuracy"] < 1
    assert 0 < alone["sop_accuracy"] < 1
    for seen in facts[layout]["validation"]:
        assert seen == pytest.approx(alone, rel=1e-12)


def test_micro_batches_change_nothing(facts: dict[str, Any]) -> None:
    whole, *parts = facts["micro batches"]
    assert parts == pytest.approx([whole] * len(parts), rel=1e-12)


def test_one_batch_can_be_learned_by_heart(facts: dict[str, Any]) -> None:
    before, after = facts["overfit"]
    assert before > 4.5
    assert after < 0.05
