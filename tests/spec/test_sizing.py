"""Counts that can be made by hand, and how memory answers to a layout."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trainer.spec.memory import FP32, Work, memory_per_rank
from trainer.spec.sizing import Layout, Shape, parameter_count, parameters_per_rank, recompute_flops, step_flops

SMALL = Shape(layers=2, hidden=8, heads=2, sequence_length=16, vocab_size=100)
LARGE = Shape(layers=24, hidden=1024, heads=16, sequence_length=512, vocab_size=30522)


def test_parameters_of_a_small_model_counted_one_by_one() -> None:
    norm = 8 + 8
    layer = norm + (8 * 24 + 24) + (8 * 8 + 8) + norm + (8 * 32 + 32) + (32 * 8 + 8)
    embeddings = (128 + 16 + 2) * 8
    heads = (8 * 8 + 8) + norm + 128 + (8 * 8 + 8) + (8 * 2 + 2)
    assert parameter_count(SMALL) == embeddings + 2 * layer + norm + heads
    assert parameters_per_rank(SMALL, 1) == parameter_count(SMALL)
    cut = 2 * (8 * 24 + 24 + 8 * 8 + 8 * 32 + 32 + 32 * 8) + 128 * 8 + 128
    assert parameters_per_rank(SMALL, 2) == parameter_count(SMALL) - cut // 2


def test_operations_of_a_small_step_counted_one_by_one() -> None:
    products = 2 * (8 * 24 + 8 * 8 + 8 * 32 + 32 * 8)
    attention = 2 * (16 * 8 + 16 * 8)  # scores over all 16 tokens, then the values they weigh
    head = 2 * (8 * 8 + 8 * 128)
    tokens = 3 * 16
    assert step_flops(SMALL, 3, 0.25) == 3 * tokens * (2 * (products + attention) + 0.25 * head)
    assert recompute_flops(SMALL, 3, "full") == tokens * 2 * (products + attention)
    assert recompute_flops(SMALL, 3, "selective") == tokens * 2 * attention
    assert recompute_flops(SMALL, 3, "none") == 0


def test_one_sequence_of_bert_large_takes_a_teraflop() -> None:
    assert step_flops(LARGE, 1, 0.15) == pytest.approx(1.02e12, rel=0.01)


def test_memory_of_the_state_is_exact() -> None:
    memory = memory_per_rank(LARGE, Layout(), Work(1, accumulation=2, precision="fp32"))
    table = 30592 * 1024 * FP32
    count = parameter_count(LARGE)
    assert (memory.weights, memory.optimizer) == (4 * count, 8 * count)
    assert memory.gradients == 4 * count + table


@pytest.mark.parametrize(
    "saving",
    [
        Layout(tensor=4, data=2, sequence=True),
        Layout(tensor=4, data=2, shard="full"),
        Layout(tensor=4, data=2, recompute="full"),
        Layout(tensor=8, data=2),
    ],
    ids=str,
)
def test_what_should_save_memory_does(saving: Layout) -> None:
    work = Work(8, accumulation=2)
    assert memory_per_rank(LARGE, saving, work).total < memory_per_rank(LARGE, Layout(4, 2), work).total


def test_parts_add_up_and_grow_with_the_micro_batch() -> None:
    work = Work(4, accumulation=4)
    small, large = (memory_per_rank(LARGE, Layout(2, 2), replace(work, micro_batch=rows)) for rows in (4, 8))
    parts = ("weights", "gradients", "optimizer", "activations", "logits", "exchange", "margin")
    assert sum(getattr(small, part) for part in parts) == small.total
    assert large.activations == pytest.approx(2 * small.activations)
    assert large.margin > small.margin
