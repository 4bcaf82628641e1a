"""Learning rate, decay groups, clipping, and the guard against what is not finite."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trainer.optimizer import FP16_FIRST_SCALE, GuardedOptimizer, build_optimizer, learning_rate
from trainer.spec.preset import Train

TRAIN = Train(steps=1000, learning_rate=1.0, min_learning_rate=0.1, warmup=100, decay=900, clip=1.0)


@pytest.mark.parametrize(("step", "rate"), [(1, 0.01), (50, 0.5), (100, 1.0), (500, 0.55), (900, 0.1), (1000, 0.1)])
def test_learning_rate_rises_and_falls_in_straight_lines(step: int, rate: float) -> None:
    assert learning_rate(TRAIN, step) == pytest.approx(rate)


def test_without_warm_up_the_first_step_has_nearly_the_full_rate() -> None:
    train = Train(steps=10, learning_rate=1.0, min_learning_rate=0.0, warmup=0)
    assert learning_rate(train, 1) == pytest.approx(0.9)


def test_biases_and_norms_do_not_decay() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    decaying, others = build_optimizer(model, TRAIN).param_groups
    assert [tuple(p.shape) for p in decaying["params"]] == [(3, 3)]
    assert decaying["weight_decay"] == 0.01
    assert [tuple(p.shape) for p in others["params"]] == [(3,)] * 3
    assert others["weight_decay"] == 0


def _optimizer(*, fp16: bool) -> tuple[nn.Linear, GuardedOptimizer]:
    model = nn.Linear(2, 2, bias=False)
    return model, GuardedOptimizer(model, TRAIN, torch.device("cpu"), fp16=fp16)


def _update(model: nn.Linear, optimizer: GuardedOptimizer, gradient: float, loss: float = 1.0) -> list[float]:
    """One update with equal gradients; what became of it: skipped, bad in a row, scale."""
    model.weight.grad = torch.full((2, 2), gradient)
    norm = model.weight.grad.norm().double()
    verdict = optimizer.update(1, torch.tensor(loss), norm)
    return [float(verdict.skipped), float(verdict.bad_in_row), float(verdict.scale)]


def test_the_guarded_update_is_clipping_then_adamw() -> None:
    model, optimizer = _optimizer(fp16=False)
    twin = nn.Linear(2, 2, bias=False)
    twin.load_state_dict(model.state_dict())
    plain = build_optimizer(twin, TRAIN)
    for gradient in (4.0, 0.1, -2.0):
        _update(model, optimizer, gradient)
        twin.weight.grad = torch.full((2, 2), gradient)
        nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
        for group in plain.param_groups:
            group["lr"] = learning_rate(TRAIN, 1)
        plain.step()
    assert torch.allclose(model.weight, twin.weight, rtol=0, atol=1e-6)


def test_an_overflow_halves_the_scale_and_counts_only_at_its_floor() -> None:
    model, optimizer = _optimizer(fp16=True)
    before = model.weight.detach().clone()
    scale = FP16_FIRST_SCALE
    while scale > 1:
        assert _update(model, optimizer, float("inf")) == [1, 0, scale]
        scale /= 2
    assert _update(model, optimizer, float("inf")) == [1, 1, 1]
    assert _update(model, optimizer, float("inf")) == [1, 2, 1]
    assert torch.equal(model.weight, before)
    assert _update(model, optimizer, 1.0) == [0, 0, 1]
    assert not torch.equal(model.weight, before)


def test_a_loss_that_is_not_finite_counts_at_any_scale() -> None:
    model, optimizer = _optimizer(fp16=True)
    assert _update(model, optimizer, 1.0, loss=float("nan")) == [1, 1, FP16_FIRST_SCALE]


@pytest.mark.parametrize(("before", "now", "scale"), [(True, True, 8.0), (True, False, 1.0), (False, True, 65536.0)])
def test_a_loss_scale_is_of_use_only_to_fp16(before: bool, now: bool, scale: float) -> None:
    saved = _optimizer(fp16=before)[1].counters() | ({"scale": 8.0} if before else {})
    optimizer = _optimizer(fp16=now)[1]
    optimizer.restore_counters(saved | {"bad_in_row": 3.0})
    assert (float(optimizer.scale), float(optimizer.bad_in_row)) == (scale, 3.0)


def test_the_scale_doubles_after_a_thousand_good_steps() -> None:
    model, optimizer = _optimizer(fp16=True)
    for _ in range(1000):
        _update(model, optimizer, 1.0)
    assert _update(model, optimizer, 1.0)[2] == 2 * FP16_FIRST_SCALE
