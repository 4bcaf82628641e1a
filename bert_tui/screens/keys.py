"""The keys of a screen, told once: for its bindings, its footer and its help."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textual.binding import Binding

KEY_COLUMN = 12


@dataclass(frozen=True)
class Key:
    """One thing the operator can do."""

    keys: str
    action: str
    label: str
    help: str
    shown: bool = True

    @property
    def binding(self) -> Binding:
        """As Textual wants it; the footer names the first of the keys."""
        return Binding(self.keys, self.action, self.label, show=self.shown, key_display=self.names[0])

    @property
    def names(self) -> list[str]:
        """What stands on the keys."""
        return [NAMES.get(name, name.upper() if name.startswith("f") else name) for name in self.keys.split(",")]


NAMES = {
    "question_mark": "?", "home": "Home", "end": "End", "enter": "Enter", "escape": "Escape", "space": "Space",
    "backspace": "Backspace", "left": "Left", "right": "Right", "plus": "+", "equals_sign": "=", "minus": "-",
    "comma": ",", "full_stop": ".", "less_than_sign": "<", "greater_than_sign": ">", "ctrl+q": "Ctrl+Q",
    "ctrl+c": "Ctrl+C",
}  # fmt: skip
"""Of keys that Textual calls otherwise than people do."""


def told(keys: Iterable[Key]) -> str:
    """A line for each, for a help text."""
    return "\n".join(f"{', '.join(key.names):<{KEY_COLUMN}}{key.help}" for key in keys)
