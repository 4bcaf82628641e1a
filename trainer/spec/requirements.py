"""What the trainer's Python must have."""

from __future__ import annotations

import re

PACKAGES = ("torch", "numpy", "tensorboard")
"""By the name they are imported and distributed under."""
TORCH_FLOOR = (2, 6)
"""Oldest torch whose distributed tensors, checkpoints and torchrun the trainer knows."""


def floor_text() -> str:
    """The floor as people write it."""
    return ".".join(map(str, TORCH_FLOOR))


def torch_is_old(version: str) -> bool:
    """Whether a torch version such as ``2.13.0+cpu`` or ``2.9.0a0+145a3a7bda`` is below the floor. What is no version
    is not called old."""
    match = re.match(r"(\d+)\.(\d+)", version)
    return match is not None and (int(match[1]), int(match[2])) < TORCH_FLOOR
