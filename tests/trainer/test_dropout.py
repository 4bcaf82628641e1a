"""Dropout on a CPU: how much is dropped, what becomes of the rest, and that the backward pass drops the same."""

from __future__ import annotations

import math

import pytest
import torch

from trainer.attention import MASK, same_sample
from trainer.dropout import Draw, drop
from trainer.layers import Dropout
from trainer.random_streams import RandomStreams

SEGMENTS = torch.tensor([[1] * 5 + [2] * 7 + [0] * 4, [1] * 16])


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.013])
def test_as_many_elements_fall_as_asked_for_and_the_rest_makes_up_for_them(probability: float) -> None:
    torch.manual_seed(1)
    x = torch.ones(1001, 999, requires_grad=True)
    seen = drop(x, probability)
    dropped = seen == 0
    spread = math.sqrt(probability * (1 - probability) / x.numel())
    assert dropped.double().mean().item() == pytest.approx(probability, abs=4 * spread + 1 / (1 << 17))
    assert seen[~dropped].unique().tolist() == pytest.approx([1 / (1 - probability)], rel=2e-5)
    seen.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, seen)


def test_neighbours_fall_independently_and_never_twice_alike() -> None:
    torch.manual_seed(1)
    shape = torch.Size([1 << 20])
    draw = Draw(shape, 0.5)
    dropped = draw.kept(torch.float32) == 0
    assert draw.scale == 2
    for distance in (1, 2, 3, 4, 5, 8):
        both = (dropped[distance:] & dropped[:-distance]).double().mean().item()
        assert both == pytest.approx(0.25, abs=0.003)
    assert not torch.equal(dropped, Draw(shape, 0.5).kept(torch.float32) == 0)
    torch.manual_seed(1)
    assert torch.equal(dropped, Draw(shape, 0.5).kept(torch.float32) == 0)


def test_nothing_falls_outside_of_training() -> None:
    streams = RandomStreams(torch.device("cpu"), 1, data_rank=0, tensor_rank=0)
    x = torch.ones(100)
    assert Dropout(0.5, streams).eval()(x) is x
    assert Dropout(0.0, streams)(x) is x


def test_attention_drops_weights_after_the_softmax() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(32, 3, 8, dtype=torch.float64, requires_grad=True) for _ in range(3))
    q, k, v = (x.view(2, 16, 3, 8).transpose(1, 2) for x in (query, key, value))
    visible = same_sample(SEGMENTS)
    state = torch.get_rng_state()
    seen = MASK.attend(query, key, value, MASK.visible(SEGMENTS, query.device), 0.3)
    torch.set_rng_state(state)
    draw = Draw(torch.Size([2, 3, 16, 16]), 0.3)
    scores = (q @ k.transpose(2, 3) / math.sqrt(8)).masked_fill(~visible, -torch.inf)
    rows = (scores.softmax(3) * draw.kept(torch.float64) * draw.scale) @ v
    expected = rows.transpose(1, 2).reshape(32, 3, 8)
    assert torch.allclose(seen, expected, rtol=0, atol=1e-12)
    direction = torch.randn_like(expected)
    for ours, formula in zip(
        torch.autograd.grad((seen * direction).sum(), [query, key, value]),
        torch.autograd.grad((expected * direction).sum(), [query, key, value]),
        strict=True,
    ):
        assert torch.allclose(ours, formula, rtol=0, atol=1e-12)
