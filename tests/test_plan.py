"""A preset resolved against a machine."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from bert_tui.fit import known_vocabulary
from bert_tui.forecast import roughly
from bert_tui.machine import Gpu, Machine
from bert_tui.plan import fill_from_variables, make_plan, preset_name
from bert_tui.presets import find_preset
from bert_tui.wizard import defaults
from bert_tui.wizard.review import in_words, micro_batch_words
from trainer.spec.preset import Preset, replace
from trainer.spec.preset_file import override, read_preset
from trainer.spec.problem import PresetError, Problem
from trainer.spec.records import MicroBatchChoice, to_json
from trainer.spec.run_directory import RunDirectory
from trainer.spec.sizing import BERT_VOCAB, GIB

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
    rows = plan.micro_batch * int(plan.preset.parallel.data) * plan.accumulation
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


@pytest.mark.parametrize(
    ("name", "gpus", "gib"), [("bert-340m", 1, 22), ("bert-4b", 8, 22), ("bert-20b", 8, 79), ("bert-20b", 16, 39)]
)
def test_shipped_presets_fit_the_machines_they_are_for(name: str, gpus: int, gib: int) -> None:
    """A GPU sold as 24, 80 or 40 GB shows a little less."""
    plan = make_plan(shipped(name), name, box(gpus, gib))
    assert plan.problems == ()
    assert plan.preset.parallel.recompute == "none"


def box(gpus: int, gib: int) -> Machine:
    several = tuple(Gpu(f"GPU-{index}", index, "some", gib * GIB, gib * GIB) for index in range(gpus))
    return dataclasses.replace(BOX, gpus=several)


def only(name: str, machine: Machine, **values: Any) -> Problem:
    (problem,) = make_plan(replace(shipped(name), **values), name, machine).problems
    return problem


def test_what_would_make_a_model_fit_is_said() -> None:
    problem = only("bert-20b", BOX, parallel__tensor=2, parallel__shard="none")
    assert (problem.code, problem.params["changes"]) == ("layout.memory", "parallel.shard=full")
    problem = only("bert-340m", box(1, 8), train__micro_batch=16)
    assert (problem.code, problem.params["changes"]) == ("layout.memory", "train.micro_batch=2")
    problem = only("bert-20b", box(8, 24))
    assert problem.code == "layout.too_large"


@pytest.mark.parametrize("name", ["bert-base", "bert-340m", "bert-4b", "bert-20b"])
@pytest.mark.parametrize(("gpus", "gib"), [(1, 4), (1, 8), (2, 16), (8, 16), (8, 40), (4, 80)])
def test_what_is_proposed_fits(name: str, gpus: int, gib: int) -> None:
    machine = box(gpus, gib)
    preset = defaults.with_possible_tensor(shipped(name), machine)
    for problem in make_plan(preset, name, machine).problems:
        if problem.code == "layout.memory":
            assert make_plan(override(preset, str(problem.params["changes"]).split()), name, machine).problems == ()


def test_tensor_parallel_must_use_the_gpus_exactly() -> None:
    preset = replace(shipped("bert-base"), parallel__tensor=3)
    assert "layout.devices" in [problem.code for problem in make_plan(preset, "x", BOX).problems]


def test_an_automatic_micro_batch_fits_and_divides() -> None:
    small = dataclasses.replace(BOX, gpus=tuple(dataclasses.replace(gpu, memory_total=12 * GIB) for gpu in GPUS[:1]))
    preset = replace(shipped("bert-340m"), train__micro_batch="auto")
    on_small, on_large = make_plan(preset, "x", small), make_plan(preset, "x", dataclasses.replace(BOX, gpus=GPUS[:1]))
    assert on_small.micro_batch < on_large.micro_batch == 32
    assert on_small.memory.total <= 12 * GIB


def test_the_plan_is_a_function_of_preset_and_machine() -> None:
    assert make_plan(shipped("bert-4b"), "x", BOX).as_json() == make_plan(shipped("bert-4b"), "x", BOX).as_json()


def test_the_time_is_guessed_on_a_cpu_and_a_very_long_run_is_a_caution() -> None:
    tiny = make_plan(shipped("bert-tiny"), "x", LAPTOP)
    assert tiny.seconds is not None
    assert 120 < tiny.seconds < 240  # measured on two cores: 2,000 steps of 83 ms
    assert tiny.cautions == ()
    large = make_plan(replace(shipped("bert-340m"), launch__gpus="none", train__micro_batch=1), "x", LAPTOP)
    assert [(caution.code, caution.value) for caution in large.cautions] == [("plan.long", "5 years")]
    assert large.problems == ()


def test_the_time_on_gpus_is_guessed_from_their_peak_where_it_is_known() -> None:
    on_eight = make_plan(shipped("bert-340m"), "x", BOX).seconds
    on_one = make_plan(shipped("bert-340m"), "x", dataclasses.replace(BOX, gpus=GPUS[:1])).seconds
    assert on_eight is not None and on_one is not None
    assert 3600 < on_eight < on_one < 8 * on_eight
    unknown = tuple(dataclasses.replace(gpu, name="Some GPU") for gpu in GPUS)
    assert make_plan(shipped("bert-340m"), "x", dataclasses.replace(BOX, gpus=unknown)).seconds is None


def test_a_learning_rate_that_nobody_trains_bert_with_is_a_caution() -> None:
    plan = make_plan(replace(shipped("bert-tiny"), train__learning_rate=5.0), "x", LAPTOP)
    assert [(caution.code, caution.where) for caution in plan.cautions] == [
        ("plan.learning_rate", "train.learning_rate")
    ]
    told = {sentence.about: sentence.caution for sentence in in_words(plan)}
    assert "0.001" in told["Training"] and not told["Time"]


def test_the_vocabulary_is_counted_where_it_can_be_read(tmp_path: Path) -> None:
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("[PAD]\r\n" + "piece\n" * 7999 + "\n")
    preset = replace(shipped("bert-base"), data__vocab_file=str(vocabulary))
    own, assumed = make_plan(preset, "x", BOX), make_plan(shipped("bert-base"), "x", BOX)
    assert (own.shape.vocab_size, assumed.shape.vocab_size) == (8000, BERT_VOCAB)
    assert assumed.parameters - own.parameters == (assumed.shape.padded_vocab - own.shape.padded_vocab) * (768 + 1)
    assert known_vocabulary(replace(preset, data__vocab_file=str(tmp_path))) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3, "a minute"),
        (70, "1 minute"),
        (3500, "1 hour"),
        (40 * 3600, "2 days"),
        (5e7, "2 years"),
        (1e12, "31,688 years"),
    ],
)
def test_guesses_have_one_unit(seconds: float, words: str) -> None:
    assert roughly(seconds) == words


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


def test_a_plan_tells_what_a_run_took_of_an_automatic_micro_batch(tmp_path: Path) -> None:
    plan = make_plan(replace(shipped("bert-tiny"), train__micro_batch="auto"), "x", LAPTOP)
    run = RunDirectory(tmp_path)
    assert "16 at once, 1 times a step, as planned; what fits" in micro_batch_words(plan, run.preset)
    run.attempt(1).path.mkdir(parents=True)
    run.attempt(1).micro_batch.write_text(to_json(MicroBatchChoice(8, 16, "", (), 1)))
    assert micro_batch_words(plan, run.preset).endswith("that run was planned with 16 and took 8.")
