"""How the command line reads paths and numbers: as the wizard's fields do, with the same words where it cannot."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path

from bert_tui.paths import typed_path
from trainer.spec.problem import RunError
from trainer.spec.typed_number import whole_number


def path_argument(text: str) -> Path:
    """An absolute path.

    Raises:
        ArgumentTypeError: it can be none, and why.
    """
    try:
        return typed_path("the argument", text)
    except RunError as error:
        from bert_tui.advice.words import describe

        words = describe(error.problems[0])
        raise ArgumentTypeError(f"{words.what} {words.remedy}") from error


def number_argument(text: str) -> int:
    """A whole number, as in 10000, 10,000 and 10k.

    Raises:
        ArgumentTypeError: it is none.
    """
    number = whole_number(text)
    if number is None:
        raise ArgumentTypeError("write a whole number, such as 3 or 10000")
    return number
