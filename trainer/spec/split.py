"""How documents are shared out to training, validation and test."""

from __future__ import annotations

import re
from typing import Literal

from trainer.spec.problem import PresetError, Problem

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

SHARE = re.compile(r"\s*(\d{1,9}(\.\d*)?|\.\d+)\s*", re.ASCII)
"""A share as Megatron reads it: digits and a point. Megatron passes over everything else in the string, so that it
takes -1 for 1 and 1e3 for 1 and 3; here such a string is refused."""


def parse_split(text: str) -> tuple[float, float, float]:
    """The three shares of ``data.split``, summing to 1.

    Source: ``parse_and_normalize_split`` in ``megatron/core/datasets/blended_megatron_dataset_config.py``.

    Raises:
        PresetError: not one to three numbers with commas between them, or none for training.
    """
    parts = [float(part) if SHARE.fullmatch(part) else -1.0 for part in text.split(",")]
    if not 1 <= len(parts) <= 3 or min(parts) < 0 or parts[0] <= 0:
        raise PresetError(Problem("data.split", "data.split", text))
    parts += [0.0] * (3 - len(parts))
    total = parts[0] + parts[1] + parts[2]
    return parts[0] / total, parts[1] / total, parts[2] / total


def split_documents(text: str, documents: int) -> dict[Split, range]:
    """The documents of each split: contiguous, not shuffled, borders rounded, as Megatron has it.

    Raises:
        PresetError: as :func:`parse_split`.
    """
    train, validation, test = parse_split(text)
    shares = (0.0, train, train + validation, train + validation + test)
    borders = [round(share * float(documents)) for share in shares]
    return {split: range(borders[i], borders[i + 1]) for i, split in enumerate(SPLITS)}
