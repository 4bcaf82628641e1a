"""Paths as operators type them."""

from __future__ import annotations

import os


def expand_path(text: str) -> str:
    """An operator's path as the machine takes it: ``~`` and variables filled in, absolute, not resolved."""
    return os.path.abspath(os.path.expanduser(os.path.expandvars(text.strip())))  # noqa: PTH100, PTH111
