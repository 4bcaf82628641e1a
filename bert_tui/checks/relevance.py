"""Which failures stand in the way of a run: the one that was chosen, or the one that suits the machine."""

from __future__ import annotations

import dataclasses

from bert_tui.checks.check import Check
from trainer.spec.preset import Preset


def judged(check: Check, preset: Preset) -> Check:
    """The check as it matters to this preset: what the chosen launcher does not need is no failure."""
    if check.answer == "pass" or _needed(check.name, preset):
        return check
    reason = _reason(check.name)
    seen = f"{check.seen.rstrip('.')}; {reason}"
    return dataclasses.replace(check, answer="pass", seen=seen, meaning="", repair="", waived=reason)


def for_later(check: Check, preset: Preset) -> Check:
    """The check as it matters before anything is chosen, where this preset is what suits the machine: what it does not
    need is a caution that says what it is for."""
    if check.answer == "pass" or _needed(check.name, preset):
        return check
    meaning = f"{check.meaning} {_purpose(check.name)}".strip()
    return dataclasses.replace(check, answer="unknown" if check.answer == "unknown" else "warn", meaning=meaning)


def _needed(name: str, preset: Preset) -> bool:
    area = name.partition(".")[0]
    if area in ("docker", "local"):
        return preset.launch.launcher == area
    return area != "gpu" or preset.launch.gpus != "none"


def _reason(name: str) -> str:
    return {
        "docker": "not needed without a container",
        "local": "not needed with a container",
        "gpu": "not needed on the CPU",
    }[name.partition(".")[0]]


def _purpose(name: str) -> str:
    return {
        "docker": "Needed only to train in a container.",
        "local": "Needed only to train without a container.",
        "gpu": "Needed only for models larger than bert-tiny.",
    }[name.partition(".")[0]]
