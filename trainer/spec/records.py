"""The JSON files of an attempt, as dataclasses.

Readers are lenient: a file that is absent, torn or foreign reads as ``None``, unknown keys are passed over.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from trainer.spec.hardware import UNKNOWN_HARDWARE, Hardware
from trainer.spec.problem import Problem

Phase = Literal[
    "data",
    "index",
    "image",
    "code",
    "launch",  # the starter's
    "preflight",
    "micro_batch",
    "start",
    "resume",
    "compile",
    "train",
    "validate",
    "save",
    "end",  # the trainer's
]
"""What is being done right now."""


@dataclass(frozen=True)
class Request:
    """``request.json``, by whoever asked for the attempt: what the starter shall start, decided on this machine."""

    preset_name: str
    preset: Mapping[str, Any]
    """The complete preset as tables (preset_file.as_tables), overrides applied."""
    device: Literal["cpu", "cuda"]
    gpus: tuple[str, ...]
    """UUIDs; empty on a CPU."""
    ranks: int
    threads: int
    """CPU threads of each rank."""
    overrides: tuple[str, ...] = ()
    """What a resume changes, as ``train.steps=1000``."""
    micro_batch: int = 1
    """What the plan chose where the preset says "auto"."""
    update_code: bool = False
    """Whether a resume replaces the run's copy of the trainer."""
    hardware: Hardware = UNKNOWN_HARDWARE
    replays: str = ""
    """The run whose ``run.toml`` this repeats."""
    differences: tuple[str, ...] = ()
    """What was known to differ from that run, a line each."""


@dataclass(frozen=True)
class Preparation:
    """``preparation.json``, by the starter."""

    phase: Phase
    since: float
    """Unix time at which the phase began."""
    heartbeat: int
    """Counts up at least every five seconds while the starter lives."""
    pid: int
    pid_started: float
    """Start time of that process, against reused ids."""
    host: str
    done: float | None = None
    """Work finished in this phase, in ``unit``; None where it cannot be counted."""
    total: float | None = None
    unit: str = ""
    detail: str = ""
    """One line: the layer being built, the file being read."""


@dataclass(frozen=True)
class Launch:
    """``launch.json``, by the starter, before the supervisor runs."""

    attempt: int
    launcher: str
    host: str
    boot_id: str
    started: float
    handle: Mapping[str, Any]
    """What the launcher needs to find it again: container id, or pid with start time."""
    command: str
    overrides: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    """What was done otherwise than asked: an ulimit the engine refused."""


@dataclass(frozen=True)
class Status:
    """``status.json``, by the supervisor."""

    state: Literal["running", "stopping", "ended"]
    phase: Phase
    since: float
    heartbeat: int
    pid: int
    host: str
    problem: Problem | None = None


@dataclass(frozen=True)
class TriedMicroBatch:
    """A line of ``trial/N/tried.jsonl``, by rank 0 of a trial."""

    rows: int
    outcome: Literal["begun", "fits", "too_tight", "out_of_memory", "too_slow"] = "begun"
    """``too_tight``: it ran, but left too little."""
    bytes: int | None = None
    """Highest use of the fullest rank: device memory on a GPU, resident memory on a CPU."""
    seconds: float | None = None
    """Of one micro batch."""


@dataclass(frozen=True)
class MicroBatchChoice:
    """``micro_batch.json``, by the supervisor: what ``train.micro_batch = "auto"`` became."""

    rows: int
    planned: int
    """What the memory formula had chosen."""
    circumstances: str
    """What decides how much fits (micro_batch.circumstances)."""
    tried: tuple[TriedMicroBatch, ...]
    attempt: int
    """Whose trial it was: under the same circumstances a resume takes the same again."""


@dataclass(frozen=True)
class Validation:
    """The last validation, on the same rows each time. Losses are nats a token or a pair, accuracies from 0 to 1."""

    step: int
    lm_loss: float | None
    """None where it was no finite number."""
    sop_loss: float | None
    unigram_loss: float | None
    """What guessing by the frequency of pieces in the training text gives on the same targets."""
    perplexity: float | None = None
    """exp(lm_loss), of a loss of 20 at most: among so many pieces, all equally likely, the model would be as unsure."""
    masked_accuracy: float | None = None
    """Share of the masked pieces that the model's first guess hits."""
    sop_accuracy: float | None = None
    """Share of the pairs of which it knows whether they stand in their order."""


@dataclass(frozen=True)
class NotSaved:
    """A checkpoint that was due and is not there."""

    step: int
    problem: Problem


@dataclass(frozen=True)
class Progress:
    """``progress.json``, by rank 0, about once a second."""

    phase: Phase
    phase_since: float
    step: int
    total_steps: int
    rows: int
    """Packed rows read since the run began."""
    pairs: int
    """Sentence pairs in them."""
    tokens: int
    """Tokens in them, padding not counted."""
    updated: float
    lm_loss: float | None = None
    sop_loss: float | None = None
    learning_rate: float | None = None
    grad_norm: float | None = None
    tokens_per_second: float | None = None
    """Of the last steps, padding not counted."""
    mean_tokens_per_second: float | None = None
    """Of all steps of this attempt."""
    tflops_per_rank: float | None = None
    """Of the last steps: what the model needs (sizing.step_flops), padding not counted; a rank has one GPU."""
    share_of_peak: float | None = None
    """That, of the most this GPU can do (gpu_peak), from 0 to 1; None on a CPU, on a GPU not known, and in fp32."""
    data_wait_share: float | None = None
    """Share of the last steps' time in which rank 0 waited for its rows, from 0 to 1."""
    step_seconds: float | None = None
    """Median of the last steps."""
    eta_seconds: float | None = None
    validation: Validation | None = None
    last_checkpoint: int | None = None
    checkpoint_seconds: float | None = None
    """How long the last one took, from the copy of the state until it was on the disk."""
    checkpoint_pause: float | None = None
    """Seconds of them for which training stood still."""
    not_saved: NotSaved | None = None
    """The last save, where it failed."""
    memory_bytes: int | None = None
    """Highest use so far on rank 0: device memory on a GPU, resident memory on a CPU."""
    phase_seconds: Mapping[str, float] = field(default_factory=dict)
    """Median duration of each phase that this attempt has gone through, but of training."""
    skipped_steps: int = 0
    """Steps of this attempt whose update was left out."""
    device: str = ""
    layout: str = ""
    """In words, as "tensor 2 x data 1, micro batch 32 x 2"."""
    attention: str = ""
    """The kernel that was found to work: "flash", "efficient" or "mask" (``trainer.attention``)."""


@dataclass(frozen=True)
class Exit:
    """``exit.json``: the end of an attempt."""

    outcome: Literal["finished", "stopped", "failed"]
    code: int | None
    """Exit status of what ended, where there is one."""
    signal: int | None
    out_of_memory: bool
    when: float
    written_by: Literal["starter", "supervisor", "viewer"]
    step: int | None = None
    problem: Problem | None = None
    rank: int | None = None
    """The rank that failed first."""


@dataclass(frozen=True)
class Holder:
    """The text of the lock file: who holds it."""

    host: str
    pid: int
    user: str
    role: Literal["starter", "supervisor"]
    attempt: int
    since: float


@dataclass(frozen=True)
class GpuReading:
    """One GPU at one moment. ``None`` where the driver does not tell."""

    index: int
    uuid: str
    name: str
    utilization: float | None = None
    """Percent of the last sample period in which a kernel ran."""
    memory_used: int | None = None
    memory_total: int | None = None
    temperature: float | None = None
    """Degrees Celsius."""
    power: float | None = None
    """Watts."""


@dataclass(frozen=True)
class Telemetry:
    """One line of ``telemetry/NODE.jsonl``."""

    time: float
    cores: tuple[float, ...]
    """Percent busy, core by core."""
    memory_used: int
    memory_total: int
    gpus: tuple[GpuReading, ...] = ()
    run_cpu: float | None = None
    """Percent of one core used by the run's own processes."""
    run_memory: int | None = None
    """Bytes resident in the run's own processes."""
    gpu_problem: str = ""
    """Why there are no GPU readings, in the driver's words."""
    extra: Mapping[str, Any] = field(default_factory=dict)


Record = TypeVar("Record")


def to_json(record: Any) -> str:
    """One line of JSON. Numbers that are not finite become null, which readers take for None."""
    return json.dumps(_plain(record), ensure_ascii=False, separators=(",", ":"))


def from_json(kind: type[Record], text: str) -> Record | None:
    """The record in ``text``, or None if it holds no such record."""
    try:
        data = json.loads(text)
        json.dumps(data, ensure_ascii=False).encode()  # half a surrogate pair could be neither shown nor written again
        return typing.cast(Record | None, _build(kind, data))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None


def read_record(kind: type[Record], path: Path) -> Record | None:
    """The record in a file, or None if there is no (whole) one."""
    try:
        return from_json(kind, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, Problem):
        return _plain(value.as_json())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value


def _build(kind: Any, data: Any) -> Any:
    """A dataclass from JSON; a value of the wrong type raises TypeError, so that no viewer meets one later."""
    hints = _hints(kind)
    known = {item.name for item in dataclasses.fields(kind)}
    return kind(**{key: _value(hints[key], value) for key, value in data.items() if key in known})


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    """Evaluating them takes ten times as long as reading a record, and viewers read every second."""
    return typing.get_type_hints(kind)


def _value(hint: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if type(None) in arguments:
        return None if value is None else _value(next(a for a in arguments if a is not type(None)), value)
    if origin is Literal:
        return _require(value in arguments, value)
    if origin is tuple:
        return tuple(_value(arguments[0], item) for item in _require(isinstance(value, list), value))
    if origin is not None:
        return _require(isinstance(value, dict), value)
    if hint is Problem:
        return Problem.from_json(value)
    if hint is Path:
        return Path(_require(isinstance(value, str), value))
    if dataclasses.is_dataclass(hint):
        return _build(hint, value)
    if hint is float:
        number = float(_require(isinstance(value, int | float) and not isinstance(value, bool), value))
        return _require(math.isfinite(number), number)
    return _require(isinstance(value, hint) and (hint is bool or not isinstance(value, bool)), value)


def _require(fits: bool, value: Any) -> Any:
    if not fits:
        raise TypeError(repr(value))
    return value
