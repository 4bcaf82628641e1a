"""How many pieces a vocabulary file has, counted while a screen waits for the figure."""

from __future__ import annotations

import functools
import stat
import time
from pathlib import Path

from bert_tui.deadline import within

LOOK_SECONDS = 0.1
"""How long the disk may take; a key that is pressed meanwhile waits."""
KEPT_SECONDS = 5.0
"""How long an answer holds, so that a disk that hangs is not asked anew for every figure of a page."""
LARGEST_FILE = 64 << 20
"""Bytes; something larger is no vocabulary."""


def vocabulary_size(path: str) -> int | None:
    """The pieces in a vocabulary file, one a line; None where it cannot be read at once. Whether BERT can be trained
    with it is the checklist's question."""
    return _kept(path, int(time.monotonic() / KEPT_SECONDS))


@functools.lru_cache(maxsize=4)
def _kept(path: str, _period: int) -> int | None:
    try:
        return within(LOOK_SECONDS, lambda: _count(Path(path)), name="count vocabulary")
    except (OSError, ValueError):  # TimeoutError is an OSError; ValueError: a NUL character in the path
        return None


def _count(path: Path) -> int | None:
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode) or facts.st_size > LARGEST_FILE:
        return None
    content = path.read_bytes().rstrip()
    return content.count(b"\n") + 1 if content else None
