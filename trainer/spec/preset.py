"""The preset: everything that describes a run, as frozen dataclasses.

One schema. The reader (``preset_file``), the table in the docs, the help texts and the wizard's fields are all
derived from the fields below: each carries its explanation, an example and its limits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from trainer.spec.blend import parse_blend
from trainer.spec.problem import PresetError, Problem
from trainer.spec.split import parse_split

SCHEMA = 1

LayerOrder = Literal["megatron", "bert"]


@dataclass(frozen=True)
class Setting:
    """What is known of one field beside its type."""

    help: str
    example: str
    minimum: float | None = None
    maximum: float | None = None
    exclusive: bool = False
    """Whether the limits themselves are refused."""
    required: bool = False
    """A run needs a value; a preset file may leave it open."""


def _setting(default: Any, help: str, example: str, **limits: Any) -> Any:
    return field(default=default, metadata={"setting": Setting(help, example, **limits)})


@dataclass(frozen=True)
class Model:
    """The shape of the network."""

    layers: int | None = _setting(None, "Number of transformer layers.", "24", minimum=1, maximum=10_000, required=True)
    hidden: int | None = _setting(
        None,
        "Width of each layer. The number of heads must divide it.",
        "1024",
        minimum=1,
        maximum=1_000_000,
        required=True,
    )
    heads: int | None = _setting(
        None,
        "Attention heads a layer. The tensor-parallel size must divide it.",
        "16",
        minimum=1,
        maximum=10_000,
        required=True,
    )
    sequence_length: int = _setting(
        512,
        "Tokens (pieces of words) in one row. Longer rows cost more memory and time.",
        "512",
        minimum=16,
        maximum=65536,
    )
    vocab_size: int | None = _setting(
        None,
        "Entries of the vocabulary. Left open, it is read from the vocabulary file.",
        "30522",
        minimum=8,
        maximum=100_000_000,
    )
    layer_order: LayerOrder = _setting(  # noqa: RUF009 - ruff does not know that a Literal by another name is immutable
        "megatron",
        "Where the layer norms sit: 'megatron' before each block, as in Megatron-LM's BERT; 'bert' after it, as in the "
        "original BERT.",
        "megatron",
    )
    dropout: float = _setting(0.1, "Share of activations dropped while training.", "0.1", minimum=0.0, maximum=0.9)
    init_std: float = _setting(
        0.02, "Standard deviation of the first weights.", "0.02", minimum=0.0, maximum=1.0, exclusive=True
    )


@dataclass(frozen=True)
class Data:
    """What the model reads."""

    source: Literal["files", "sample"] = _setting(
        "files",
        "'files' reads your indexed dataset; 'sample' builds one from English text that is on this machine.",
        "files",
    )
    data_path: tuple[str, ...] = _setting(
        (),
        "The indexed dataset: the path without .bin and .idx, usually ending in _text_sentence (DATA_PATH). Several "
        "are blended by their size, or by a weight before each path.",
        "/data/wiki_text_sentence",
        required=True,
    )
    vocab_file: str | None = _setting(
        None, "The WordPiece vocabulary, one piece a line (VOCAB_FILE).", "/data/bert-vocab.txt", required=True
    )
    split: str = _setting("949,50,1", "Shares of the documents for training, validation and test.", "949,50,1")
    sentence_order: bool = _setting(
        True, "Whether to train the head that tells the right order of two sentences from the wrong.", "true"
    )
    packing: bool = _setting(
        True, "Whether several short samples share a row, so that less is spent on padding.", "true"
    )
    seed: int = _setting(
        1234, "Decides the order of the data and what is masked.", "1234", minimum=0, maximum=2**32 - 1
    )
    mask_probability: float = _setting(
        0.15, "Share of the pieces the model has to guess.", "0.15", minimum=0.0, maximum=0.5, exclusive=True
    )
    mask_whole_words: bool = _setting(True, "Whether all pieces of a word are hidden together.", "true")
    mask_max_words: int = _setting(
        3, "Most words in a row that are hidden together (pieces, without whole words).", "3", minimum=1, maximum=20
    )
    mask_lengths: Literal["short", "long", "geometric"] = _setting(
        "short",
        "How many words are hidden together: 'short' mostly one, 'long' mostly the most, 'geometric' as in SpanBERT.",
        "short",
    )
    short_sequence_probability: float = _setting(
        0.1, "Share of samples that are made shorter on purpose.", "0.1", minimum=0.0, maximum=1.0
    )


@dataclass(frozen=True)
class Train:
    """How long and how fast it learns."""

    steps: int | None = _setting(
        None, "How many times the weights are updated.", "1000000", minimum=1, maximum=10**9, required=True
    )
    global_batch: int = _setting(32, "Rows read for one update, over all GPUs.", "32", minimum=1, maximum=10**7)
    micro_batch: int | Literal["auto"] = _setting(
        "auto",
        "Rows a GPU works on at once. 'auto' takes the most that fit, found by trying; on a CPU at most 4,096 tokens.",
        "4",
        minimum=1,
        maximum=10**6,
    )
    learning_rate: float = _setting(
        1e-4, "The size of the updates at its highest.", "1e-4", minimum=0.0, maximum=10.0, exclusive=True
    )
    min_learning_rate: float = _setting(1e-5, "The size of the updates at the end.", "1e-5", minimum=0.0, maximum=10.0)
    warmup: int = _setting(
        9900, "Steps over which the learning rate rises from zero.", "9900", minimum=0, maximum=10**9
    )
    decay: int | None = _setting(
        None,
        "Step at which the learning rate has come down to its minimum. Open: the last step.",
        "990000",
        minimum=1,
        maximum=10**9,
    )
    weight_decay: float = _setting(
        0.01, "How strongly large weights are pulled back.", "0.01", minimum=0.0, maximum=1.0
    )
    clip: float = _setting(1.0, "Longest gradient an update may follow.", "1.0", minimum=0.0, exclusive=True)
    adam_beta1: float = _setting(0.9, "Memory of AdamW's mean gradient.", "0.9", minimum=0.0, maximum=0.9999)
    adam_beta2: float = _setting(
        0.999, "Memory of AdamW's mean squared gradient.", "0.999", minimum=0.0, maximum=0.999999
    )
    adam_epsilon: float = _setting(1e-8, "AdamW's guard against division by zero.", "1e-8", minimum=0.0, exclusive=True)
    precision: Literal["auto", "bf16", "fp16", "fp32"] = _setting(
        "auto", "Number format: 'auto' is bf16 where the GPU has it, fp16 on older ones, fp32 on a CPU.", "auto"
    )
    compile: bool = _setting(
        False,
        "Whether torch compiles each layer at the start: that takes minutes, and needs a C++ compiler where the run "
        "trains. Slower on the CPUs it was measured on; not measured on GPUs yet.",
        "true",
    )
    eval_every: int = _setting(1000, "Steps between two validations.", "1000", minimum=1, maximum=10**9)
    eval_steps: int = _setting(10, "Global batches read by one validation.", "10", minimum=1, maximum=10**6)
    init_from: str | None = _setting(
        None,
        "Weights to begin with: a folder made by 'bert-tui import', or a checkpoint of another run. Open: weights "
        "drawn at random.",
        "/data/checkpoints/bert-base-uncased",
    )
    seed: int = _setting(1234, "Decides the first weights and the dropout.", "1234", minimum=0, maximum=2**32 - 1)


@dataclass(frozen=True)
class Parallel:
    """How the model is spread over devices."""

    tensor: int = _setting(
        1, "Tensor-parallel size: GPUs that share every layer. It must divide the heads.", "2", minimum=1, maximum=4096
    )
    data: int | Literal["auto"] = _setting(
        "auto",
        "Data-parallel size: how many such groups, each with its own rows. 'auto' uses all GPUs; 1 on a CPU.",
        "auto",
        minimum=1,
        maximum=10**5,
    )
    sequence: bool = _setting(
        False,
        "Whether GPUs that share a layer also share its norms and dropout, each on a slice of the tokens: "
        "less memory. Needs a tensor-parallel size above 1.",
        "true",
    )
    shard: Literal["none", "full"] = _setting(
        "none",
        "'full' splits weights, gradients and optimizer over the data-parallel groups (FSDP2): less memory, "
        "more traffic. With one group it changes nothing.",
        "full",
    )
    recompute: Literal["none", "selective", "full"] = _setting(
        "none",
        "What is computed again for the gradients instead of being kept: 'selective' the core of attention, "
        "'full' each whole layer.",
        "selective",
    )


@dataclass(frozen=True)
class Checkpoint:
    """Where and how often the run is saved."""

    path: str | None = _setting(
        None, "Folder that gets a folder for each run (CHECKPOINT_PATH).", "/data/checkpoints", required=True
    )
    every: int = _setting(10000, "Steps between two checkpoints.", "10000", minimum=1, maximum=10**9)
    keep_last: int = _setting(
        3, "How many checkpoints are kept; older ones are deleted.", "3", minimum=1, maximum=10**6
    )
    keep_every: int | None = _setting(
        None,
        "Checkpoints of steps that are multiples of this are never deleted.",
        "100000",
        minimum=1,
        maximum=10**9,
    )


@dataclass(frozen=True)
class Logs:
    """What TensorBoard reads."""

    tensorboard_path: str | None = _setting(
        None, "Folder that gets TensorBoard's files (TENSORBOARD_LOGS_PATH).", "/data/tensorboard", required=True
    )


@dataclass(frozen=True)
class Launch:
    """What starts the processes."""

    launcher: Literal["docker", "local"] = _setting(
        "docker", "'docker' trains in a container, 'local' with the torch installed beside this program.", "docker"
    )
    image: str = _setting(
        "auto",
        "The container's image. 'auto': NVIDIA's PyTorch image that fits the driver, or a small one built for CPUs.",
        "nvcr.io/nvidia/pytorch:26.09-py3",
    )
    gpus: Literal["all", "none"] | tuple[str, ...] = _setting(
        "all", "Which GPUs: 'all', 'none' (train on the CPU), or a list of their UUIDs.", "all"
    )


@dataclass(frozen=True)
class Preset:
    """A run, described. ``None`` stands for a value that is still open."""

    model: Model = Model()
    data: Data = Data()
    train: Train = Train()
    parallel: Parallel = Parallel()
    checkpoint: Checkpoint = Checkpoint()
    logs: Logs = Logs()
    launch: Launch = Launch()


SECTIONS: dict[str, type[Any]] = {
    "model": Model,
    "data": Data,
    "train": Train,
    "parallel": Parallel,
    "checkpoint": Checkpoint,
    "logs": Logs,
    "launch": Launch,
}


def settings() -> Iterator[tuple[str, str, Setting]]:
    """Every field as (section, key, what is known of it), in the order of the file."""
    for section, kind in SECTIONS.items():
        for item in dataclasses.fields(kind):
            yield section, item.name, item.metadata["setting"]


def setting_of(name: str) -> Setting:
    """What is known of a dotted field name such as ``train.steps``."""
    section, key = name.split(".")
    setting: Setting = SECTIONS[section].__dataclass_fields__[key].metadata["setting"]
    return setting


def get(preset: Preset, name: str) -> Any:
    """The value of a dotted field name such as ``train.steps``."""
    section, key = name.split(".")
    return getattr(getattr(preset, section), key)


def replace(preset: Preset, **values: Any) -> Preset:
    """A copy with fields changed; names are ``section__key``, as in ``train__steps=10``."""
    changed: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        section, key = name.split("__")
        changed.setdefault(section, {})[key] = value
    sections = {s: dataclasses.replace(getattr(preset, s), **kv) for s, kv in changed.items()}
    return dataclasses.replace(preset, **sections)


def missing(preset: Preset) -> list[Problem]:
    """The fields a run needs that are still open."""
    open_fields = []
    for section, key, setting in settings():
        if not setting.required or (section == "data" and preset.data.source == "sample"):
            continue
        if getattr(getattr(preset, section), key) in (None, ()):
            open_fields.append(Problem("preset.missing", f"{section}.{key}", "", {"example": setting.example}))
    return open_fields


def contradictions(preset: Preset) -> list[Problem]:
    """The values that cannot stand together. Fields still open contradict nothing."""
    return [
        *_head_problems(preset),
        *_sequence_problems(preset),
        *_batch_problems(preset),
        *_rate_problems(preset),
        *_split_problems(preset),
        *_blend_problems(preset),
    ]


def _head_problems(preset: Preset) -> list[Problem]:
    heads, hidden, tensor = preset.model.heads, preset.model.hidden, preset.parallel.tensor
    found = []
    if heads and hidden and hidden % heads:
        found.append(Problem("layout.heads_hidden", "model.heads", str(heads), {"heads": heads, "hidden": hidden}))
    if heads and heads % tensor:
        possible = ", ".join(str(size) for size in range(1, heads + 1) if heads % size == 0)
        found.append(
            Problem("layout.tensor_heads", "parallel.tensor", str(tensor), {"heads": heads, "possible": possible})
        )
    return found


def _sequence_problems(preset: Preset) -> list[Problem]:
    tensor, length = preset.parallel.tensor, preset.model.sequence_length
    if not preset.parallel.sequence:
        return []
    if tensor == 1:
        return [Problem("layout.sequence_alone", "parallel.sequence", "true")]
    if length % tensor:
        return [Problem("layout.sequence_length", "model.sequence_length", str(length), {"tensor": tensor})]
    return []


def _batch_problems(preset: Preset) -> list[Problem]:
    micro = 1 if preset.train.micro_batch == "auto" else preset.train.micro_batch
    data = 1 if preset.parallel.data == "auto" else preset.parallel.data
    if preset.train.global_batch % (micro * data) == 0:
        return []
    facts = {"micro": micro, "data": data}
    return [Problem("layout.batch", "train.global_batch", str(preset.train.global_batch), facts)]


def _rate_problems(preset: Preset) -> list[Problem]:
    train, found = preset.train, []
    if train.min_learning_rate > train.learning_rate:
        facts = {"rate": train.learning_rate}
        found.append(Problem("layout.learning_rates", "train.min_learning_rate", str(train.min_learning_rate), facts))
    decay = train.decay or train.steps
    if decay is not None and train.warmup >= decay:
        found.append(Problem("layout.warmup", "train.warmup", str(train.warmup), {"decay": decay}))
    return found


def _split_problems(preset: Preset) -> list[Problem]:
    try:
        parse_split(preset.data.split)
    except PresetError as error:
        return list(error.problems)
    return []


def _blend_problems(preset: Preset) -> list[Problem]:
    try:
        parse_blend(preset.data.data_path)
    except PresetError as error:
        return list(error.problems)
    return []
