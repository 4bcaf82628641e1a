"""Reading and writing preset files: strict TOML with ``extends`` and overrides."""

from __future__ import annotations

import dataclasses
import os
import tomllib
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from trainer.spec.preset import SCHEMA, SECTIONS, Preset
from trainer.spec.preset_values import (
    FOREIGN,
    alternatives,
    as_kind,
    build_preset,
    check_names,
    is_one_line,
    unknown_name,
)
from trainer.spec.problem import PresetError, Problem
from trainer.spec.toml_text import NOT_TOML, line_of, parse_toml, read_text, shown, toml_value
from trainer.spec.typed_number import decimal_number, whole_number

Finder = Callable[[str, Path], Path]
"""Turns what ``extends`` names (a preset or a path), and the file that names it, into a file; raises PresetError if
there is none."""

Tables = dict[str, dict[str, Any]]


def read_preset(path: Path, find: Finder) -> Preset:
    """The preset in ``path``, with what it extends filled in.

    Raises:
        PresetError: unreadable, not TOML, an unknown key, a wrong type or a value out of range; all are named.
    """
    return parse_preset(read_text(path), path, find)


def parse_preset(text: str, path: Path, find: Finder) -> Preset:
    """The preset that ``text`` would be as the content of ``path``.

    Raises:
        PresetError: as :func:`read_preset`.
    """
    return build_preset(_tables(text, path, find, seen=()), str(path))


def base_of(path: Path, find: Finder) -> Path | None:
    """The file that the preset in ``path`` extends.

    Raises:
        PresetError: unreadable, not TOML, or there is no such file.
    """
    document = _document(read_text(path), path)
    return _extended(path, document["extends"], find) if "extends" in document else None


def parse_override(text: str) -> tuple[str, str, Any]:
    """``train.learning_rate=3e-4`` as (section, key, value); numbers may be typed as people do (10k, 10,000), and a
    value that is no TOML is taken as a string.

    Raises:
        PresetError: no such field, or not of the form ``section.key=value``.
    """
    name, equals, raw = text.partition("=")
    section, dot, key = name.strip().partition(".")
    if equals and not dot:
        raise PresetError(unknown_name(section, "--set"))
    if not (equals and dot):
        raise PresetError(Problem("preset.wrong_type", "--set", text, {"expected": "of the form section.key=value"}))
    check_names({section: {key: None}}, "--set", "")
    return section, key, _typed_value(raw.strip(), alternatives(typing.get_type_hints(SECTIONS[section])[key]))


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
    return build_preset(tables, "--set")


def _list_of_one(value: Any, section: str, key: str) -> Any:
    """One string where a list of them is wanted is meant as a list of one."""
    kinds = alternatives(typing.get_type_hints(SECTIONS[section])[key])
    wants_list = any(typing.get_origin(kind) is tuple for kind in kinds)
    if isinstance(value, str) and value and wants_list and not any(as_kind(value, kind)[0] for kind in kinds):
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
    check_names(tables, where, "")
    return build_preset({name: dict(table) for name, table in tables.items()}, where)


def render(preset: Preset, *, heading: str = "", extra: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """The text of a preset file. ``heading`` becomes comment lines, ``extra`` further tables such as ``resolved``."""
    lines = [f"# {_printable(line)}".rstrip() for line in heading.splitlines()]
    lines.append(f"schema = {SCHEMA}")
    for section, table in [*as_tables(preset).items(), *(extra or {}).items()]:
        lines += ["", f"[{section}]", *(f"{key} = {toml_value(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _tables(text: str, path: Path, find: Finder, seen: tuple[Path, ...]) -> Tables:
    """The tables of a file over those of the file it extends; each file is checked by itself, to be told by name."""
    document = _document(text, path)
    own = {name: table for name, table in document.items() if name not in FOREIGN}
    check_names(own, str(path), text)
    build_preset(own, str(path), text)
    if "extends" not in document:
        return own
    base_path = _extended(path, document["extends"], find)
    if base_path in (*seen, path.resolve()):
        raise PresetError(Problem("preset.extends_loop", str(path), str(document["extends"])))
    base = _tables(read_text(base_path), base_path, find, (*seen, path.resolve()))
    return {name: {**base.get(name, {}), **own.get(name, {})} for name in SECTIONS}


def _document(text: str, path: Path) -> dict[str, Any]:
    """The TOML of a preset of a schema that is known."""
    document = parse_toml(text, path)
    number, where = document.get("schema"), f"{path}{line_of(text, 'schema', None)}: schema"
    if number is None:
        raise PresetError(Problem("preset.no_schema", str(path), "", {"known": SCHEMA}))
    if type(number) is int and number > SCHEMA:
        raise PresetError(Problem("preset.newer_schema", where, shown(number), {"known": SCHEMA}))
    if type(number) is not int or number != SCHEMA:
        raise PresetError(Problem("preset.wrong_schema", where, shown(number), {"known": SCHEMA}))
    return document


def _extended(path: Path, name: Any, find: Finder) -> Path:
    """The file that ``path`` extends; a relative path counts from the folder of ``path``."""
    if not isinstance(name, str):
        facts = {"expected": "the name of a preset or the path of a file"}
        raise PresetError(Problem("preset.wrong_type", f"{path}: extends", shown(name), facts))
    beside = path.parent / name
    if name.endswith(".toml") and os.path.isfile(beside):  # noqa: PTH113 - a name too long is no file, no error
        return beside.resolve()
    return find(name, path).resolve()


def _printable(text: str) -> str:
    return "".join(character if is_one_line(character) else " " for character in text)
