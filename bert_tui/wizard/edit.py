"""Changing one field of the preset from what was typed, with the fields that follow from it."""

from __future__ import annotations

from collections.abc import Callable

from bert_tui.advice import words
from bert_tui.presets import shipped_preset
from bert_tui.wizard.fields import ALL_KNOBS
from trainer.spec import preset_file
from trainer.spec.preset import Preset, contradictions, get, replace
from trainer.spec.problem import PresetError


def set_field(preset: Preset, field: str, text: str, size: str) -> Preset:
    """The preset with ``field`` (such as ``train.steps``) set to what was typed.

    Fields that only make sense in proportion move along, as the shipped preset ``size`` has them, unless they were set
    to something of their own. What the number of devices decides is not looked at.

    Raises:
        PresetError: the text does not fit the field, or the other fields.
    """
    changed = _set(preset, field, text, shipped_preset(size))
    if problems := contradictions(
        replace(changed, parallel__tensor=1, parallel__sequence=False, parallel__data="auto")
    ):
        raise PresetError(*problems)
    return changed


def shown(preset: Preset, field: str) -> str:
    """The value of a field as it is typed."""
    value = get(preset, field)
    return f"{value:g}" if isinstance(value, float) else str(value)


def problem_of(preset: Preset, field: str, text: str, size: str) -> str:
    """What is wrong with the text for this field and what to do, in sentences; empty where it fits."""
    try:
        set_field(preset, field, text, size)
    except PresetError as error:
        problem = error.problems[0]
        told = words.describe(problem)
        alone = problem.code.startswith("preset.")  # the page shows what was typed: the remedy is enough
        return told.remedy if alone else f"{told.what} {told.remedy}"
    return ""


def changes(preset: Preset, start: Preset, size: str) -> dict[str, str]:
    """The fields of the model page that differ from ``start``, with their values as typed. What only followed from
    another change is left out."""
    shipped, found = shipped_preset(size), {}
    for field in ALL_KNOBS:
        text = shown(preset, field)
        if text != shown(start, field):
            found[field] = text
            start = _set(start, field, text, shipped)
    return found


def _set(preset: Preset, field: str, text: str, shipped: Preset) -> Preset:
    changed = preset_file.override(preset, [f"{field}={text.strip() or repr('')}"])
    for follower, follow in FOLLOWERS.get(field, {}).items():
        if get(preset, follower) == follow(preset, shipped):
            changed = replace(changed, **{follower.replace(".", "__"): follow(changed, shipped)})
    return changed


Follow = Callable[[Preset, Preset], object]
"""What a field is, in a preset, in proportion to what it is in a shipped one."""


def _steps(preset: Preset) -> int:
    assert preset.train.steps is not None
    return preset.train.steps


def _warmup(preset: Preset, shipped: Preset) -> int:
    return min(_steps(preset) - 1, round(shipped.train.warmup * _steps(preset) / _steps(shipped)))


def _decay(preset: Preset, shipped: Preset) -> int | None:
    decay = shipped.train.decay
    return None if decay is None else max(1, round(decay * _steps(preset) / _steps(shipped)))


def _validation(preset: Preset, shipped: Preset) -> int:
    return max(1, min(shipped.train.eval_every, _steps(preset) // 5))


def _saving(preset: Preset, shipped: Preset) -> int:
    return max(1, min(shipped.checkpoint.every, _steps(preset) // 2))


def _lowest_rate(preset: Preset, shipped: Preset) -> float:
    return preset.train.learning_rate * (shipped.train.min_learning_rate / shipped.train.learning_rate)


def _heads(preset: Preset, shipped: Preset) -> int:
    """As many as make heads about as wide as the shipped ones, and divide the width."""
    hidden, shipped_hidden, shipped_heads = preset.model.hidden, shipped.model.hidden, shipped.model.heads
    assert hidden and shipped_hidden and shipped_heads
    wanted = max(1, round(hidden * shipped_heads / shipped_hidden))
    return _nearest_divisor(hidden, wanted)


def _rows_at_once(preset: Preset, shipped: Preset) -> int | str:
    """The most up to the shipped number that the rows of a step can be shared out to."""
    most = shipped.train.micro_batch
    if most == "auto":
        return most
    return largest_divisor(preset.train.global_batch, most)


FOLLOWERS: dict[str, dict[str, Follow]] = {
    "train.steps": {
        "train.warmup": _warmup, "train.decay": _decay, "train.eval_every": _validation, "checkpoint.every": _saving,
    },
    "train.learning_rate": {"train.min_learning_rate": _lowest_rate},
    "model.hidden": {"model.heads": _heads},
    "train.global_batch": {"train.micro_batch": _rows_at_once},
}  # fmt: skip
"""What moves along with a field, and how."""


def largest_divisor(number: int, most: int) -> int:
    """The largest divisor of ``number`` that is at most ``most``."""
    return next(size for size in range(min(number, most), 0, -1) if number % size == 0)


def _nearest_divisor(number: int, wanted: int) -> int:
    """The divisor of ``number`` nearest to ``wanted``; of two, the smaller."""
    return next(
        candidate
        for distance in range(number)
        for candidate in (wanted - distance, wanted + distance)
        if candidate > 0 and number % candidate == 0
    )
