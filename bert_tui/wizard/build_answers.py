"""What was typed on the page that builds a dataset."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

from bert_tui.data.order import BadText

VOCABULARY_SIZE = 30522
"""Of the first BERT, lower-case."""


@dataclass(frozen=True)
class BuildForm:
    """Everything as it was typed."""

    text: str = ""
    keys: str = "text"
    output: str = ""
    vocabulary: Literal["train", "file"] = "train"
    pieces: str = str(VOCABULARY_SIZE)
    vocab_file: str = ""
    letters: Literal["lower", "cased"] = "lower"
    bad_text: BadText = "refuse"


def form_of(table: Mapping[str, Any]) -> BuildForm:
    """The form from the table that ``dataclasses.asdict`` makes of it.

    Raises:
        TypeError, ValueError: it is none.
    """
    form, hints = BuildForm(**table), get_type_hints(BuildForm)
    for field in dataclasses.fields(form):
        value, possible = getattr(form, field.name), get_args(hints[field.name])
        if not isinstance(value, str) or (possible and value not in possible):
            raise ValueError(f"{field.name}: {value!r}")
    return form
