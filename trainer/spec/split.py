"""How documents are shared out to training, validation and test."""

from __future__ import annotations

import math
from typing import Literal

from trainer.spec.problem import PresetError, Problem

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def parse_split(text: str) -> tuple[float, float, float]:
    """The three shares of ``data.split``, summing to 1.

    Raises:
        PresetError: not one to three numbers with commas between them, one below zero, or none for training.
    """
    try:
        parts = [float(part) for part in text.split(",")]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or not all(0 <= part < 1e9 for part in parts) or parts[0] <= 0:
        raise PresetError(Problem("data.split", "data.split", text))
    parts += [0.0] * (3 - len(parts))
    total = math.fsum(parts)
    return parts[0] / total, parts[1] / total, parts[2] / total


def split_documents(text: str, documents: int) -> dict[Split, range]:
    """The documents of each split: contiguous, not shuffled, borders rounded, as Megatron has it.

    Raises:
        PresetError: as :func:`parse_split`.
    """
    train, validation, _ = parse_split(text)
    borders = (0, round(train * documents), round((train + validation) * documents), documents)
    return {split: range(borders[i], borders[i + 1]) for i, split in enumerate(SPLITS)}
