"""A plan in words, for somebody who has never trained a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bert_tui.advice.words import describe
from bert_tui.changes import Comparison, compare
from bert_tui.fit import Device
from bert_tui.forecast import CPU_CORE_FLOPS, GPU_SHARE, roughly
from bert_tui.paths import short_path
from bert_tui.plan import Plan
from bert_tui.presets import shipped_preset
from bert_tui.wizard.answers import Answers
from trainer.spec.blend import parse_blend
from trainer.spec.memory import MIB, Memory
from trainer.spec.records import MicroBatchChoice, read_record
from trainer.spec.run_directory import RunDirectory
from trainer.spec.sizing import GIB

SPEED = f"{CPU_CORE_FLOPS / 1e9:.0f} billion operations a second"


@dataclass(frozen=True)
class Units:
    """What a rank runs on."""

    one: str
    many: str


UNITS: dict[Device, Units] = {
    "cpu": Units("process on the CPU", "processes on the CPU"),
    "cuda": Units("GPU", "GPUs"),
}


@dataclass(frozen=True)
class Sentence:
    """One aspect of the run."""

    about: str
    """A word: "Model", "Data"."""
    text: str
    caution: str = ""
    """What to do about it, where it is allowed and hardly meant."""


def in_words(plan: Plan) -> list[Sentence]:
    """What will happen, aspect by aspect."""
    return [
        Sentence("Model", _model(plan)),
        Sentence("Data", _data(plan)),
        Sentence("Training", _training(plan), _caution(plan, "train.learning_rate")),
        Sentence("Time", _time(plan), _caution(plan, "train.steps")),
        Sentence("Split", _split(plan)),
        Sentence("Memory", _memory(plan)),
        Sentence("Saved", _saved(plan)),
        Sentence("Curves", f"For TensorBoard, in {_short(plan.preset.logs.tensorboard_path)}."),
        Sentence("Runs", _where(plan)),
    ]


def sentences(plan: Plan) -> list[str]:
    """The same as lines of text."""
    return [
        f"{sentence.about + ':':<10} {sentence.text}" + (f" ! {sentence.caution}" if sentence.caution else "")
        for sentence in in_words(plan)
    ]


def changes(answers: Answers) -> Comparison:
    """What was answered otherwise than the shipped preset has it that the model came from."""
    return Comparison(answers.size, compare(shipped_preset(answers.size), answers.preset))


def micro_batch_words(plan: Plan, preset: Path) -> str:
    """Rows at once, as planned; and what they became by trying, where ``preset`` is the ``run.toml`` of a run."""
    told = f"Rows:      {plan.micro_batch} at once, {plan.accumulation} times a step"
    if plan.preset.train.micro_batch != "auto":
        return f"{told}."
    latest = RunDirectory(preset.absolute().parent).latest() if preset.name == "run.toml" else None
    choice = read_record(MicroBatchChoice, latest.micro_batch) if latest else None
    if choice is None:
        return f"{told}, as planned; what fits is found by trying where memory is short."
    return f"{told}, as planned; that run was planned with {choice.planned} and took {choice.rows}."


def count(number: int) -> str:
    """A large number as people say it: 0.9 million, 336 million, 3.9 billion."""
    if number >= 10**9:
        return f"{number / 10**9:.1f} billion"
    return f"{number / 10**6:.1f} million" if number < 10**7 else f"{number / 10**6:.0f} million"


def _model(plan: Plan) -> str:
    shape = plan.shape
    return (
        f"BERT, {shape.layers} layers of width {shape.hidden}, {shape.heads} heads: {count(plan.parameters)} "
        "parameters."
    )


def _data(plan: Plan) -> str:
    data = plan.preset.data
    if data.source == "sample":
        return "English text that is on this machine; a vocabulary and a dataset are made from it first."
    datasets = " and ".join(map(_short, parse_blend(data.data_path).prefixes))
    return f"The dataset {datasets} with the vocabulary {_short(data.vocab_file)}."


def _training(plan: Plan) -> str:
    train = plan.preset.train
    return (
        f"{train.steps:,} steps of {train.global_batch} rows, {plan.shape.sequence_length} tokens a row; "
        f"learning rate {train.learning_rate:g}." + _beginning(train.init_from)
    )


def _time(plan: Plan) -> str:
    if plan.seconds is None:
        return "Not known for these GPUs; shown once it trains."
    if plan.measured is not None:
        return f"About {roughly(plan.seconds)}, at the speed measured here on {plan.measured.date}."
    speed = f"{SPEED} a core" if plan.device == "cpu" else f"{GPU_SHARE:.0%} of what these GPUs can do at most"
    return f"Roughly {roughly(plan.seconds)}, at {speed}."


def _caution(plan: Plan, field: str) -> str:
    return " ".join(describe(caution).remedy for caution in plan.cautions if caution.where == field)


def _beginning(weights: str | None) -> str:
    return "" if weights is None else f" It begins with the weights in {weights}."


def _split(plan: Plan) -> str:
    parallel, units = plan.preset.parallel, UNITS[plan.device]
    tensor, data = parallel.tensor, parallel.data
    if plan.ranks == 1:
        text = f"One {units.one} holds the whole model."
    elif parallel.shard == "full" and data != 1:
        text = f"{plan.ranks} {units.many} share weights, gradients and optimizer"
        text += f"; {tensor} at a time share every layer." if tensor > 1 else ", and gather one layer at a time."
    elif tensor == 1:
        text = f"Each of {data} {units.many} holds the whole model and reads its own rows."
    else:
        groups = "" if data == 1 else f" {data} such groups read their own rows."
        text = f"{tensor} {units.many} share every layer.{groups}"
    again = {"none": "", "selective": " Attention is computed twice", "full": " Each layer is computed twice"}
    return text + (f"{again[parallel.recompute]} to save memory." if parallel.recompute != "none" else "")


def _memory(plan: Plan) -> str:
    each = "" if plan.ranks == 1 else " each"
    estimate = f"About {_size(plan.memory.total)}{each}: {memory_parts(plan.memory, plan.device)}."
    if plan.measured is None:
        return estimate
    return f"{estimate} Measured here on {plan.measured.date}: {_size(plan.measured.memory)}{each}."


def memory_parts(memory: Memory, device: Device) -> str:
    """What the memory of one rank is for; parts that come to nothing are left out."""
    reserve = "to spare for CUDA, NCCL and gaps, not measured here" if device == "cuda" else "Python and torch"
    parts = {
        "weights, gradients, optimizer": memory.weights + memory.gradients + memory.optimizer,
        "activations": memory.activations + memory.logits,
        "exchange": memory.exchange,
        reserve: memory.margin,
    }
    return ", ".join(f"{_size(size)} {name}" for name, size in parts.items() if size)


def _size(size: int) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB // 10 else f"{size / MIB:.0f} MiB"


def _saved(plan: Plan) -> str:
    checkpoint = plan.preset.checkpoint
    kept = f"the last {checkpoint.keep_last}"
    if checkpoint.keep_every is not None:
        kept += f" and one every {checkpoint.keep_every:,} steps"
    return f"Every {checkpoint.every:,} steps, in {_short(checkpoint.path)}; {kept} are kept."


def _short(path: str | None) -> str:
    return short_path(Path(path or ""))


def _where(plan: Plan) -> str:
    if plan.preset.launch.launcher == "local":
        place = "On this machine, without a container"
    else:
        image = plan.preset.launch.image
        place = "In a Docker container" + ("" if image == "auto" else f" of the image {image}")
    return f"{place}, in the background: closing this window does not stop it."
