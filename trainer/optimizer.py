"""AdamW, its learning rate, and the guard against gradients that are not finite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainer.spec.preset import Train

FP16_FIRST_SCALE = 2.0**16
FP16_GROWTH_INTERVAL = 1000
"""Good steps in a row after which the loss scale is doubled."""
CLIP_GUARD = 1e-6
"""Megatron's: added to the norm before dividing by it."""


def learning_rate(train: Train, step: int) -> float:
    """Linear warm-up, then linear decay (Megatron-LM's ``OptimizerParamScheduler``, decay style "linear").

    Args:
        train: the settings.
        step: counted from 1.
    """
    assert train.steps is not None
    highest, lowest = train.learning_rate, train.min_learning_rate
    decay = train.decay or train.steps
    if step <= train.warmup:
        return highest * step / train.warmup
    if step >= decay:
        return lowest
    return lowest + (highest - lowest) * (1 - (step - train.warmup) / (decay - train.warmup))


def build_optimizer(model: nn.Module, train: Train) -> torch.optim.AdamW:
    """AdamW without decay on biases and norms, its state allocated and zero."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": train.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    betas = (train.adam_beta1, train.adam_beta2)
    optimizer = torch.optim.AdamW(groups, train.learning_rate, betas, train.adam_epsilon, fused=True)
    for parameter in parameters:
        optimizer.state[parameter] = {
            "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    return optimizer


@dataclass(frozen=True)
class Verdict:
    """What became of one update; all on the device, so that nobody waits."""

    skipped: Tensor
    """1 where loss or gradients were not finite, else 0."""
    bad_in_row: Tensor
    """Such steps in a row that no smaller loss scale could have helped."""
    scale: Tensor
    """The loss scale this step was run with."""


class GuardedOptimizer:
    """Clips, and leaves out the update where loss or gradients are not finite.

    In fp16 the loss is scaled so that small gradients do not vanish; the scale halves when they overflow and doubles
    after a thousand good steps. Everything is decided on the device: AdamW's fused kernel takes the divisor of the
    gradients and the flag that says "leave out".
    """

    def __init__(self, model: nn.Module, train: Train, device: torch.device, *, fp16: bool) -> None:
        self.adamw = build_optimizer(model, train)
        self._train = train
        self._dynamic = fp16
        self.scale = torch.tensor(FP16_FIRST_SCALE if fp16 else 1.0, device=device)
        self.good_in_row = torch.zeros((), device=device)
        self.bad_in_row = torch.zeros((), device=device)

    @torch.no_grad()
    def update(self, step: int, loss: Tensor, scaled_norm: Tensor) -> Verdict:
        """One update from the gradients there are.

        Args:
            step: counted from 1; decides the learning rate. Steps left out count.
            loss: of the global batch, not scaled.
            scaled_norm: of the gradients of the scaled loss.
        """
        for group in self.adamw.param_groups:
            group["lr"] = learning_rate(self._train, step)
        scale = self.scale.clone()
        bad = ~(loss.isfinite() & scaled_norm.isfinite())
        excess = ((scaled_norm / scale + CLIP_GUARD) / self._train.clip).clamp(min=1.0)
        # Read by the fused kernel, as torch.amp.GradScaler hands them over.
        self.adamw.grad_scale = (scale * excess).to(torch.float32)  # type: ignore[attr-defined]
        self.adamw.found_inf = bad.to(torch.float32)  # type: ignore[attr-defined]
        self.adamw.step()
        self._judge(bad, loss)
        return Verdict(bad, self.bad_in_row.clone(), scale)

    def _judge(self, bad: Tensor, loss: Tensor) -> None:
        hopeless = bad & ((self.scale <= 1.0) | ~loss.isfinite())
        self.bad_in_row.copy_(torch.where(bad, self.bad_in_row + hopeless, 0))
        if self._dynamic:
            good = torch.where(bad, 0, self.good_in_row + 1)
            grown = torch.where(good >= FP16_GROWTH_INTERVAL, self.scale * 2, self.scale)
            self.scale.copy_(torch.where(bad, (self.scale / 2).clamp(min=1.0), grown))
            self.good_in_row.copy_(torch.where(good >= FP16_GROWTH_INTERVAL, 0, good))

    def counters(self) -> dict[str, float]:
        """What a checkpoint holds of the guard; waits for the device."""
        numbers = {name: float(getattr(self, name)) for name in ("scale", "good_in_row", "bad_in_row")}
        return {"fp16": self._dynamic, **numbers}

    def restore_counters(self, saved: Mapping[str, float]) -> None:
        """Inverse of :meth:`counters`. The loss scale of a run in fp16 says nothing to one in bf16 or fp32, nor the
        other way round: it then stays as it is at the start."""
        self.bad_in_row.fill_(saved["bad_in_row"])
        if saved["fp16"] == self._dynamic:
            self.scale.fill_(saved["scale"])
            self.good_in_row.fill_(saved["good_in_row"])
