"""The page about the layout: which tensor-parallel size is recommended, what follows from the one taken, what of that
can be changed, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bert_tui.machine import Machine
from bert_tui.plan import Plan, trial_plan
from bert_tui.wizard.choices import TensorChoice
from bert_tui.wizard.fields import LAYOUT_LABELS
from trainer.spec.memory import MIB
from trainer.spec.preset import Preset, contradictions, get, replace
from trainer.spec.sizing import GIB

WITHIN = 1.02
"""Speeds closer together than this are alike: the smaller size is recommended."""

SETTINGS = {
    "parallel.shard": {"none": "no", "full": "yes"},
    "parallel.sequence": {"false": "off", "true": "on"},
    "parallel.recompute": {"none": "none", "selective": "attention", "full": "all"},
}
"""What can be changed beside the tensor-parallel size, with words for each value, from fast to small."""


@dataclass(frozen=True)
class Recommendation:
    """One of the sizes, and why."""

    tensor: int
    reason: str


@dataclass(frozen=True)
class LayoutValue:
    """One value of a setting."""

    value: str
    title: str
    """With the memory that each device needs at it."""


@dataclass(frozen=True)
class LayoutSetting:
    """A setting with the values that are possible at the present tensor-parallel size; at least one."""

    field: str
    label: str
    values: tuple[LayoutValue, ...]
    value: str


def recommended(sizes: Sequence[TensorChoice], unit: str) -> Recommendation | None:
    """The fastest size that fits, the smallest of those that are alike; None where none fits. ``unit`` is "GPU" or
    "process"."""
    possible = [size for size in sizes if not size.reason]
    if not possible:
        return None
    speeds = [size.tokens_per_second or 0.0 for size in possible]
    best = next(size for size, speed in zip(possible, speeds, strict=True) if speed * WITHIN >= max(speeds))
    return Recommendation(best.tensor, _why(best, possible, unit))


def _why(best: TensorChoice, possible: Sequence[TensorChoice], unit: str) -> str:
    if len(possible) == 1:
        return "No other size is possible here."
    if best.tokens_per_second is None:
        return "The smallest that fits is the fastest as a rule; nothing is known of the speed of these devices."
    other = next((size for size in possible if size.tensor > best.tensor), possible[0])
    times = best.tokens_per_second / (other.tokens_per_second or best.tokens_per_second)
    known = f"measured here on {best.measured.date}" if best.measured and other.measured else "estimated"
    faster = f"{times:.1f} times as fast as {other.tensor}" if times > 1.05 else f"as fast as {other.tensor}, or faster"
    faster += f" ({known})"
    if best.tensor == 1:
        return f"No {unit} waits for another within a layer: {faster}."
    if best is possible[0]:
        return f"The smallest size at which the model fits: {faster}."
    return f"The fastest that fits: {faster}."


def settings(preset: Preset, machine: Machine) -> list[LayoutSetting]:
    """Sharding, sequence parallel and recomputation, each with the memory it leads to."""
    return [setting_of(preset, machine, field) for field in SETTINGS]


def setting_of(preset: Preset, machine: Machine, field: str) -> LayoutSetting:
    """One of :data:`SETTINGS` with what can be chosen."""
    titles = SETTINGS[field]
    present = as_text(get(preset, field))
    values = []
    for value, title in titles.items():
        plan = trial_plan(with_setting(preset, field, value), machine)
        if value == present or (not contradictions(plan.preset) and _matters(field, plan)):
            values.append(LayoutValue(value, f"{title} {_size(plan.memory.total)}"))
    if len(values) == 1:
        values = [LayoutValue(present, f"{titles[present]}: {WHY_ONE[field]}")]
    return LayoutSetting(field, LAYOUT_LABELS[field], tuple(values), present)


WHY_ONE = {
    "parallel.shard": "one group has nobody to share with",
    "parallel.sequence": "needs a size above 1 that cuts rows evenly",
    "parallel.recompute": "",
}
"""Why there is nothing to choose, where there is not."""


def with_setting(preset: Preset, field: str, value: str) -> Preset:
    """The preset with one of :data:`SETTINGS` changed to one of its values."""
    return replace(preset, **{field.replace(".", "__"): value == "true" if value in ("true", "false") else value})


def _size(size: int) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / MIB:.0f} MiB"


def as_text(value: object) -> str:
    """A value as :data:`SETTINGS` names it."""
    return str(value).lower()


def _matters(field: str, plan: Plan) -> bool:
    """Whether a value changes anything: nothing is shared out among one group."""
    return field != "parallel.shard" or plan.layout.data > 1


def in_words(plan: Plan, unit: str) -> str:
    """What follows from the size taken."""
    tensor, data = plan.layout.tensor, plan.layout.data
    units = f"{unit}s" if unit == "GPU" else f"{unit}es"
    alone = f"Each {unit} holds the model" if tensor == 1 else f"{tensor} {units} hold the model together"
    groups = "" if data == 1 else f"; {data} such groups read their own rows (data parallel)"
    rounds = "" if plan.accumulation == 1 else f", {plan.accumulation} times a step"
    return f"{alone}{groups}. Each works on {plan.micro_batch} rows at once{rounds}."
