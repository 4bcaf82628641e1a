"""A plan: a preset resolved against a machine. Shown for review, printed by ``bert-tui plan``, started as a run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bert_tui import fit, forecast
from bert_tui.fit import Device, Room, shape_of
from bert_tui.machine import Machine
from bert_tui.measured import Measured
from bert_tui.paths import expand_path
from bert_tui.peer_links import crossing_caution, crossing_groups
from bert_tui.step_time import Batch, Speed, step_time
from trainer.spec import preset_file, sizing
from trainer.spec.blend import split_variable, with_prefixes
from trainer.spec.hardware import UNKNOWN_HARDWARE, Hardware
from trainer.spec.memory import Memory
from trainer.spec.micro_batch import accumulation
from trainer.spec.preset import Preset, contradictions, get, missing, replace
from trainer.spec.problem import PresetError, Problem
from trainer.spec.sizing import GIB, Layout, Shape

VARIABLES = {
    "checkpoint.path": "CHECKPOINT_PATH",
    "logs.tensorboard_path": "TENSORBOARD_LOGS_PATH",
    "data.vocab_file": "VOCAB_FILE",
    "data.data_path": "DATA_PATH",
}
"""The four variables of Megatron-LM's examples/bert, by the field each of them fills."""

UNITS = {"cuda": "GPU", "cpu": "process"}
GPU_THREADS = 8
"""More CPU threads than this help no rank that trains on a GPU."""


@dataclass(frozen=True)
class Plan:
    """Everything decided that can be decided before the data and the image are there."""

    name: str
    """Of the preset; part of the run's id."""
    preset: Preset
    """Complete; paths absolute, "auto" replaced but for precision, micro batch and image."""
    device: Device
    gpus: tuple[str, ...]
    """UUIDs in the order of ranks."""
    ranks: int
    threads: int
    """CPU threads of each rank."""
    micro_batch: int
    """Rows a rank works on at once: what the preset says, or for "auto" the largest that is expected to fit. Where
    memory decides, the trainer finds the true one by trying (trainer.spec.micro_batch)."""
    accumulation: int
    """Micro batches a rank works through for one update."""
    shape: Shape
    """With BERT's vocabulary where its own is not known yet."""
    parameters: int
    memory: Memory
    """Of one rank."""
    step_flops: float
    """What the model needs."""
    recompute_flops: float
    """What the layout does on top, to save memory."""
    step_seconds: float | None
    """Of one step: measured here, or else an estimate (``step_time``); None where nothing is known of the devices'
    speed."""
    seconds: float | None
    """Of all steps, without preparation and validations."""
    problems: tuple[Problem, ...]
    """What forbids the start; empty in a sound plan."""
    cautions: tuple[Problem, ...] = ()
    """What is allowed, and hardly meant."""
    hardware: Hardware = UNKNOWN_HARDWARE
    """What it would be started on."""
    measured: Measured | None = None
    """What ``bert-tui calibrate`` found for this very layout on these devices (``measurements``)."""

    @property
    def layout(self) -> Layout:
        """Of the ranks."""
        parallel = self.preset.parallel
        data = self.ranks // parallel.tensor
        return Layout(parallel.tensor, data, parallel.sequence, parallel.shard, parallel.recompute)

    @property
    def tokens_per_second(self) -> float | None:
        """Of all ranks, in full rows."""
        rows, length = self.preset.train.global_batch, self.shape.sequence_length
        return None if self.step_seconds is None else rows * length / self.step_seconds

    def as_json(self) -> dict[str, Any]:
        """What ``bert-tui plan --json`` prints: the same for the same preset on the same machine."""
        return {
            "name": self.name,
            "preset": preset_file.as_tables(self.preset),
            "device": self.device,
            "gpus": list(self.gpus),
            "ranks": self.ranks,
            "threads": self.threads,
            "micro_batch": self.micro_batch,
            "accumulation": self.accumulation,
            "parameters": self.parameters,
            "memory_bytes": {**asdict(self.memory), "total": self.memory.total},
            "step_flops": self.step_flops,
            "recompute_flops": self.recompute_flops,
            "step_seconds": self.step_seconds,
            "seconds": self.seconds,
            "measured": None if self.measured is None else asdict(self.measured),
            "problems": [problem.as_json() for problem in self.problems],
            "cautions": [caution.as_json() for caution in self.cautions],
        }


def fill_from_variables(preset: Preset, environment: Mapping[str, str] = os.environ) -> tuple[Preset, list[str]]:
    """The preset with fields still open taken from the original's four variables, and the variables used."""
    used = []
    for field, variable in VARIABLES.items():
        value = environment.get(variable, "").strip()
        wanted = field.startswith(("checkpoint", "logs")) or preset.data.source == "files"
        if value and wanted and not get(preset, field):
            filled: Any = split_variable(value) if field == "data.data_path" else value
            preset = replace(preset, **{field.replace(".", "__"): filled})
            used.append(variable)
    return preset, used


def make_plan(preset: Preset, name: str, machine: Machine) -> Plan:
    """Resolves a complete preset against a machine.

    Raises:
        PresetError: fields are open; all are named.
    """
    if open_fields := missing(preset):
        raise PresetError(*open_fields)
    preset = _with_absolute_paths(preset)
    problems = contradictions(preset)
    device, gpus, gpu_problems = _choose_gpus(preset, machine)
    there = fit.room(preset, machine)
    data = fit.data_parallel(preset, there)
    ranks = preset.parallel.tensor * data
    if device == "cuda" and gpus and ranks != len(gpus):
        facts = {"devices": len(gpus)}
        gpu_problems.append(Problem("layout.devices", "parallel.tensor", str(ranks), facts))
    micro_batch = fit.largest_micro_batch(preset, data, there)
    resolved = replace(preset, parallel__data=data, train__micro_batch=micro_batch)
    memory = fit.memory_of(resolved, device, data, micro_batch)
    if not problems:
        problems = contradictions(resolved) or _memory_problems(preset, memory, ranks, there)
    shape, rows = shape_of(resolved), preset.train.global_batch
    step_flops = sizing.step_flops(shape, rows, preset.data.mask_probability)
    recompute_flops = sizing.recompute_flops(shape, rows, preset.parallel.recompute)
    names = [gpu.name for gpu in machine.gpus if gpu.uuid in gpus]
    speed = forecast.cpu_speed(machine.cores, ranks) if device == "cpu" else forecast.gpu_speed(names)
    step_seconds = _step_seconds(resolved, shape, speed)
    seconds = None if step_seconds is None else (preset.train.steps or 0) * step_seconds
    return Plan(
        name=name,
        preset=replace(preset, parallel__data=data),
        device=device,
        gpus=gpus,
        ranks=ranks,
        threads=_threads(machine.cores, ranks, device),
        micro_batch=micro_batch,
        accumulation=accumulation(preset.train.global_batch, data, micro_batch),
        shape=shape,
        parameters=sizing.parameter_count(shape),
        memory=memory,
        step_flops=step_flops,
        recompute_flops=recompute_flops,
        step_seconds=step_seconds,
        seconds=seconds,
        problems=(*problems, *gpu_problems),
        cautions=(*forecast.cautions(preset, seconds), *_link_cautions(gpus, preset.parallel.tensor, machine)),
        hardware=Hardware(machine.cores, tuple(names), machine.driver if device == "cuda" else ""),
    )


def trial_plan(preset: Preset, machine: Machine) -> Plan:
    """The plan of a preset whose files and folders may still be open: they decide nothing about its size."""
    still_open = [problem.where for problem in missing(preset) if problem.where in VARIABLES]
    paths: dict[str, Any] = {field.replace(".", "__"): "/" for field in still_open}
    if "data__data_path" in paths:
        paths["data__data_path"] = ("/",)
    return make_plan(replace(preset, **paths), "trial", machine)


def _with_absolute_paths(preset: Preset) -> Preset:
    changed: dict[str, Any] = {}
    for field in (*VARIABLES, "train.init_from"):
        value = get(preset, field)
        if value:
            expanded = expand_path(value) if isinstance(value, str) else with_prefixes(value, expand_path)
            changed[field.replace(".", "__")] = expanded
    return replace(preset, **changed)


def _step_seconds(preset: Preset, shape: Shape, speed: Speed | None) -> float | None:
    """Estimated for a preset with its data-parallel size and micro batch decided."""
    if speed is None:
        return None
    parallel, micro_batch, data = preset.parallel, preset.train.micro_batch, preset.parallel.data
    assert isinstance(data, int)
    assert isinstance(micro_batch, int)
    layout = Layout(parallel.tensor, data, parallel.sequence, parallel.shard, parallel.recompute)
    batch = Batch(preset.train.global_batch, micro_batch, preset.data.mask_probability)
    return step_time(shape, layout, batch, speed).total


def _choose_gpus(preset: Preset, machine: Machine) -> tuple[Device, tuple[str, ...], list[Problem]]:
    wanted, known = preset.launch.gpus, tuple(gpu.uuid for gpu in machine.gpus)
    if wanted == "none":
        return "cpu", (), []
    if wanted == "all":
        lacking = [] if known else [Problem("gpu.none", "launch.gpus", "all", {"reason": _why_no_gpu(machine)})]
        return "cuda", known, lacking
    absent = [uuid for uuid in wanted if uuid not in known]
    found = ", ".join(known) or _why_no_gpu(machine)
    return "cuda", tuple(wanted), [Problem("gpu.absent", "launch.gpus", uuid, {"found": found}) for uuid in absent]


def _link_cautions(chosen: Sequence[str], tensor: int, machine: Machine) -> list[Problem]:
    known = {gpu.uuid: gpu for gpu in machine.gpus}
    crossing = crossing_groups([known[uuid] for uuid in chosen if uuid in known], tensor, machine.links)
    return [crossing_caution(crossing)] if crossing else []


def _why_no_gpu(machine: Machine) -> str:
    return machine.gpu_problem or "this machine shows no NVIDIA GPU"


def _threads(cores: int, ranks: int, device: Device) -> int:
    """Ranks that share cores they do not have are tens of times slower, so each gets its part and no more."""
    share = max(1, cores // ranks)
    return min(share, GPU_THREADS) if device == "cuda" else share


def _memory_problems(preset: Preset, memory: Memory, ranks: int, there: Room) -> list[Problem]:
    each = there.of_rank(ranks)
    if each is None or memory.total <= each:
        return []
    needed, facts = f"{memory.total / GIB:.1f}", {"available": f"{each / GIB:.1f}", "device": UNITS[there.device]}
    changes = fit.nearest_fit(preset, there)
    if changes is None:
        return [Problem("layout.too_large", "parallel.tensor", needed, facts)]
    return [Problem("layout.memory", next(iter(changes)), needed, {**facts, "changes": fit.as_settings(changes)})]


def preset_name(path: Path) -> str:
    """The name a run takes from its preset's file: lower case, of letters, digits, dots and dashes."""
    kept = [character if character.isascii() and character.isalnum() else "-" for character in path.stem.lower()]
    return "".join(kept).strip("-")[:40] or "preset"
