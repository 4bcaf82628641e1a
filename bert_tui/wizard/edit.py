"""Changing one field of the preset from what was typed, with the fields that follow from it."""

from __future__ import annotations

from bert_tui import presets
from bert_tui.advice import words
from trainer.spec import preset_file
from trainer.spec.preset import Preset, get, replace
from trainer.spec.problem import PresetError


def set_field(preset: Preset, field: str, text: str, size: str) -> Preset:
    """The preset with ``field`` (such as ``train.steps``) set to what was typed.

    Lengths and rates that only make sense in proportion move along, as the shipped preset ``size`` has them.

    Raises:
        PresetError: the text does not fit the field.
    """
    changed = preset_file.override(preset, [f"{field}={text.strip() or repr('')}"])
    shipped = presets.shipped_preset(size)
    if field == "train.steps":
        return _follow_steps(changed, shipped)
    if field == "train.learning_rate":
        share = shipped.train.min_learning_rate / shipped.train.learning_rate
        return replace(changed, train__min_learning_rate=changed.train.learning_rate * share)
    return changed


def shown(preset: Preset, field: str) -> str:
    """The value of a field as it is typed."""
    value = get(preset, field)
    return f"{value:g}" if isinstance(value, float) else str(value)


def problem_of(preset: Preset, field: str, text: str, size: str) -> str:
    """What is wrong with the text for this field and what to do, in a sentence; empty where it fits."""
    try:
        set_field(preset, field, text, size)
    except PresetError as error:
        return words.describe(error.problems[0]).remedy
    return ""


def _follow_steps(preset: Preset, shipped: Preset) -> Preset:
    steps, whole = preset.train.steps, shipped.train.steps
    assert steps is not None
    assert whole is not None
    decay = shipped.train.decay
    return replace(
        preset,
        train__warmup=min(steps - 1, round(shipped.train.warmup * steps / whole)),
        train__decay=None if decay is None else max(1, round(decay * steps / whole)),
        train__eval_every=max(1, min(shipped.train.eval_every, steps // 5)),
        checkpoint__every=max(1, min(shipped.checkpoint.every, steps // 2)),
    )
