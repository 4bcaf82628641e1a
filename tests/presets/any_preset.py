"""Presets of any possible values."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, Literal

from hypothesis import strategies as st

from trainer.spec.preset import SECTIONS, Preset, Setting

lines = st.text(st.characters(blacklist_categories=["Cc", "Cs"]), max_size=20)


def values_of(hint: Any, setting: Setting) -> st.SearchStrategy[Any]:
    """Everything a field accepts."""
    low, high = setting.minimum, setting.maximum
    if typing.get_origin(hint) is Literal:
        return st.sampled_from(typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return st.lists(lines, min_size=1, max_size=3).map(tuple)
    if args := typing.get_args(hint):
        return st.one_of([values_of(kind, setting) for kind in args if kind is not type(None)])
    if hint is bool:
        return st.booleans()
    if hint is int:
        assert low is not None
        assert high is not None
        return st.integers(int(low), int(high))
    if hint is float:
        return st.floats(
            low, high, exclude_min=setting.exclusive, exclude_max=setting.exclusive and high is not None,
            allow_infinity=False,
        )  # fmt: skip
    return lines


@st.composite
def any_preset(draw: st.DrawFn) -> Preset:
    sections = {}
    for section, kind in SECTIONS.items():
        hints = typing.get_type_hints(kind)
        chosen = draw(st.sets(st.sampled_from([item.name for item in dataclasses.fields(kind)])))
        found = {key: draw(values_of(hints[key], kind.__dataclass_fields__[key].metadata["setting"])) for key in chosen}
        sections[section] = kind(**found)
    return Preset(**sections)
