"""A preset resolved against a machine."""

import dataclasses
from pathlib import Path

import pytest

from bert_tui.machine import Gpu, Machine
from bert_tui.plan import fill_from_variables, make_plan, preset_name
from bert_tui.presets import find_preset
from trainer.spec.preset import Preset, replace
from trainer.spec.preset_file import read_preset
from trainer.spec.problem import PresetError
from trainer.spec.sizing import GIB

GPUS = tuple(Gpu(f"GPU-{index}", index, "H100", 80 * GIB, 79 * GIB) for index in range(8))
BOX = Machine(cores=64, memory_total=1000 * GIB, memory_available=900 * GIB, gpus=GPUS, driver="580.65.06")
LAPTOP = Machine(cores=2, memory_total=16 * GIB, memory_available=12 * GIB)


def shipped(name: str) -> Preset:
    preset = read_preset(find_preset(name), find_preset)
    if preset.data.source == "sample":
        return preset
    return replace(
        preset,
        checkpoint__path="/c",
        logs__tensorboard_path="/t",
        data__data_path=("/d/x_text_sentence",),
        data__vocab_file="/d/v.txt",
    )


@pytest.mark.parametrize("name", ["bert-tiny", "bert-base", "bert-340m", "bert-4b", "bert-20b"])
def test_shipped_presets_are_sound_on_eight_80_gb_gpus(name: str) -> None:
    plan = make_plan(shipped(name), name, BOX)
    assert plan.problems == ()
    assert plan.ranks == (2 if name == "bert-tiny" else 8)
    assert plan.ranks == plan.preset.parallel.tensor * int(plan.preset.parallel.data)
    rows = int(plan.preset.train.micro_batch) * int(plan.preset.parallel.data) * plan.accumulation
    assert rows == plan.preset.train.global_batch


def test_open_fields_are_all_named() -> None:
    preset = read_preset(find_preset("bert-340m"), find_preset)
    with pytest.raises(PresetError) as refused:
        make_plan(preset, "bert-340m", BOX)
    assert {problem.where for problem in refused.value.problems} == {
        "data.data_path",
        "data.vocab_file",
        "checkpoint.path",
        "logs.tensorboard_path",
    }


def test_gpus_that_are_not_there_are_refused() -> None:
    plan = make_plan(shipped("bert-340m"), "x", LAPTOP)
    assert [problem.code for problem in plan.problems] == ["gpu.none"]
    named = replace(shipped("bert-340m"), launch__gpus=("GPU-0", "GPU-99"))
    plan = make_plan(named, "x", BOX)
    assert ("gpu.absent", "GPU-99") in [(problem.code, problem.value) for problem in plan.problems]


def test_a_model_too_large_for_its_gpus_is_refused() -> None:
    preset = replace(shipped("bert-20b"), parallel__tensor=2)
    assert "layout.memory" in [problem.code for problem in make_plan(preset, "x", BOX).problems]


def test_tensor_parallel_must_use_the_gpus_exactly() -> None:
    preset = replace(shipped("bert-base"), parallel__tensor=3)
    assert "layout.devices" in [problem.code for problem in make_plan(preset, "x", BOX).problems]


def test_an_automatic_micro_batch_fits_and_divides() -> None:
    small = dataclasses.replace(BOX, gpus=tuple(dataclasses.replace(gpu, memory_total=12 * GIB) for gpu in GPUS[:1]))
    preset = replace(shipped("bert-340m"), train__micro_batch="auto")
    on_small, on_large = make_plan(preset, "x", small), make_plan(preset, "x", dataclasses.replace(BOX, gpus=GPUS[:1]))
    assert int(on_small.preset.train.micro_batch) < int(on_large.preset.train.micro_batch) == 32
    assert on_small.memory.total <= 12 * GIB


def test_the_plan_is_a_function_of_preset_and_machine() -> None:
    assert make_plan(shipped("bert-4b"), "x", BOX).as_json() == make_plan(shipped("bert-4b"), "x", BOX).as_json()


def test_paths_are_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RUNS", "runs")
    preset = replace(shipped("bert-tiny"), checkpoint__path="~/$RUNS")
    assert make_plan(preset, "x", LAPTOP).preset.checkpoint.path == f"{tmp_path}/runs"


def test_the_original_variables_fill_what_is_open() -> None:
    preset = read_preset(find_preset("bert-340m"), find_preset)
    filled, used = fill_from_variables(preset, {"CHECKPOINT_PATH": "/c", "DATA_PATH": "/d/x", "VOCAB_FILE": " "})
    assert (filled.checkpoint.path, filled.data.data_path, filled.data.vocab_file) == ("/c", ("/d/x",), None)
    assert used == ["CHECKPOINT_PATH", "DATA_PATH"]
    tiny, used = fill_from_variables(shipped("bert-tiny"), {"DATA_PATH": "/d/x"})
    assert (tiny.data.data_path, used) == ((), [])


def test_names_fit_a_container() -> None:
    assert preset_name(Path("/x/My Preset (2).toml")) == "my-preset--2"
    assert preset_name(Path("/x/漢字.toml")) == "preset"
