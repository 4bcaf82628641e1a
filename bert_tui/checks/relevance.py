"""Which failures stand in the way of the run that was chosen."""

from __future__ import annotations

import dataclasses

from bert_tui.checks.check import Check
from trainer.spec.preset import Preset


def judged(check: Check, preset: Preset) -> Check:
    """The check as it matters to this preset: what the chosen launcher does not need is no failure."""
    if check.answer == "pass" or _needed(check.name, preset):
        return check
    reason = _reason(check.name)
    return dataclasses.replace(check, answer="pass", seen=f"{check.seen.rstrip('.')}; {reason}", meaning="", repair="")


def _needed(name: str, preset: Preset) -> bool:
    area = name.partition(".")[0]
    if area in ("docker", "local"):
        return preset.launch.launcher == area
    return area != "gpu" or preset.launch.gpus != "none"


def _reason(name: str) -> str:
    area = name.partition(".")[0]
    return {
        "docker": "not needed without a container",
        "local": "not needed with a container",
        "gpu": "not needed on the CPU",
    }[area]
