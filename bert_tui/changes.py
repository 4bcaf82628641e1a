"""What one preset says otherwise than another, field by field."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bert_tui.presets import find_preset
from trainer.spec.preset import Preset, get, settings
from trainer.spec.preset_file import base_of, read_preset


@dataclass(frozen=True)
class Change:
    """One field."""

    field: str
    """As ``train.steps``."""
    was: str
    now: str

    @property
    def line(self) -> str:
        """As ``train.steps 2,000 -> 10,000``."""
        return f"{self.field} {self.was} -> {self.now}"


@dataclass(frozen=True)
class Comparison:
    """A preset beside the one it began with."""

    origin: str
    """What that one is called; empty where there is none."""
    changes: tuple[Change, ...] = ()

    @property
    def lines(self) -> list[str]:
        """For people; none where there is nothing to compare with."""
        if not self.origin:
            return []
        if not self.changes:
            return [f"Nothing differs from {self.origin}."]
        return [f"Other than in {self.origin}:", *(f"  {change.line}" for change in self.changes)]


def compare(before: Preset, after: Preset) -> tuple[Change, ...]:
    """The fields whose values differ, in the order of the file."""
    names = [f"{section}.{key}" for section, key, _ in settings()]
    return tuple(
        Change(name, shown(get(before, name)), shown(get(after, name)))
        for name in names
        if get(before, name) != get(after, name)
    )


def compared_with_origin(path: Path, preset: Preset) -> Comparison:
    """A preset, with all that was changed for one start, beside what its file extends, or else beside its file.

    Raises:
        PresetError: a file cannot be read.
    """
    base = base_of(path, find_preset)
    origin = base or path
    changes = compare(read_preset(origin, find_preset), preset)
    return Comparison(origin.stem, changes) if base or changes else Comparison("")


def shown(value: Any) -> str:
    """A value as people read it: 2,000,000, off, nothing yet."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if value in (None, ()):
        return "open"
    if isinstance(value, int):
        return f"{value:,}"
    return " ".join(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)
