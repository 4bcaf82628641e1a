"""Preset files as hands, editors and other programs make them: any value, any key, any way of writing."""

from __future__ import annotations

import math
from datetime import date, datetime, time
from typing import Any

from hypothesis import strategies as st

from trainer.spec.preset import settings
from trainer.spec.toml_text import toml_value

NAMES = [f"{section}.{key}" for section, key, _ in settings()]

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = st.one_of(
    st.integers(),
    st.sampled_from([0, 1, -1, 2, 16, 10**9, 10**30, 1 << 70]),
    st.floats(),
    st.sampled_from([0.0, -0.0, 0.5, 1e-5, 1e300, math.inf, math.nan]),
    st.booleans(),
    words,
    st.sampled_from(
        ["auto", "all", "none", "full", "files", "bf16", "", " ", "1", "true", "\ufeff", "é", "漢字", "a\nb"]
    ),
    st.just(date(1979, 5, 27)),
    st.just(time(7, 32)),
    st.just(datetime(1979, 5, 27, 7, 32)),
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=2), max_leaves=5
)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    """The content of a file as Python has it: mostly known names, with whatever values."""
    content: dict[str, Any] = {"schema": draw(st.just(1) | st.just(1) | scalars)}
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=4, unique=True)):
        section, _, key = name.partition(".")
        content.setdefault(section, {})[key] = draw(values)
    for name in draw(
        st.lists(words | st.sampled_from(["modle", "layers", "resolved", "extends", "train"]), max_size=1)
    ):
        content[name] = draw(values)
    return content


def written(content: dict[str, Any]) -> str:
    """As TOML."""
    return "".join(f"{_key(key)} = {as_toml(value)}\n" for key, value in content.items())


def _key(key: str) -> str:
    return toml_value(key)


def as_toml(value: Any) -> str:
    """One value, whatever it is."""
    match value:
        case date() | time():
            return value.isoformat()
        case dict():
            return "{" + ", ".join(f"{_key(key)} = {as_toml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(as_toml, value)) + "]"
        case _:
            return toml_value(value)
