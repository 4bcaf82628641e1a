"""Reading and writing preset files: strict TOML with ``extends`` and overrides."""

from __future__ import annotations

import dataclasses
import difflib
import re
import sys
import tomllib
import types
import typing
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from trainer.spec import preset as schema
from trainer.spec.preset import SCHEMA, SECTIONS, Preset, Setting
from trainer.spec.problem import PresetError, Problem
from trainer.spec.typed_number import decimal_number, whole_number

Finder = Callable[[str], Path]
"""Turns what ``extends`` names (a shipped preset or a path) into a file; raises PresetError if there is none."""

Tables = dict[str, dict[str, Any]]
NOT_TOML = (ValueError, RecursionError)
"""What tomllib raises: its own error (a ValueError), a plain ValueError for a number of thousands of digits, and
RecursionError for thousands of brackets."""
LARGEST_FLOAT = sys.float_info.max
LONGEST_SHOWN = 80
"""Characters of a refused value that are told."""
FOREIGN = frozenset({"schema", "extends", "resolved"})
"""Top-level names beside the sections; ``resolved`` is what a run directory's ``run.toml`` adds."""


def read_preset(path: Path, find: Finder) -> Preset:
    """The preset in ``path``, with what it extends filled in.

    Raises:
        PresetError: unreadable, not TOML, an unknown key, a wrong type or a value out of range; all are named.
    """
    return _build(_tables(path, find, seen=()), str(path))


def parse_override(text: str) -> tuple[str, str, Any]:
    """``train.learning_rate=3e-4`` as (section, key, value); numbers may be typed as people do (10k, 10,000), and a
    value that is no TOML is taken as a string.

    Raises:
        PresetError: no such field, or not of the form ``section.key=value``.
    """
    name, equals, raw = text.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot):
        raise PresetError(Problem("preset.wrong_type", "--set", text, {"expected": "of the form section.key=value"}))
    _check_names({section: {key: None}}, "--set", "")
    return section, key, _typed_value(raw.strip(), _alternatives(typing.get_type_hints(SECTIONS[section])[key]))


def _typed_value(raw: str, kinds: tuple[Any, ...]) -> Any:
    """What was typed for a field of these kinds: a number as people type it, a value of TOML, or the text itself."""
    value = _toml_or_text(raw)
    if int not in kinds and float not in kinds:
        return value
    number = whole_number(raw) if int in kinds else decimal_number(raw)
    if number is not None:
        return number
    return value if isinstance(value, str) else raw


def _toml_or_text(raw: str) -> Any:
    """A value of TOML in one line, or else the text itself."""
    try:
        document = tomllib.loads(f"x = {raw}")
    except NOT_TOML:
        return raw
    return document["x"] if len(document) == 1 else raw


def override(preset: Preset, texts: Iterable[str]) -> Preset:
    """A copy of ``preset`` with ``--set`` texts applied. A field that holds a list takes one string, too:
    ``data.data_path=/data/wiki_text_sentence``.

    Raises:
        PresetError: as :func:`parse_override`, and for values that do not fit their field.
    """
    tables = as_tables(preset)
    for text in texts:
        section, key, value = parse_override(text)
        tables[section][key] = _list_of_one(value, section, key)
    return _build(tables, "--set")


def _list_of_one(value: Any, section: str, key: str) -> Any:
    """One string where a list of them is wanted is meant as a list of one."""
    kinds = _alternatives(typing.get_type_hints(SECTIONS[section])[key])
    wants_list = any(typing.get_origin(kind) is tuple for kind in kinds)
    if isinstance(value, str) and value and wants_list and not any(_as_kind(value, kind)[0] for kind in kinds):
        return [value]
    return value


def as_tables(preset: Preset) -> Tables:
    """The closed fields of a preset as TOML tables; open ones are left out."""
    return {
        section: {
            item.name: list(value) if isinstance(value, tuple) else value
            for item in dataclasses.fields(kind)
            if (value := getattr(getattr(preset, section), item.name)) not in (None, ())
        }
        for section, kind in SECTIONS.items()
    }


def from_tables(tables: Mapping[str, Any], where: str) -> Preset:
    """The preset described by tables as :func:`as_tables` gives them.

    Raises:
        PresetError: as :func:`read_preset`.
    """
    _check_names(tables, where, "")
    return _build({name: dict(table) for name, table in tables.items()}, where)


def render(preset: Preset, *, heading: str = "", extra: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """The text of a preset file. ``heading`` becomes comment lines, ``extra`` further tables such as ``resolved``."""
    lines = [f"# {_printable(line)}".rstrip() for line in heading.splitlines()]
    lines.append(f"schema = {SCHEMA}")
    for section, table in [*as_tables(preset).items(), *(extra or {}).items()]:
        lines += ["", f"[{section}]", *(f"{key} = {toml_value(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def toml_value(value: Any) -> str:
    """One value as TOML 1.0 writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _toml_string(value)
        case int():
            return str(value)
        case float():
            text = repr(value)
            return text if any(mark in text for mark in ".en") else f"{text}.0"
        case list() | tuple():
            return "[" + ", ".join(toml_value(item) for item in value) + "]"
        case _:
            raise TypeError(f"no TOML form for {type(value).__name__}")


def _toml_string(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in text) + '"'


def _tables(path: Path, find: Finder, seen: tuple[Path, ...]) -> Tables:
    """The tables of a file over those of the file it extends."""
    text = _read_text(path)
    try:
        document = tomllib.loads(text)
    except NOT_TOML as error:
        raise PresetError(Problem("preset.not_toml", str(path), "", {"reason": str(error)})) from error
    if document.get("schema") != SCHEMA:
        where = f"{path}: schema"
        raise PresetError(Problem("preset.wrong_schema", where, str(document.get("schema")), {"known": SCHEMA}))
    own = {name: table for name, table in document.items() if name not in FOREIGN}
    _check_names(own, str(path), text)
    if "extends" not in document:
        return own
    base_path = _extended(path, str(document["extends"]), find)
    if base_path in (*seen, path.resolve()):
        raise PresetError(Problem("preset.extends_loop", str(path), str(document["extends"])))
    base = _tables(base_path, find, (*seen, path.resolve()))
    return {name: {**base.get(name, {}), **own.get(name, {})} for name in SECTIONS}


def _extended(path: Path, name: str, find: Finder) -> Path:
    """The file that ``path`` extends; a relative path counts from the folder of ``path``."""
    beside = path.parent / name
    if name.endswith(".toml") and beside.is_file():
        return beside.resolve()
    return find(name).resolve()


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise PresetError(Problem("preset.unreadable", str(path), "", {"reason": reason})) from error


def _check_names(tables: Mapping[str, Any], where: str, text: str) -> None:
    problems = []
    for section, table in tables.items():
        if section not in SECTIONS:
            problems.append(_unknown(section, SECTIONS, f"{where}{_line(text, section, None)}"))
        elif not isinstance(table, dict):
            facts = {"expected": "a table"}
            problems.append(Problem("preset.wrong_type", f"{where}: {section}", repr(table), facts))
        else:
            known = [item.name for item in dataclasses.fields(SECTIONS[section])]
            problems += [
                _unknown(f"{section}.{key}", [f"{section}.{name}" for name in known], where + _line(text, section, key))
                for key in table
                if key not in known
            ]
    if problems:
        raise PresetError(*problems)


def _unknown(name: str, known: Iterable[str], where: str) -> Problem:
    close = difflib.get_close_matches(name, list(known), n=1)
    suggestion = f"; did you mean {close[0]}?" if close else ""
    return Problem("preset.unknown_key", where, name, {"suggestion": suggestion})


def _line(text: str, section: str, key: str | None) -> str:
    """``:LINE`` of a key or section header in TOML text; nothing where it cannot be told."""
    current = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line):
            current = header[1]
            if key is None and current == section:
                return f":{number}"
        elif (key is not None and current == section and re.match(rf"""\s*["']?{re.escape(key)}["']?\s*=""", line)) or (
            key is None and not current and re.match(rf"""\s*["']?{re.escape(section)}["']?\s*[=.]""", line)
        ):
            return f":{number}"
    return ""


def _build(tables: Tables, where: str) -> Preset:
    problems: list[Problem] = []
    sections = {}
    for section, kind in SECTIONS.items():
        hints = typing.get_type_hints(kind)
        values = {}
        for key, value in tables.get(section, {}).items():
            setting = kind.__dataclass_fields__[key].metadata["setting"]
            outcome = _checked(value, hints[key], setting, f"{where}: {section}.{key}")
            if isinstance(outcome, Problem):
                problems.append(outcome)
            else:
                values[key] = outcome[0]
        sections[section] = kind(**values)
    if problems:
        raise PresetError(*problems)
    return schema.Preset(**sections)


def _checked(value: Any, hint: Any, setting: Setting, where: str) -> tuple[Any] | Problem:
    """The value as its field holds it (in a tuple of one), or what is wrong with it."""
    kinds = _alternatives(hint)
    for kind in kinds:
        fits, taken = _as_kind(value, kind)
        if fits:
            return _within(taken, setting, where) or (taken,)
    expected = " or ".join(_described(kind, setting) for kind in kinds if kind is not type(None))
    return Problem("preset.wrong_type", where, _cut(repr(value)), {"expected": expected})


def _cut(text: str) -> str:
    """As much of a value as a message has room for."""
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def _alternatives(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return typing.get_args(hint)
    return (hint,)


def _as_kind(value: Any, kind: Any) -> tuple[bool, Any]:
    if typing.get_origin(kind) is Literal:
        return value in typing.get_args(kind) and isinstance(value, str), value
    if typing.get_origin(kind) is tuple:
        fits = isinstance(value, list | tuple) and all(isinstance(item, str) and _is_one_line(item) for item in value)
        return fits, tuple(value) if fits else value
    if kind is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_FLOAT
        return fits, float(value) if fits else value
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool), value
    if kind is str:
        return isinstance(value, str) and _is_one_line(value), value
    return isinstance(value, kind), value


def _printable(text: str) -> str:
    return "".join(character if _is_one_line(character) else " " for character in text)


def _is_one_line(text: str) -> bool:
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
    return Problem("preset.out_of_range", where, str(value), {"expected": " and ".join(bounds)})


def _number(limit: float) -> str:
    """As people write it: 1,000,000,000 and 0.5."""
    return f"{limit:,.0f}" if limit == int(limit) else f"{limit:g}"
