"""Whether a preset fits the devices it is meant for, and what would make it fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

from bert_tui.machine import Machine
from bert_tui.paths import expand_path
from bert_tui.vocabulary_size import vocabulary_size
from trainer.spec import sizing
from trainer.spec.memory import Memory
from trainer.spec.micro_batch import memory_expected, possible
from trainer.spec.preset import Preset, contradictions, get, replace
from trainer.spec.sizing import Shape

Device = Literal["cpu", "cuda"]

CHANGEABLE = (
    "train.micro_batch", "parallel.sequence", "parallel.shard", "parallel.recompute", "parallel.tensor",
)  # fmt: skip
"""What a proposal may change, the cheapest first."""
RECOMPUTES = ("none", "selective", "full")
"""From what costs no time to what costs most."""


@dataclass(frozen=True)
class Room:
    """The devices a preset is meant for."""

    device: Device
    devices: int
    """GPUs; 1 on a CPU, whose processes share one memory."""
    each: int | None
    """Bytes of the smallest GPU, or of memory that is free; None where no GPU can be asked."""

    def of_rank(self, ranks: int) -> int | None:
        """Bytes that one rank may use."""
        return self.each if self.device == "cuda" or self.each is None else self.each // ranks


def room(preset: Preset, machine: Machine) -> Room:
    """The devices that ``launch.gpus`` names."""
    wanted = preset.launch.gpus
    if wanted == "none":
        return Room("cpu", 1, machine.memory_available)
    sizes = [gpu.memory_total for gpu in machine.gpus if wanted == "all" or gpu.uuid in wanted]
    return Room("cuda", len(sizes) if wanted == "all" else len(wanted), min(sizes, default=None))


def data_parallel(preset: Preset, there: Room) -> int:
    """Groups of tensor-parallel ranks, each with its own rows."""
    if preset.parallel.data != "auto":
        return preset.parallel.data
    return max(1, there.devices // preset.parallel.tensor) if there.device == "cuda" else 1


def shape_of(preset: Preset) -> Shape:
    """The shape of a preset's model, with BERT's vocabulary where its own is not known yet."""
    return sizing.shape_of(preset.model, known_vocabulary(preset))


def known_vocabulary(preset: Preset) -> int | None:
    """The entries of a preset's vocabulary; None as long as no file that can be read is named."""
    if preset.model.vocab_size:
        return preset.model.vocab_size
    if preset.data.source == "sample":
        return sizing.SAMPLE_VOCAB
    return vocabulary_size(expand_path(preset.data.vocab_file)) if preset.data.vocab_file else None


def memory_of(preset: Preset, device: Device, data: int, micro_batch: int) -> Memory:
    """What one rank of a preset needs at a micro batch."""
    return memory_expected(preset, shape_of(preset), device, data=data, micro_batch=micro_batch)


def largest_micro_batch(preset: Preset, data: int, there: Room) -> int:
    """The micro batch that a preset names, or for "auto" the largest that is expected to fit; 1 where none is."""
    if preset.train.micro_batch != "auto":
        return preset.train.micro_batch
    return next((size for size in _micro_batches(preset, data, there.device) if _fits(preset, data, size, there)), 1)


def fits(preset: Preset, there: Room) -> bool:
    """Whether a preset fits as it is; "auto" may be any micro batch."""
    data = data_parallel(preset, there)
    return _fits(preset, data, largest_micro_batch(preset, data, there), there)


def nearest_fit(preset: Preset, there: Room) -> dict[str, object] | None:
    """The settings to change so that a preset that does not fit does; None where nothing would help.

    Tried in the order of what they cost: a smaller micro batch, sequence parallel, sharding, computing again, and a
    larger tensor-parallel size.
    """
    for candidate in _candidates(preset, there):
        data = data_parallel(candidate, there)
        for micro_batch in _micro_batches(candidate, data, there.device):
            if _fits(candidate, data, micro_batch, there):
                named = preset.train.micro_batch
                found = replace(candidate, train__micro_batch="auto" if named == "auto" else micro_batch)
                return {name: get(found, name) for name in CHANGEABLE if get(found, name) != get(preset, name)}
    return None


def as_settings(changes: dict[str, object]) -> str:
    """Changed settings in the form of ``--set``: "train.micro_batch=2 parallel.shard=full"."""
    return " ".join(f"{name}={str(value).lower()}" for name, value in changes.items())


def _candidates(preset: Preset, there: Room) -> Iterator[Preset]:
    """Sound layouts that could hold the model, cheapest first; their micro batch is still the preset's."""
    parallel = preset.parallel
    tensors = [parallel.tensor]
    if there.device == "cuda" and parallel.data == "auto":
        tensors += [t for t in sizing.tensor_sizes(preset.model.heads or 1, there.devices) if t > parallel.tensor]
    recomputes = RECOMPUTES[RECOMPUTES.index(parallel.recompute) :]
    shards = dict.fromkeys((parallel.shard, "full"))
    sequences = dict.fromkeys((parallel.sequence, True))
    for tensor, recompute, shard, sequence in product(tensors, recomputes, shards, sequences):
        candidate = replace(
            preset,
            parallel__tensor=tensor,
            parallel__recompute=recompute,
            parallel__shard=shard,
            parallel__sequence=sequence,
        )
        if preset.train.global_batch % data_parallel(candidate, there) == 0 and not contradictions(candidate):
            yield candidate


def _micro_batches(preset: Preset, data: int, device: Device) -> list[int]:
    """Micro batches that share out a group's rows, largest first, none above the one that a preset names."""
    named, rows = preset.train.micro_batch, max(1, preset.train.global_batch // data)
    if named == "auto":
        return possible(preset.train.global_batch, data, preset.model.sequence_length, device)[::-1]
    return [size for size in range(min(rows, named), 0, -1) if rows % size == 0]


def _fits(preset: Preset, data: int, micro_batch: int, there: Room) -> bool:
    each = there.of_rank(preset.parallel.tensor * data)
    return each is None or memory_of(preset, there.device, data, micro_batch).total <= each
