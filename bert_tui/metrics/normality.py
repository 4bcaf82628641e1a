"""Whether an MLM loss is as it should be, in a sentence."""

from __future__ import annotations

import math

from bert_tui.metrics.reference import Reference, references
from bert_tui.metrics.series import Series

APART = 0.5
"""Nats by which losses may differ and still be called alike: single steps scatter by about 0.3."""
RISE = 0.5
"""Nats above its lowest from which a loss is said to rise."""
PLATEAU = (5.5, 7.5)
"""Where BERT's losses are known to stand still for a while."""
STILL = 0.03
"""A loss that falls by less than this share over half of the steps stands still."""
FEWEST = 20
"""Steps before there is anything to say."""


def verdict(losses: Series, reference: Reference | None) -> str:
    """Of the MLM loss over the whole run, beside a recorded curve of the same setting where there is one."""
    means = [(item.step, item.mean) for item in losses.bins if not item.is_gap]
    last = losses.last_step
    if last < FEWEST or len(means) < 2:
        return ""
    now = _mean(means, 0.95 * last, last)
    lowest = min(_mean(means, share / 20 * last, (share + 1) / 20 * last) for share in range(20))
    if now > lowest + RISE:
        return (
            f"The loss has risen by {now - lowest:.2f} from its lowest, {lowest:.2f}. That is not normal: "
            "look at the gradient norm, and lower the learning rate."
        )
    if reference is not None and (there := reference.loss_at(last)) is not None:
        return _beside(reference, last, now, there)
    return _alone(now, _mean(means, 0.45 * last, 0.55 * last))


def _beside(reference: Reference, step: int, now: float, there: float) -> str:
    first, last, level = reference.plateau
    told = f"{reference.name}'s recorded run had {there:.2f} at step {step:,}, this one has {now:.2f}: "
    if now > there + APART:
        return told + "higher than it should be. Compare data, vocabulary and learning rate."
    told += "ahead of it." if now < there - APART else "normal."
    if first <= step <= last:
        told += f" It too stood near {level:g} from step {first:,} to {last:,}."
    return told


def _alone(now: float, halfway: float) -> str:
    fallen = halfway - now
    if fallen >= STILL * halfway:
        return f"The loss falls, by {fallen:.2f} over the second half of the steps: normal."
    if PLATEAU[0] <= now <= PLATEAU[1]:
        known = references()[0]
        first, last, level = known.plateau
        return (
            f"The loss stands near {now:.1f}. A pause at 6 to 7 early on is normal for BERT (Megatron-LM issues 29 "
            f"and 86); {known.name}'s run stood near {level:g} from step {first:,} to {last:,}."
        )
    return f"The loss has levelled off near {now:.2f}."


def _mean(points: list[tuple[float, float]], low: float, high: float) -> float:
    """Of the values between two steps; infinite where there is none."""
    found = [value for step, value in points if low <= step <= high]
    return math.fsum(found) / len(found) if found else math.inf
