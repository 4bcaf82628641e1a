"""Paths as operators type them."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from trainer.spec.problem import Problem, RunError

LONGEST_NAME, LONGEST_PATH = 255, 4095
"""Bytes that Linux takes of one name, and of a whole path."""
LONGEST_SHOWN = 60
"""Characters told of a path that is too long."""


def expand_path(text: str) -> str:
    """An operator's path as the machine takes it: ``~`` and variables filled in, absolute, not resolved."""
    return os.path.abspath(os.path.expanduser(os.path.expandvars(text.strip())))  # noqa: PTH100, PTH111


def typed_path(field: str, text: str) -> Path:
    """A path as it was typed into ``field``, absolute; the disk is not looked at.

    Raises:
        RunError: it is empty, has several lines or characters that cannot be seen, names a variable that is not set
            or a user who is not there, or is longer than any path may be.
    """
    text = text.strip()
    if not text:
        raise RunError(Problem("path.empty", field))
    if hidden := next((character for character in text if not character.isprintable()), ""):
        raise RunError(Problem("path.characters", field, _named(hidden)))
    expanded = expand_path(text)
    if unset := re.search(r"\$(\w+|\{\w+\})", expanded):
        raise RunError(Problem("path.variable", text, unset[0]))
    if text.startswith("~") and os.path.expanduser(text) == text:  # noqa: PTH111 (which raises instead)
        raise RunError(Problem("path.user", text, text.split("/")[0][1:]))
    if len(os.fsencode(expanded)) > LONGEST_PATH or any(
        len(os.fsencode(name)) > LONGEST_NAME for name in expanded.split("/")
    ):
        facts = {"name": LONGEST_NAME, "path": f"{LONGEST_PATH:,}"}
        raise RunError(Problem("path.too_long", f"{text[:LONGEST_SHOWN]}…", f"{len(os.fsencode(expanded)):,}", facts))
    return Path(expanded)


def short_path(path: Path) -> str:
    """With ~ for the home folder, as shells take it."""
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)


def _named(character: str) -> str:
    """As in "U+00A0 (no-break space)"."""
    name = unicodedata.name(character, "").lower()
    return f"U+{ord(character):04X}" + (f" ({name})" if name else "")
