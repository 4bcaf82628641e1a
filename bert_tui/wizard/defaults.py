"""The first answers: what a novice gets who only presses Enter."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace as replace_fields
from typing import Literal

from bert_tui import fit, plan, presets
from bert_tui.machine import Machine
from bert_tui.wizard.answers import Answers
from bert_tui.wizard.edit import largest_divisor
from trainer.spec.preset import Preset, get, replace
from trainer.spec.sizing import tensor_sizes

SAMPLE_SPLIT = "900,100,0"
"""The sample text is small: a tenth of it is needed to validate on, and nobody reads a test part."""
FILES_SPLIT = "949,50,1"
"""Megatron-LM's."""
FOLDERS = {"checkpoint.path": "~/bert-tui/checkpoints", "logs.tensorboard_path": "~/bert-tui/tensorboard"}
"""Where runs and TensorBoard's files go unless something else is said."""


def first_answers(
    machine: Machine,
    *,
    docker_usable: bool,
    local_usable: bool = True,
    environment: Mapping[str, str] = os.environ,
) -> Answers:
    """What to begin with on this machine.

    With GPUs that are free and a usable Docker: BERT-large in a container on all of them. Otherwise a very small BERT
    on sample text, in a container only where nothing else is usable. The original's four variables fill their fields.
    """
    large = bool(machine.free_gpus) and docker_usable
    size = "bert-340m" if large else "bert-tiny"
    preset = presets.shipped_preset(size)
    launcher = "docker" if large or (docker_usable and not local_usable) else "local"
    preset = replace(preset, launch__launcher=launcher, launch__gpus=all_free(machine) if large else "none")
    return _with_folders(Answers(with_possible_tensor(preset, machine), size, size), environment)


def all_free(machine: Machine) -> str | tuple[str, ...]:
    """The preset's value for the GPUs that nobody uses: as many as a power of two, which is what rows and attention
    heads can be shared out to."""
    free = machine.free_gpus
    if not free:
        return "none"
    taken = tuple(gpu.uuid for gpu in free[: 1 << (len(free).bit_length() - 1)])
    return "all" if len(taken) == len(machine.gpus) else taken


def with_size(answers: Answers, size: str, machine: Machine) -> Answers:
    """The answers with the model and the training schedule of a shipped preset, fitted to the machine; files, folders
    and launcher stay."""
    chosen = presets.shipped_preset(size)
    mine = answers.preset
    preset = replace(
        Preset(chosen.model, mine.data, chosen.train, chosen.parallel, chosen.checkpoint, mine.logs, mine.launch),
        checkpoint__path=mine.checkpoint.path,
        checkpoint__keep_last=mine.checkpoint.keep_last,
        checkpoint__keep_every=mine.checkpoint.keep_every,
    )
    name = size if answers.name == answers.size else answers.name
    preset = fitted(with_possible_tensor(preset, machine), machine)
    return replace_fields(answers, preset=preset, size=size, name=name)


def with_source(
    answers: Answers, source: Literal["sample", "files"], environment: Mapping[str, str] = os.environ
) -> Answers:
    """The answers reading the sample text or files, each with the split that suits it; variables fill the files."""
    preset = answers.preset
    if preset.data.source == source:
        return answers
    usual, other = (SAMPLE_SPLIT, FILES_SPLIT) if source == "sample" else (FILES_SPLIT, SAMPLE_SPLIT)
    split = usual if preset.data.split == other else preset.data.split
    preset, used = plan.fill_from_variables(replace(preset, data__source=source, data__split=split), environment)
    return replace_fields(answers, preset=preset, prefilled=tuple(dict.fromkeys((*answers.prefilled, *used))))


def with_possible_tensor(preset: Preset, machine: Machine) -> Preset:
    """The preset with the largest possible tensor-parallel size up to the one it has, and with no more rows at once
    than each group then has, or a part of them."""
    heads = preset.model.heads or 1
    sizes = tensor_sizes(heads, max(1, device_count(preset, machine)))
    possible = with_tensor(preset, max(size for size in sizes if size <= max(1, preset.parallel.tensor)))
    named, data = preset.train.micro_batch, fit.data_parallel(possible, fit.room(possible, machine))
    if named == "auto" or preset.train.global_batch % data:
        return possible
    return replace(possible, train__micro_batch=largest_divisor(preset.train.global_batch // data, named))


def with_tensor(preset: Preset, tensor: int) -> Preset:
    """The preset at a tensor-parallel size; without sequence parallel where that size cannot have it."""
    sequence = preset.parallel.sequence and tensor > 1 and preset.model.sequence_length % tensor == 0
    return replace(preset, parallel__tensor=tensor, parallel__sequence=sequence)


def fitted(preset: Preset, machine: Machine) -> Preset:
    """The preset, changed as little as makes it fit the machine; as it is where it fits or nothing helps."""
    there = fit.room(preset, machine)
    changes = {} if fit.fits(preset, there) else fit.nearest_fit(preset, there) or {}
    return replace(preset, **{name.replace(".", "__"): value for name, value in changes.items()})


def device_count(preset: Preset, machine: Machine) -> int:
    """GPUs the run may use, or cores where it trains on the CPU."""
    wanted = preset.launch.gpus
    if wanted == "none":
        return machine.cores
    return len(machine.gpus) if wanted == "all" else len(wanted)


def _with_folders(answers: Answers, environment: Mapping[str, str]) -> Answers:
    """Where the operator exported the original's variables, they mean them: they win over a preset's own folders, and
    a dataset with its vocabulary wins over the sample text."""
    exported = {field for field, variable in plan.VARIABLES.items() if environment.get(variable, "").strip()}
    folders = {field: None if field in exported else get(answers.preset, field) or FOLDERS[field] for field in FOLDERS}
    preset = replace(answers.preset, **{field.replace(".", "__"): value for field, value in folders.items()})
    preset, used = plan.fill_from_variables(preset, environment)
    answers = replace_fields(answers, preset=preset, prefilled=tuple(used))
    if {"data.data_path", "data.vocab_file"} <= exported:
        answers = with_source(answers, "files", environment)
    return answers
