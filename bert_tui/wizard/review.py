"""A plan in words, for somebody who has never trained a model."""

from __future__ import annotations

from dataclasses import dataclass

from bert_tui.advice.words import describe
from bert_tui.forecast import CPU_CORE_FLOPS, GPU_SHARE, roughly
from bert_tui.plan import Plan
from trainer.spec.sizing import GIB

SPEED = f"{CPU_CORE_FLOPS / 1e9:.0f} billion operations a second"


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
        Sentence("Saved", _saved(plan)),
        Sentence("Curves", f"Loss curves for TensorBoard go to {plan.preset.logs.tensorboard_path}."),
        Sentence("Runs", _where(plan)),
    ]


def sentences(plan: Plan) -> list[str]:
    """The same as lines of text."""
    return [
        f"{sentence.about + ':':<10} {sentence.text}" + (f" ! {sentence.caution}" if sentence.caution else "")
        for sentence in in_words(plan)
    ]


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
    return f"The dataset {' and '.join(data.data_path)} with the vocabulary {data.vocab_file}."


def _training(plan: Plan) -> str:
    train = plan.preset.train
    return (
        f"{train.steps:,} steps of {train.global_batch} rows, {plan.shape.sequence_length} tokens a row; "
        f"learning rate {train.learning_rate:g}." + _beginning(train.init_from)
    )


def _time(plan: Plan) -> str:
    if plan.seconds is None:
        return "Not known for these GPUs; shown once it trains."
    speed = f"{SPEED} a core" if plan.device == "cpu" else f"{GPU_SHARE:.0%} of what these GPUs can do at most"
    return f"Roughly {roughly(plan.seconds)}, at {speed}."


def _caution(plan: Plan, field: str) -> str:
    return " ".join(describe(caution).remedy for caution in plan.cautions if caution.where == field)


def _beginning(weights: str | None) -> str:
    return "" if weights is None else f" It begins with the weights in {weights}."


def _split(plan: Plan) -> str:
    tensor, data = plan.preset.parallel.tensor, plan.preset.parallel.data
    unit = "process on the CPU" if plan.device == "cpu" else "GPU"
    units = "processes on the CPU" if plan.device == "cpu" else "GPUs"
    memory = f"about {plan.memory.total / GIB:.1f} GiB of memory"
    if plan.ranks == 1:
        return f"One {unit} holds the whole model: {memory}."
    if tensor == 1:
        return f"Each of {data} {units} holds the whole model and reads its own rows: {memory} each."
    groups = "" if data == 1 else f" {data} such groups read their own rows."
    return f"{tensor} {units} share every layer: {memory} each.{groups}"


def _saved(plan: Plan) -> str:
    checkpoint = plan.preset.checkpoint
    kept = f"the last {checkpoint.keep_last}"
    if checkpoint.keep_every is not None:
        kept += f" and one every {checkpoint.keep_every:,} steps"
    return f"A checkpoint every {checkpoint.every:,} steps in {checkpoint.path}; {kept} are kept."


def _where(plan: Plan) -> str:
    if plan.preset.launch.launcher == "local":
        place = "On this machine, without a container"
    else:
        image = plan.preset.launch.image
        place = "In a Docker container" + ("" if image == "auto" else f" of the image {image}")
    return f"{place}, in the background: closing this window does not stop it."
