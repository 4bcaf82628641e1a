"""What a chart says beside its curves."""

from __future__ import annotations

import math

from bert_tui.metrics.chart_picture import ChartPicture, ChartWish, Kind
from bert_tui.metrics.sentences import count, duration

LETTERS: dict[Kind, str] = {"first": "a", "second": "b", "third": "c", "reference": "N"}
"""Stand on the curves of other runs, which colour alone would not tell apart."""
GAPS_NAMED = 3


def setting(wish: ChartWish) -> str:
    """How the chart is drawn, but for what the axis below it tells."""
    shown = "whole run" if wish.recent is None else f"last {wish.recent:,} steps"
    parts = ["zoomed" if wish.window else shown, "logarithmic" if wish.logarithmic else "", wish.smoothing.name]
    return ", ".join(part for part in parts if part)


def reading(picture: ChartPicture) -> str:
    """The exact values at the crosshair, or else at the last step."""
    found = picture.reading
    if found is None:
        return "no value yet"
    parts = [f"step {found.step:,}: {picture.wish.chart.title} {exact(found.value)}"]
    parts += [f"{LETTERS[kind]} {exact(value)}" for kind, value in found.others]
    if found.validation is not None:
        step, value = found.validation
        at = "" if step == found.step else f" (step {step:,})"
        parts.append(f"validation {exact(value)}{at}")
    if math.isfinite(found.tokens):
        parts.append(f"{count(found.tokens)} tokens")
    if math.isfinite(found.seconds):
        parts.append(f"after {duration(found.seconds)}")
    return "  ".join(parts)


def remarks(picture: ChartPicture) -> tuple[str, ...]:
    """What an operator should know of the curve."""
    told = []
    if picture.gaps:
        named = ", ".join(_steps(gap.first, gap.last) for gap in picture.gaps[-GAPS_NAMED:])
        more = f"{len(picture.gaps) - GAPS_NAMED} more, and " if len(picture.gaps) > GAPS_NAMED else ""
        told.append(f"! no finite number at {more}{named}")
    if picture.verdict:
        told.append(picture.verdict)
    if picture.no_reference:
        told.append(picture.no_reference)
    return tuple(told)


def exact(value: float) -> str:
    """With six digits that count."""
    return f"{value:.6g}" if math.isfinite(value) else "no finite number"


def _steps(first: int, last: int) -> str:
    return f"step {first:,}" if first == last else f"steps {first:,} to {last:,}"
