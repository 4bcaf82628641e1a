"""What each page offers. What cannot be chosen is offered too, with the reason why it cannot."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bert_tui import fit, presets
from bert_tui.advice import words
from bert_tui.checks.check import Check
from bert_tui.machine import Gpu, Machine
from bert_tui.measured import Measured
from bert_tui.plan import Plan, trial_plan
from bert_tui.wizard import defaults, edit
from bert_tui.wizard.answers import Answers
from bert_tui.wizard.fields import ALL_KNOBS, GOOD_FOR
from trainer.spec.preset import Preset
from trainer.spec.problem import Problem
from trainer.spec.sizing import GIB, Shape


@dataclass(frozen=True)
class Choice:
    """One line of a list of which one is taken."""

    value: str
    title: str
    detail: str
    reason: str = ""
    """Why it cannot be taken; empty where it can."""


@dataclass(frozen=True)
class SizeChoice:
    """A model size."""

    size: str
    shape: Shape
    parameters: int
    memory: int
    """Bytes on each device, at the shipped tensor-parallel size or else the smallest at which it fits."""
    tensor: int
    tokens: int
    """Read by the whole training, at most."""
    seconds: float | None
    """That the training takes, estimated; None where nothing is known of the devices' speed."""
    reason: str = ""

    @property
    def good_for(self) -> str:
        """What it is for, and what it needs here."""
        split = f" Here split over {self.tensor}." if self.tensor > 1 and not self.reason else ""
        return GOOD_FOR[self.size] + split


@dataclass(frozen=True)
class TensorChoice:
    """A tensor-parallel size."""

    tensor: int
    data: int
    """Groups of that size, each with its own rows."""
    memory: int
    """Bytes on each device."""
    available: int
    """Bytes that are there."""
    divides: bool
    """Whether heads, devices and rows can be shared out."""
    tokens_per_second: float | None
    """Of all devices; None where nothing is known of their speed."""
    measured: Measured | None = None
    """Where memory and speed were measured here and are no estimate."""
    reason: str = ""


def launchers(checks: Mapping[str, Check]) -> list[Choice]:
    """Container or not."""
    return [
        Choice("docker", "In a Docker container", "from an image; nothing to install", _failure("docker", checks)),
        Choice("local", "Without a container", "with the PyTorch beside bert-tui", _failure("local", checks)),
    ]


def launcher_usable(launcher: str, checks: Mapping[str, Check]) -> bool:
    """Whether everything this launcher needs has been looked at and nothing stands in the way."""
    return any(name.startswith(f"{launcher}.") for name in checks) and not _failure(launcher, checks)


def suited_answers(
    machine: Machine, checks: Mapping[str, Check], environment: Mapping[str, str] = os.environ
) -> Answers:
    """The first answers on a machine whose checks are answered."""
    return defaults.first_answers(
        machine,
        docker_usable=launcher_usable("docker", checks),
        local_usable=launcher_usable("local", checks),
        environment=environment,
    )


def _failure(launcher: str, checks: Mapping[str, Check]) -> str:
    failed = (check for name, check in checks.items() if name.startswith(f"{launcher}.") and check.answer == "fail")
    return next((f"{check.seen}; {check.meaning}".rstrip("; .") for check in failed), "")


def gpus(machine: Machine) -> list[Choice]:
    """The GPUs by UUID. Those that are in use, lost, split or closed cannot be taken."""
    answering = {gpu.index: _gpu(gpu) for gpu in machine.gpus}
    lost = {gpu.index: Choice(f"lost {gpu.index}", _gpu_title(gpu.index), "", gpu.reason) for gpu in machine.lost_gpus}
    return [choice for _, choice in sorted((answering | lost).items())]


def _gpu(gpu: Gpu) -> Choice:
    detail = f"{gpu.name}, {gpu.memory_free / GIB:.0f} of {gpu.memory_total / GIB:.0f} GiB free"
    reason = gpu.obstacle or (f"in use by {gpu.used_by}" if gpu.used_by else "")
    return Choice(gpu.uuid, _gpu_title(gpu.index), detail, reason)


def _gpu_title(index: int) -> str:
    return f"GPU {index}"


def sizes(answers: Answers, machine: Machine) -> list[SizeChoice]:
    """The model sizes, each on this machine's devices."""
    return [_size(defaults.with_size(answers, size, machine), machine) for size in presets.SIZES]


def _size(answers: Answers, machine: Machine) -> SizeChoice:
    candidates, tensor = tensor_sizes(answers.preset, machine), answers.preset.parallel.tensor
    own = candidates[tensor - 1]
    chosen = next((choice for choice in (own, *candidates) if not choice.reason), own)
    plan = trial_plan(defaults.with_tensor(answers.preset, chosen.tensor), machine)
    whose = "GPU has {:.1f}" if plan.device == "cuda" else "{:.1f} free"
    reason = whose.format(chosen.available / GIB) if chosen.reason else ""
    return SizeChoice(
        answers.size,
        plan.shape,
        plan.parameters,
        chosen.memory,
        chosen.tensor,
        tokens(plan.preset),
        plan.seconds,
        reason,
    )


def tokens(preset: Preset) -> int:
    """Tokens that a training reads, counting every row as full."""
    return (preset.train.steps or 0) * preset.train.global_batch * preset.model.sequence_length


def changes(answers: Answers, machine: Machine) -> dict[str, str]:
    """What the model page has changed of the size as it would be proposed on this machine, by field."""
    proposed = defaults.with_size(answers, answers.size, machine).preset
    return edit.changes(answers.preset, proposed, answers.size)


def changes_in_words(answers: Answers, machine: Machine) -> str:
    """The same as people say it: "bert-base, changed: layers 6"; empty where nothing is changed."""
    changed = changes(answers, machine)
    told = ", ".join(f"{ALL_KNOBS[field].lower()} {value}" for field, value in changed.items())
    return f"{answers.size}, changed: {told}" if told else ""


def tensor_sizes(
    preset: Preset, machine: Machine, refine: Callable[[Plan], Plan] = lambda plan: plan
) -> list[TensorChoice]:
    """Every tensor-parallel size from 1 to the number of devices; ``refine`` may know more of a plan than the estimate
    (``measured.with_measured``)."""
    devices = max(1, defaults.device_count(preset, machine))
    plans = (trial_plan(defaults.with_tensor(preset, tensor), machine) for tensor in range(1, devices + 1))
    return [_tensor(preset, refine(plan), devices, machine) for plan in plans]


def _tensor(preset: Preset, plan: Plan, devices: int, machine: Machine) -> TensorChoice:
    tensor, data = plan.preset.parallel.tensor, plan.preset.parallel.data
    needed = plan.memory.total if plan.measured is None else plan.measured.memory
    available = fit.room(preset, machine).of_rank(tensor) or 0
    assert isinstance(data, int)
    reason = _indivisible(preset, tensor, data, devices)
    divides = not reason
    if divides and needed > available:
        reason = f"each needs {needed / GIB:.1f} GiB and has {available / GIB:.1f}"
    return TensorChoice(tensor, data, needed, available, divides, plan.tokens_per_second, plan.measured, reason)


def _indivisible(preset: Preset, tensor: int, data: int, devices: int) -> str:
    """Why heads, devices or rows cannot be shared out at this size; empty where they can."""
    heads, rows = preset.model.heads or 1, preset.train.global_batch
    if heads % tensor:
        return f"does not divide the {heads} attention heads"
    if preset.launch.gpus == "none":
        return ""
    if devices % tensor:
        return f"does not divide the {devices} GPUs"
    if rows % data:
        return f"{data} groups cannot share {rows} rows a step"
    micro = preset.train.micro_batch
    if micro != "auto" and rows // data % micro:
        return f"each group's {rows // data} rows a step cannot be taken {micro} at once"
    return ""


def first_problem(plan: Plan) -> str:
    """What forbids the start and what to do; empty in a sound plan."""
    return sentence(plan.problems[0]) if plan.problems else ""


def sentence(problem: Problem) -> str:
    """A problem and what to do about it."""
    text = words.describe(problem)
    return f"{text.what} {text.remedy}"
