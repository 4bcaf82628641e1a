"""How long a run will take, roughly, and what about it deserves a word of caution before it starts."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.spec.gpu_peak import peak_of
from trainer.spec.preset import Preset
from trainer.spec.problem import Problem

CPU_CORE_FLOPS = 100e9
"""Operations a second of one core, in fp32."""
STEP_SECONDS = 0.05
"""What a step costs beside them, however small the model. Both are measured with this trainer on two cores of a server
with AVX-512: bert-tiny at tensor parallel 2 took 83 ms a step (they say 83), 6 layers of width 512 took 1.25 s (1.28).
A core without AVX-512 makes about half as many."""
GPU_SHARE = 0.25
"""Of their peak that GPUs reach. Tuned programs publish 31 to 45 % for BERT (V100, A100); this is a guess
for plain PyTorch, not measured here, and tensor parallel costs more."""

LONG_SECONDS = 30 * 86400.0
"""A run of more than this is more often a mistake than a wish."""
HIGH_LEARNING_RATE = 1e-2
"""BERT is trained with 1e-4 to 1e-3; above this AdamW's first full updates destroy the weights."""

DAY = 86400.0
UNITS = ((365.25 * DAY, "year"), (30.44 * DAY, "month"), (DAY, "day"), (3600.0, "hour"), (60.0, "minute"))


def cpu_rate(cores: int) -> float:
    """Operations a second that a usual server makes on so many cores."""
    return cores * CPU_CORE_FLOPS


def gpu_rate(names: Sequence[str]) -> float | None:
    """Operations a second that these GPUs, by their drivers' names, make together; None where one of them is not known.
    The slowest sets the pace."""
    peaks = [peak.tflops * 1e12 for name in names if (peak := peak_of(name)) is not None]
    return GPU_SHARE * min(peaks) * len(peaks) if peaks and len(peaks) == len(names) else None


def training_seconds(preset: Preset, step_flops: float, rate: float | None) -> float | None:
    """How long the steps of a run take at ``rate`` operations a second, without preparation and validations; None where
    the rate is not known."""
    if rate is None or preset.train.steps is None:
        return None
    return preset.train.steps * (step_flops / rate + STEP_SECONDS)


def cautions(preset: Preset, seconds: float | None) -> tuple[Problem, ...]:
    """What is allowed and hardly meant."""
    found = []
    if seconds is not None and seconds > LONG_SECONDS:
        found.append(Problem("plan.long", "train.steps", roughly(seconds)))
    if preset.train.learning_rate > HIGH_LEARNING_RATE:
        found.append(Problem("plan.learning_rate", "train.learning_rate", f"{preset.train.learning_rate:g}"))
    return tuple(found)


def roughly(seconds: float) -> str:
    """In one unit, as people guess: "3 minutes", "12 days", "1 year"."""
    for size, unit in UNITS:
        if seconds >= 0.95 * size:
            number = round(seconds / size)
            return f"{number:,} {unit}" + ("s" if number != 1 else "")
    return "a minute"
