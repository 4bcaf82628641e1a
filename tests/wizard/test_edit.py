"""The knobs of the model page: what follows from what is typed, and what a size was changed to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert_tui.presets import shipped_preset
from bert_tui.wizard import choices, defaults, edit
from bert_tui.wizard.fields import ALL_KNOBS
from tests.wizard.test_choices import first, machine
from trainer.spec.preset import Preset, contradictions
from trainer.spec.problem import PresetError

BASE = shipped_preset("bert-base")


def changed(preset: Preset, *typed: tuple[str, str]) -> Preset:
    for field, text in typed:
        preset = edit.set_field(preset, field, text, "bert-base")
    return preset


@given(st.integers(1, 100_000))
def test_any_width_has_heads_that_divide_it(hidden: int) -> None:
    preset = changed(BASE, ("model.hidden", str(hidden)))
    assert contradictions(preset) == []
    if hidden % 64 == 0:
        assert preset.model.heads == hidden // 64


def test_what_was_set_by_hand_stays_where_it_still_fits() -> None:
    assert changed(BASE, ("train.warmup", "50"), ("train.steps", "200000")).train.warmup == 50
    assert changed(BASE, ("train.steps", "200000")).train.warmup == 1980
    assert changed(BASE, ("train.min_learning_rate", "0"), ("train.learning_rate", "5e-4")).train.min_learning_rate == 0
    assert changed(BASE, ("train.global_batch", "6")).train.micro_batch == 3
    with pytest.raises(PresetError, match="heads"):
        changed(BASE, ("model.heads", "6"), ("model.hidden", "640"))


@pytest.mark.parametrize(
    ("field", "text", "reason"),
    [
        ("model.heads", "7", "768 cannot be shared by 7"),
        ("train.micro_batch", "5", "cannot be split into micro batches of 5"),
        ("train.min_learning_rate", "1", "above the learning rate"),
        ("train.warmup", "1000000", "does not end before"),
        ("model.layers", "", "whole number"),
        ("model.dropout", "2", "at most 0.9"),
    ],
)
def test_what_does_not_fit_is_told_with_the_reason(field: str, text: str, reason: str) -> None:
    assert reason in edit.problem_of(BASE, field, text, "bert-base")


@given(st.sampled_from(sorted(ALL_KNOBS)), st.text(max_size=12))
def test_nothing_typed_breaks_a_knob(field: str, text: str) -> None:
    told = edit.problem_of(BASE, field, text, "bert-base")
    assert told == "" or told.endswith(".")


def test_a_changed_size_says_what_was_changed_and_can_be_set_back() -> None:
    where = machine(gpus=8)
    answers = defaults.with_size(first(where, docker=True), "bert-base", where)
    assert choices.changes_in_words(answers, where) == ""
    preset = changed(answers.preset, ("model.layers", "6"), ("model.hidden", "512"), ("train.steps", "5000"))
    other = answers.with_preset(preset)
    assert choices.changes_in_words(other, where) == "bert-base, changed: steps 5000, layers 6, width 512"
    assert defaults.with_size(other, "bert-base", where) == answers
