"""The JSON schema of preset files, for editors; derived from ``trainer/spec/preset.py``.

``python -m bert_tui.preset_schema`` writes ``presets/preset.schema.json`` anew; a test compares it. What a schema
cannot say is left to the reader: whole numbers are not to be written as ``1.0``, numbers are finite, and values that
contradict each other are refused.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any, Literal

from trainer.spec.preset import SCHEMA, SECTIONS, Preset, Setting, get

DRAFT = "http://json-schema.org/draft-07/schema#"
"""The newest that editors' TOML plug-ins know (taplo)."""
NAME = "preset.schema.json"
LINE = {"$ref": "#/definitions/line"}
CONTROL_CHARACTERS = "[\u0000-\u001f\u007f-\u009f]"
KINDS: dict[Any, dict[str, Any]] = {bool: {"type": "boolean"}, str: LINE}


def preset_schema() -> dict[str, Any]:
    """The schema as JSON."""
    sections = {section: _table(section) for section in SECTIONS}
    return {
        "$schema": DRAFT,
        "title": "A preset of bert-tui",
        "type": "object",
        "required": ["schema"],
        "additionalProperties": False,
        "properties": {
            "schema": {"description": "The version of this format.", "type": "integer", "enum": [SCHEMA]},
            "extends": {
                "description": "The name of a preset, or the path of a file, whose values hold where none is given.",
                "type": "string",
            },
            **sections,
            "resolved": {"description": "What a run was resolved to; written by bert-tui into its run.toml."},
        },
        "definitions": {
            "line": {"type": "string", "not": {"pattern": CONTROL_CHARACTERS}},
        },
    }


def as_text() -> str:
    """The content of the file."""
    return json.dumps(preset_schema(), indent=2) + "\n"


def _table(section: str) -> dict[str, Any]:
    kind = SECTIONS[section]
    hints = typing.get_type_hints(kind)
    return {
        "description": (kind.__doc__ or "").strip(),
        "type": "object",
        "additionalProperties": False,
        "properties": {
            item.name: _field(f"{section}.{item.name}", hints[item.name], item.metadata["setting"])
            for item in dataclasses.fields(kind)
        },
    }


def _field(name: str, hint: Any, setting: Setting) -> dict[str, Any]:
    """One field: what it means, what it is unless written, and what it may be."""
    default = get(Preset(), name)
    kinds = [_kind(kind, setting) for kind in _alternatives(hint) if kind is not type(None)]
    return {
        "description": f"{setting.help} Example: {setting.example}",
        **({} if default in (None, ()) else {"default": default}),
        **(kinds[0] if len(kinds) == 1 and "$ref" not in kinds[0] else {"anyOf": kinds}),
    }


def _kind(kind: Any, setting: Setting) -> dict[str, Any]:
    if typing.get_origin(kind) is Literal:
        return {"enum": list(typing.get_args(kind))}
    if typing.get_origin(kind) is tuple:
        return {"type": "array", "items": LINE}
    if kind in (int, float):
        return {"type": "integer" if kind is int else "number", **_limits(setting)}
    return KINDS[kind]


def _limits(setting: Setting) -> dict[str, float]:
    low, high = ("exclusiveMinimum", "exclusiveMaximum") if setting.exclusive else ("minimum", "maximum")
    limits = {low: setting.minimum, high: setting.maximum}
    return {name: limit for name, limit in limits.items() if limit is not None}


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)


if __name__ == "__main__":
    Path("presets", NAME).write_text(as_text(), encoding="utf-8")
