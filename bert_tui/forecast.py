"""How long a run will take, roughly, and what about it deserves a word of caution before it starts."""

from __future__ import annotations

from collections.abc import Sequence

from bert_tui.step_time import Speed, link_of
from trainer.spec.gpu_peak import peak_of
from trainer.spec.preset import Preset
from trainer.spec.problem import Problem

CPU_CORE_FLOPS = 100e9
"""Operations a second of one core, in fp32, as tensor-parallel processes. Measured, together with
``step_time.STEP_SECONDS``, with this trainer on two cores of a server with AVX-512: bert-tiny at tensor parallel 2
took 83 ms a step (they say 83), 6 layers of width 512 took 1.25 s (1.28). A core without AVX-512 makes about half as
many."""
GPU_SHARE = 0.25
"""Of their peak that GPUs reach. Tuned programs publish 31 to 45 % for BERT (V100, A100); this is a guess
for plain PyTorch, not measured here. What tensor parallel costs is in ``step_time``."""

LONG_SECONDS = 30 * 86400.0
"""A run of more than this is more often a mistake than a wish."""
HIGH_LEARNING_RATE = 1e-2
"""BERT is trained with 1e-4 to 1e-3; above this AdamW's first full updates destroy the weights."""

DAY = 86400.0
UNITS = ((365.25 * DAY, "year"), (30.44 * DAY, "month"), (DAY, "day"), (3600.0, "hour"), (60.0, "minute"))


def cpu_speed(cores: int, ranks: int) -> Speed:
    """What each of so many processes does on its share of a usual server's cores."""
    return Speed("cpu", cores * CPU_CORE_FLOPS / ranks)


def gpu_speed(names: Sequence[str]) -> Speed | None:
    """What each of these GPUs does, by their drivers' names; None where one of them is not known. The slowest sets the
    pace."""
    peaks = [peak.tflops * 1e12 for name in names if (peak := peak_of(name)) is not None]
    if not peaks or len(peaks) != len(names):
        return None
    return Speed("cuda", GPU_SHARE * min(peaks), min(map(link_of, names)))


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
