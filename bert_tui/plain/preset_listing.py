"""The presets as lines, and their schema."""

from __future__ import annotations

import json

from bert_tui.advice.words import in_full
from bert_tui.exit_status import ExitStatus
from bert_tui.invocation import program
from bert_tui.paths import short_path
from bert_tui.presets import KnownPreset, known_presets, shelves

OWNERS = {"yours": "yours", "system": "the system's", "shipped": "shipped"}


def list_presets(*, as_json: bool) -> int:
    """Prints every preset that has a name."""
    presets = known_presets()
    if as_json:
        print(json.dumps([_facts(preset) for preset in presets], ensure_ascii=False, indent=2))
        return ExitStatus.FINISHED
    for preset in presets:
        print("\n".join(_lines(preset)))
    print("\nLooked for, the first of a name wins:")
    for shelf in shelves():
        print(f"  {OWNERS[shelf.owner]:<13} {short_path(shelf.folder)}")
    print(f"\nStart one: {program()} run NAME   What it would do: {program()} plan NAME")
    return ExitStatus.FINISHED


def _lines(preset: KnownPreset) -> list[str]:
    about = "! cannot be used" if preset.problem else preset.about
    hidden = ", behind another of this name" if preset.hidden else ""
    reason = [f"             {preset.problem.english}"] if preset.problem else []
    return [
        f"{preset.name:<12} {about}",
        *reason,
        f"             {OWNERS[preset.owner]}{hidden}: {short_path(preset.path)}",
    ]


def _facts(preset: KnownPreset) -> dict[str, object]:
    return {
        "name": preset.name,
        "owner": preset.owner,
        "path": str(preset.path),
        "about": preset.about,
        "hidden": preset.hidden,
        "problem": in_full(preset.problem) if preset.problem else None,
    }
