"""Which layout is recommended, why, and what else can be chosen."""

from __future__ import annotations

import dataclasses

from bert_tui.machine import Machine
from bert_tui.plan import make_plan
from bert_tui.wizard import choices, defaults, layout
from tests.wizard.test_choices import first, machine
from trainer.spec.preset import Preset
from trainer.spec.sizing import GIB


def preset_of(size: str, where: Machine) -> Preset:
    answers = defaults.with_size(first(where, docker=True), size, where)
    return defaults.with_source(answers, "sample", {}).preset


def sxm(gpus: int, gib: int = 80) -> Machine:
    where = machine(gpus=gpus)
    cards = (dataclasses.replace(gpu, name="NVIDIA A100-SXM4-80GB", memory_total=gib * GIB) for gpu in where.gpus)
    return dataclasses.replace(where, gpus=tuple(cards))


def test_the_fastest_size_that_fits_is_recommended_with_its_reason() -> None:
    large = layout.recommended(choices.tensor_sizes(preset_of("bert-340m", sxm(8)), sxm(8)), "GPU")
    assert large is not None
    assert large.tensor == 1
    assert "times as fast as 2 (estimated)" in large.reason
    cards = sxm(8, 40)
    whole = layout.with_setting(preset_of("bert-4b", cards), "parallel.shard", "none")
    huge = layout.recommended(choices.tensor_sizes(whole, cards), "GPU")
    assert huge is not None
    assert (huge.tensor, huge.reason[:42]) == (4, "The smallest size at which the model fits:")
    too_small = sxm(1, 4)
    assert layout.recommended(choices.tensor_sizes(preset_of("bert-4b", too_small), too_small), "GPU") is None


def test_a_size_that_is_hardly_slower_but_smaller_is_preferred() -> None:
    sizes = [
        choices.TensorChoice(tensor, 8 // tensor, GIB, 80 * GIB, True, speed)
        for tensor, speed in ((1, 99.0), (2, 100.0), (4, 50.0))
    ]
    best = layout.recommended(sizes, "GPU")
    assert best is not None
    assert best.tensor == 1


def test_only_what_changes_something_can_be_chosen_and_all_of_it_can_start() -> None:
    where = sxm(8)
    preset = preset_of("bert-340m", where)
    offered = {setting.field: [value.value for value in setting.values] for setting in layout.settings(preset, where)}
    assert offered == {
        "parallel.shard": ["none", "full"],
        "parallel.sequence": ["false"],
        "parallel.recompute": ["none", "selective", "full"],
    }
    all_together = defaults.with_tensor(preset, 8)
    offered = {setting.field: [v.value for v in setting.values] for setting in layout.settings(all_together, where)}
    assert (offered["parallel.shard"], offered["parallel.sequence"]) == (["none"], ["false", "true"])
    for tensor in (1, 2, 8):
        start = defaults.with_tensor(preset, tensor)
        for setting in layout.settings(start, where):
            for value in setting.values:
                assert make_plan(layout.with_setting(start, setting.field, value.value), "x", where).problems == ()


def test_what_follows_is_said_in_words() -> None:
    where = sxm(8)
    plan = make_plan(defaults.with_tensor(preset_of("bert-340m", where), 2), "x", where)
    assert layout.in_words(plan, "GPU") == (
        "2 GPUs hold the model together; 4 such groups read their own rows (data parallel). "
        "Each works on 4 rows at once, 2 times a step."
    )
