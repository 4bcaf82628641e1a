"""Paths as operators type them."""

from __future__ import annotations

import os
from pathlib import Path


def expand_path(text: str) -> str:
    """An operator's path as the machine takes it: ``~`` and variables filled in, absolute, not resolved."""
    return os.path.abspath(os.path.expanduser(os.path.expandvars(text.strip())))  # noqa: PTH100, PTH111


def short_path(path: Path) -> str:
    """With ~ for the home folder, as shells take it."""
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)
