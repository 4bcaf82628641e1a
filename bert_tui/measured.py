"""What ``bert-tui calibrate`` found on this machine, kept in the user's state folder: a file for each model on each
set of devices, an entry for each layout."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bert_tui.places import state_folder
from trainer.spec.records import read_record, to_json
from trainer.spec.run_directory import write_whole
from trainer.spec.sizing import Layout

if TYPE_CHECKING:
    from bert_tui.machine import Machine
    from bert_tui.plan import Plan


@dataclass(frozen=True)
class Measured:
    """One layout, measured."""

    layout: Layout
    micro_batch: int
    step_seconds: float
    """Median of the steps that counted."""
    tokens_per_second: float
    """Of all ranks, padding not counted."""
    memory: int
    """Bytes of rank 0 at its fullest: device memory on a GPU, resident memory on a CPU."""
    steps: int
    """How many counted."""
    when: float
    """Unix time."""

    @property
    def date(self) -> str:
        """As people write it, in local time."""
        return time.strftime("%Y-%m-%d", time.localtime(self.when))


@dataclass(frozen=True)
class Measurements:
    """Everything measured of one model on one set of devices."""

    circumstances: dict[str, Any]
    entries: tuple[Measured, ...] = ()

    def of(self, plan: Plan) -> Measured | None:
        """That of the plan's own layout and micro batch."""
        wanted = (plan.layout, plan.micro_batch)
        return next((entry for entry in self.entries if (entry.layout, entry.micro_batch) == wanted), None)


def circumstances(plan: Plan, machine: Machine) -> dict[str, Any]:
    """What decides the speed beside the layout: model, rows a step, number format, devices."""
    named = {gpu.uuid: gpu.name for gpu in machine.gpus}
    preset = plan.preset
    return {
        "shape": asdict(plan.shape),
        "dropout": preset.model.dropout,
        "rows": preset.train.global_batch,
        "precision": preset.train.precision,
        "compile": preset.train.compile,
        "launcher": preset.launch.launcher,
        "image": preset.launch.image,
        "devices": [named.get(uuid, uuid) for uuid in plan.gpus] or [f"cpu, {machine.cores} cores"],
    }


def measurements(plan: Plan, machine: Machine) -> Measurements:
    """What has been measured of this model on these devices; a file that cannot be read counts as none."""
    what = circumstances(plan, machine)
    found = read_record(Measurements, _file(what))
    return found if found is not None and found.circumstances == what else Measurements(what)


def keep(plan: Plan, machine: Machine, entry: Measured) -> None:
    """Adds an entry, in place of an older one of the same layout.

    Raises:
        OSError: the state folder cannot be written.
    """
    before = measurements(plan, machine)
    others = (old for old in before.entries if (old.layout, old.micro_batch) != (entry.layout, entry.micro_batch))
    write_whole(_file(before.circumstances), to_json(dataclasses.replace(before, entries=(*others, entry))))


def with_measured(plan: Plan, machine: Machine) -> Plan:
    """The plan with what was measured in place of what was estimated; as it is where nothing was."""
    found = measurements(plan, machine).of(plan)
    if found is None:
        return plan
    seconds = (plan.preset.train.steps or 0) * found.step_seconds
    return dataclasses.replace(plan, measured=found, step_seconds=found.step_seconds, seconds=seconds)


def measured_folder() -> Path:
    """Where it lies, made if absent."""
    folder = state_folder() / "measured"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _file(what: dict[str, Any]) -> Path:
    name = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
    return measured_folder() / f"{name}.json"
