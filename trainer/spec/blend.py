"""One dataset or several, and how much of each: what ``data.data_path`` says. Needs no numpy.

As Megatron's ``--data-path``: one prefix; several (each gets a share by its size); or a weight before each,
``["0.3", "/data/a_text_sentence", "0.7", "/data/b_text_sentence"]``.

Source: ``get_blend_from_list`` in ``megatron/core/datasets/utils.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trainer.spec.problem import PresetError, Problem

FIELD = "data.data_path"


@dataclass(frozen=True)
class Blend:
    """Prefixes, each the path of a dataset without .bin and .idx, and their weights."""

    prefixes: tuple[str, ...]
    weights: tuple[float, ...] | None
    """Shares of the rows, in any unit; None: by the text that each dataset has for the split."""


def parse_blend(data_path: Sequence[str]) -> Blend:
    """What a preset's ``data.data_path`` means. A prefix may be named twice: its shares add up.

    Raises:
        PresetError: numbers and paths do not alternate, or a weight is not above zero.
    """
    numbers = [_number(item) for item in data_path]
    if all(number is None for number in numbers):
        return Blend(tuple(data_path), None)
    for place, (item, number) in enumerate(zip(data_path, numbers, strict=True), 1):
        if (number is None) == (place % 2 == 1):
            raise PresetError(Problem("blend.order", FIELD, item, {"place": place}))
        if number is not None and not (0 < number < math.inf):
            raise PresetError(Problem("blend.weight", FIELD, item, {"place": place}))
    if len(data_path) % 2:
        raise PresetError(Problem("blend.order", FIELD, data_path[-1], {"place": len(data_path)}))
    return Blend(tuple(data_path[1::2]), tuple(float(weight) for weight in data_path[::2]))


def with_prefixes(data_path: Sequence[str], change: Callable[[str], str]) -> tuple[str, ...]:
    """``data_path`` with ``change`` made to each prefix; weights stay as they are."""
    return tuple(item if _number(item) is not None else change(item) for item in data_path)


def split_variable(text: str) -> tuple[str, ...]:
    """The ``data_path`` in an environment variable: ``W1 P1 W2 P2`` as Megatron's command line has it, else one path,
    which may hold blanks."""
    words = tuple(text.split())
    return words if len(words) > 1 and _number(words[0]) is not None else (text,)


def _number(item: str) -> float | None:
    try:
        return float(item)
    except ValueError:
        return None
