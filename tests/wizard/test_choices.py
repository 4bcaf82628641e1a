from __future__ import annotations

import dataclasses

import pytest

from bert_tui.machine import Gpu, Machine
from bert_tui.plan import make_plan
from bert_tui.wizard import choices, defaults, edit, review
from bert_tui.wizard.answers import Answers
from trainer.spec.preset import contradictions
from trainer.spec.problem import PresetError
from trainer.spec.sizing import GIB


def machine(*, cores: int = 4, memory: int = 12, gpus: int = 0, busy: tuple[int, ...] = ()) -> Machine:
    """``memory`` in GiB."""
    return Machine(
        cores,
        memory * GIB,
        memory * GIB,
        tuple(
            Gpu(f"GPU-{i}", i, "NVIDIA A100", 80 * GIB, 79 * GIB, ("4711 python",) if i in busy else ())
            for i in range(gpus)
        ),
    )


def first(where: Machine, *, docker: bool = False, **variables: str) -> Answers:
    return defaults.first_answers(where, docker_usable=docker, environment=variables)


@pytest.mark.parametrize(
    ("where", "docker", "size", "launcher", "gpus", "tensor"),
    [
        (machine(), False, "bert-tiny", "local", "none", 2),
        (machine(cores=1), True, "bert-tiny", "local", "none", 1),
        (machine(gpus=8), False, "bert-tiny", "local", "none", 2),
        (machine(gpus=8), True, "bert-340m", "docker", "all", 1),
        (machine(gpus=2, busy=(0, 1)), True, "bert-tiny", "local", "none", 2),
        (machine(gpus=8, busy=(3,)), True, "bert-340m", "docker", ("GPU-0", "GPU-1", "GPU-2", "GPU-4"), 1),
    ],
)
def test_first_answers_suit_the_machine(
    where: Machine, docker: bool, size: str, launcher: str, gpus: object, tensor: int
) -> None:
    answers = first(where, docker=docker)
    launch = answers.preset.launch
    assert (answers.size, launch.launcher, launch.gpus) == (size, launcher, gpus)
    assert answers.preset.parallel.tensor == tensor


@pytest.mark.parametrize("size", ["bert-tiny", "bert-base", "bert-340m"])
@pytest.mark.parametrize("where", [machine(memory=64), machine(cores=1, memory=64), machine(gpus=8), machine(gpus=1)])
def test_what_the_defaults_lead_to_can_start(where: Machine, size: str) -> None:
    answers = defaults.with_source(defaults.with_size(first(where, docker=True), size, where), "sample", {})
    assert make_plan(answers.preset, answers.name, where).problems == ()


def test_what_can_be_chosen_can_start_and_what_cannot_has_a_reason() -> None:
    where = machine(gpus=6)
    answers = defaults.with_source(first(where, docker=True), "sample", {})
    preset = dataclasses.replace(answers.preset, launch=dataclasses.replace(answers.preset.launch, gpus="all"))
    for choice in choices.tensor_sizes(preset, where):
        parallel = dataclasses.replace(preset.parallel, tensor=choice.tensor)
        plan = make_plan(dataclasses.replace(preset, parallel=parallel), "trial", where)
        assert bool(plan.problems) == bool(choice.reason), choice


def test_a_model_that_does_not_fit_is_offered_with_the_reason() -> None:
    where = machine()
    answers = first(where, DATA_PATH="/d/text", VOCAB_FILE="/d/vocab.txt")
    offered = {choice.size: choice for choice in choices.sizes(answers, where)}
    assert offered["bert-tiny"].reason == ""
    assert offered["bert-20b"].reason == "3.0 free"
    assert offered["bert-20b"].parameters == 22_013_798_274


def test_sizes_are_fitted_to_the_cards() -> None:
    """Eight cards of 24 GB, which show a little less; 20B does not fit them at any layout."""
    cards = tuple(dataclasses.replace(gpu, memory_total=22 * GIB) for gpu in machine(gpus=8).gpus)
    where = dataclasses.replace(machine(gpus=8), gpus=cards)
    offered = {choice.size: choice for choice in choices.sizes(first(where, docker=True), where)}
    assert [size for size, choice in offered.items() if choice.reason] == ["bert-20b"]
    one = dataclasses.replace(where, gpus=(dataclasses.replace(cards[0], memory_total=8 * GIB),))
    small = defaults.with_size(first(one, docker=True), "bert-340m", one).preset
    assert make_plan(defaults.with_source(Answers(small, "", ""), "sample", {}).preset, "x", one).problems == ()
    assert small.train.micro_batch != 4


def test_one_gpu_shares_no_tokens() -> None:
    where = machine(gpus=1)
    preset = defaults.with_size(first(where, docker=True), "bert-20b", where).preset
    assert (preset.parallel.tensor, preset.parallel.sequence) == (1, False)


def test_another_size_keeps_files_folders_and_launcher() -> None:
    where = machine(gpus=8)
    answers = first(where, docker=True, DATA_PATH="/d/text", VOCAB_FILE="/d/vocab.txt", CHECKPOINT_PATH="/d/runs")
    other = defaults.with_size(answers, "bert-4b", where)
    assert other.preset.model.layers == 48
    assert (other.preset.data, other.preset.launch, other.preset.logs) == (
        answers.preset.data,
        answers.preset.launch,
        answers.preset.logs,
    )
    assert other.preset.checkpoint.path == "/d/runs"
    assert other.prefilled == ("CHECKPOINT_PATH", "VOCAB_FILE", "DATA_PATH")


@pytest.mark.parametrize("steps", [1, 2, 3, 20, 699, 700, 10**9])
@pytest.mark.parametrize("size", ["bert-tiny", "bert-340m"])
def test_any_number_of_steps_leaves_a_sound_schedule(steps: int, size: str) -> None:
    where = machine(gpus=8)
    preset = defaults.with_size(first(where), size, where).preset
    changed = edit.set_field(preset, "train.steps", str(steps), size)
    assert contradictions(changed) == []
    assert changed.train.warmup < steps
    assert changed.train.eval_every >= 1


@pytest.mark.parametrize("text", ["", "  ", "0", "-3", "1.5", "many", "1e", "'", "\n", "9" * 40, "true", "[1]", "1 2"])
def test_text_that_is_no_number_of_steps_is_refused_with_advice(text: str) -> None:
    preset = first(machine()).preset
    with pytest.raises(PresetError):
        edit.set_field(preset, "train.steps", text, "bert-tiny")
    assert edit.problem_of(preset, "train.steps", text, "bert-tiny").endswith(".")


def test_the_review_names_what_matters() -> None:
    where = machine(gpus=8)
    answers = defaults.with_source(first(where, docker=True, CHECKPOINT_PATH="/d/runs"), "sample", {})
    text = " ".join(review.sentences(make_plan(answers.preset, answers.name, where)))
    for fact in (
        "24 layers",
        "309 million",
        "1,000,000 steps",
        "/d/runs",
        "Each of 8 GPUs",
        "Docker",
        "0.0001",
        "GiB weights",
    ):
        assert fact in text
