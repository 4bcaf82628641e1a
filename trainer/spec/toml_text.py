"""The text of preset files: read within bounds, values written, lines found again."""

from __future__ import annotations

import functools
import re
import tomllib
from pathlib import Path
from typing import Any

from trainer.spec.problem import PresetError, Problem

NOT_TOML = (ValueError, RecursionError)
"""What tomllib raises: its own error (a ValueError), a plain ValueError for a number of thousands of digits, and
RecursionError for thousands of brackets."""
LARGEST_FILE = 1 << 20
"""Bytes; a preset has some thousands. TOML of many megabytes takes a minute to read."""
LONGEST_SHOWN = 80
"""Characters of a refused value that are told."""
DEEP_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){30}""")
"""A name of more parts than any preset has: tomllib takes minutes for one of thousands."""
HEADER = re.compile(r"\s*\[+\s*([^\]]+?)\s*\]+")
KEY = re.compile(r"""\s*(?P<name>[\w-]+|"[^"]*"|'[^']*')\s*(?:\.\s*(?P<below>[\w-]*|"[^"]*"|'[^']*')\s*)?[=.]""")


def read_text(path: Path) -> str:
    """The text of a preset file, without the mark that some editors put at its beginning.

    Raises:
        PresetError: it cannot be read, is too large, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise PresetError(Problem("preset.too_large", str(path), "", {"megabytes": LARGEST_FILE >> 20}))
        return content.decode().removeprefix("\ufeff")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise PresetError(Problem("preset.unreadable", str(path), "", {"reason": reason})) from error


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        PresetError: it is none.
    """
    if deep := DEEP_KEY.search(text):
        facts = {"reason": f"a name of too many parts (at line {text.count(chr(10), 0, deep.start()) + 1})"}
        raise PresetError(Problem("preset.not_toml", str(path), "", facts))
    try:
        return tomllib.loads(text)
    except NOT_TOML as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise PresetError(Problem("preset.not_toml", str(path), "", {"reason": reason})) from error


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


def shown(value: Any) -> str:
    """A refused value as a message tells it: whatever it is, in so many characters as there is room for."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, or tables in tables in tables
        text = f"{type(value).__name__} without end"
    return cut(text)


def cut(text: str) -> str:
    """As much of a text as a message has room for."""
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def line_of(text: str, section: str, key: str | None) -> str:
    """``:LINE`` of a key or section header in TOML text; nothing where it cannot be told."""
    number = _line_numbers(text).get((section, key))
    return "" if number is None else f":{number}"


@functools.lru_cache(maxsize=1)
def _line_numbers(text: str) -> dict[tuple[str, str | None], int]:
    """The line of each header as (section, None) and of each key as (section, key), as far as a look at the lines
    tells them; top-level names count as sections."""
    found: dict[tuple[str, str | None], int] = {}
    current = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := HEADER.match(line):
            current = header[1]
            found.setdefault((current, None), number)
        elif key := KEY.match(line):
            name = key["name"].strip("\"'")
            place = (current, name) if current else (name, (key["below"] or "").strip("\"'") or None)
            found.setdefault(place, number)
            found.setdefault((place[0], None), number)
    return found
