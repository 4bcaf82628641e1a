"""Whether names and values are those of a preset, and what is wrong with them."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import sys
import types
import typing
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from trainer.spec import preset as schema
from trainer.spec.preset import SECTIONS, Preset, Setting
from trainer.spec.problem import PresetError, Problem
from trainer.spec.toml_text import cut, line_of, shown
from trainer.spec.typed_number import decimal_number

LARGEST_FLOAT = sys.float_info.max
MOST_TOLD = 20
"""Unknown names that are told of one file."""
FOREIGN = frozenset({"schema", "extends", "resolved"})
"""Top-level names beside the sections; ``resolved`` is what a run directory's ``run.toml`` adds."""


def check_names(tables: Mapping[str, Any], where: str, text: str) -> None:
    """``text`` is what the tables were read from, to tell lines; empty where they come from elsewhere.

    Raises:
        PresetError: a section or key is unknown, or a section is no table.
    """
    if problems := list(itertools.islice(_name_problems(tables, where, text), MOST_TOLD)):
        raise PresetError(*problems)


def _name_problems(tables: Mapping[str, Any], where: str, text: str) -> Iterator[Problem]:
    for section, table in tables.items():
        if section not in SECTIONS:
            yield unknown_name(section, where + line_of(text, section, None))
        elif not isinstance(table, dict):
            facts = {"expected": "a table"}
            yield Problem("preset.wrong_type", f"{where}{line_of(text, section, None)}: {section}", shown(table), facts)
        else:
            known = {item.name for item in dataclasses.fields(SECTIONS[section])}
            for key in table:
                if key not in known:
                    yield unknown_name(f"{section}.{key}", where + line_of(text, section, key))


def unknown_name(name: str, where: str) -> Problem:
    """What is told of a name that is none. Meant is the same key in another section, or else a name that is spelled
    nearly so."""
    name = cut(name)
    dotted = {f"{section}.{key}": key for section, key, _ in schema.settings()}
    same_key = [other for other, key in dotted.items() if key == name.rpartition(".")[2]]
    names = {other: other for other in (*dotted, *SECTIONS, *FOREIGN)}
    if "." not in name:
        names |= {key: other for other, key in dotted.items() if key not in names}
    close = difflib.get_close_matches(name, same_key, n=1, cutoff=0) or difflib.get_close_matches(name, names, n=1)
    suggestion = f"; did you mean {names[close[0]]}?" if close else "."
    return Problem("preset.unknown_key", where, name, {"suggestion": suggestion})


def build_preset(tables: Mapping[str, Any], where: str, text: str = "") -> Preset:
    """The preset of tables whose names are known; ``text`` as in :func:`check_names`.

    Raises:
        PresetError: values do not fit their fields; all are named.
    """
    problems: list[Problem] = []
    sections = {}
    for section, kind in SECTIONS.items():
        hints = typing.get_type_hints(kind)
        values = {}
        for key, value in tables.get(section, {}).items():
            setting = kind.__dataclass_fields__[key].metadata["setting"]
            outcome = _checked(value, hints[key], setting, f"{where}: {section}.{key}")
            if isinstance(outcome, Problem):
                place = f"{where}{line_of(text, section, key)}: {section}.{key}"
                problems.append(dataclasses.replace(outcome, where=place))
            else:
                values[key] = outcome[0]
        sections[section] = kind(**values)
    if problems:
        raise PresetError(*problems)
    return Preset(**sections)


def _checked(value: Any, hint: Any, setting: Setting, where: str) -> tuple[Any] | Problem:
    """The value as its field holds it (in a tuple of one), or what is wrong with it."""
    kinds = alternatives(hint)
    for kind in kinds:
        fits, taken = as_kind(value, kind)
        if fits:
            return _within(taken, setting, where) or (taken,)
    expected = " or ".join(_described(kind, setting) for kind in kinds if kind is not type(None))
    return Problem("preset.wrong_type", where, shown(value), {"expected": expected})


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The types that a field takes."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return typing.get_args(hint)
    return (hint,)


def as_kind(value: Any, kind: Any) -> tuple[bool, Any]:
    """Whether a value of TOML is one of this type, and the value as a preset holds it."""
    if typing.get_origin(kind) is Literal:
        return value in typing.get_args(kind) and isinstance(value, str), value
    if typing.get_origin(kind) is tuple:
        fits = isinstance(value, list | tuple) and all(isinstance(item, str) and is_one_line(item) for item in value)
        return fits, tuple(value) if fits else value
    if kind is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_FLOAT
        return fits, float(value) if fits else value
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool), value
    if kind is str:
        return isinstance(value, str) and is_one_line(value), value
    return isinstance(value, kind), value


def is_one_line(text: str) -> bool:
    """No control characters, which no path has a use for, and no bytes that are not UTF-8."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


def _described(kind: Any, setting: Setting) -> str:
    if kind in (int, float):
        number = decimal_number(setting.example)
        return {int: "a whole number", float: "a number"}[kind] + (f", such as {setting.example}" if number else "")
    if typing.get_origin(kind) is Literal:
        return " or ".join(f"'{choice}'" for choice in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return "a list of one-line strings"
    return {bool: "true or false", str: "a one-line string"}[kind]


def _within(value: Any, setting: Setting, where: str) -> Problem | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    low, high, strict = setting.minimum, setting.maximum, setting.exclusive
    too_low = low is not None and (value <= low if strict else value < low)
    too_high = high is not None and (value >= high if strict else value > high)
    if not (too_low or too_high):
        return None
    bounds = [f"{'above' if strict else 'at least'} {_number(low)}"] if low is not None else []
    bounds += [f"{'below' if strict else 'at most'} {_number(high)}"] if high is not None else []
    return Problem("preset.out_of_range", where, shown(value), {"expected": " and ".join(bounds)})


def _number(limit: float) -> str:
    """As people write it: 1,000,000,000 and 0.5."""
    return f"{limit:,.0f}" if limit == int(limit) else f"{limit:g}"
