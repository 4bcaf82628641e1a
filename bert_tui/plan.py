"""A plan: a preset resolved against a machine. Shown for review, printed by ``bert-tui plan``, started as a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bert_tui.machine import Machine
from trainer.spec.preset import Preset
from trainer.spec.problem import Problem
from trainer.spec.sizing import Memory, Shape


@dataclass(frozen=True)
class Plan:
    """Everything decided that can be decided before the data and the image are there."""

    name: str
    """Of the preset; part of the run's id."""
    preset: Preset
    """Complete; paths absolute, "auto" replaced but for precision and image."""
    device: Literal["cpu", "cuda"]
    gpus: tuple[str, ...]
    """UUIDs in the order of ranks."""
    ranks: int
    threads: int
    """CPU threads of each rank."""
    accumulation: int
    """Micro batches a rank works through for one update."""
    shape: Shape
    """With BERT's vocabulary where the real one is not known yet."""
    parameters: int
    memory: Memory
    """Of one rank."""
    step_flops: float
    problems: tuple[Problem, ...]
    """What forbids the start; empty in a sound plan."""


def make_plan(preset: Preset, name: str, machine: Machine) -> Plan:
    """Resolves a complete preset against a machine.

    Raises:
        PresetError: fields are open; all are named.
    """
    raise NotImplementedError
