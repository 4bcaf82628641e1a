"""Changing a preset file that people keep: comments, order and writing stay; only what changed is written."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from bert_tui.presets import find_preset, folder
from trainer.spec.preset import Preset, get, settings
from trainer.spec.preset_file import override, parse_preset, read_preset
from trainer.spec.problem import PresetError, Problem
from trainer.spec.run_directory import write_whole
from trainer.spec.toml_text import read_text

EMPTY = (None, ())
"""Values of fields that are open; TOML has no word for them."""


def set_in_file(path: Path, texts: Iterable[str]) -> tuple[str, ...]:
    """Writes settings such as ``train.steps=1000`` into a preset file; gives the names of the fields that changed.

    Raises:
        PresetError: the file is no preset, a setting does not fit, or the file cannot be changed or written.
    """
    if path.parent == folder():
        raise PresetError(Problem("preset.shipped", str(path), path.stem))
    before = read_preset(path, find_preset)
    after = override(before, texts)
    write_preset(path, edited(path, after))
    return tuple(_changed(before, after))


def edited(path: Path, wanted: Preset) -> str:
    """The text of the file in ``path``, changed so that it reads as ``wanted``. What a file extends is left out where
    it has a value for a field that is to be open: then the file names every value itself.

    Raises:
        PresetError: it is no preset, or cannot be changed without losing something.
    """
    import tomlkit  # takes 50 ms, and nothing but this needs it
    from tomlkit.exceptions import TOMLKitError

    text = read_text(path)
    before = parse_preset(text, path, find_preset)
    for change in (partial(_change, before), _spell_out):
        with contextlib.suppress(TOMLKitError, PresetError):
            document = tomlkit.parse(text)
            change(wanted, document)
            changed = _with_line_ends_of(text, document.as_string())
            if parse_preset(changed, path, find_preset) == wanted:
                return changed
    raise PresetError(Problem("preset.not_editable", str(path)))


def write_preset(path: Path, text: str) -> None:
    """Writes the file, whole; one that is there keeps its permissions, and a link to it stays one. Folders that are
    missing are made.

    Raises:
        PresetError: it cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = path.resolve()
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o600
        write_whole(target, text, mode=mode)
    except OSError as error:
        reason = error.strerror or str(error)
        raise PresetError(Problem("preset.not_written", str(path), "", {"reason": reason})) from error


def _changed(before: Preset, after: Preset) -> list[str]:
    names = [f"{section}.{key}" for section, key, _ in settings()]
    return [name for name in names if get(before, name) != get(after, name)]


def _change(before: Preset, wanted: Preset, document: Any) -> None:
    """Only what differs, over what the file extends."""
    for name in _changed(before, wanted):
        _set(document, name, get(wanted, name))


def _spell_out(wanted: Preset, document: Any) -> None:
    """Everything that is not as it is unless written, without what the file extends."""
    document.pop("extends", None)
    needed = _changed(Preset(), wanted)
    for section, key, _ in settings():
        name = f"{section}.{key}"
        if name in needed or key in document.get(section, {}):
            _set(document, name, get(wanted, name))


def _set(document: Any, name: str, value: Any) -> None:
    import tomlkit

    section, _, key = name.partition(".")
    written = list(value) if isinstance(value, tuple) else value
    if value in EMPTY:
        document.get(section, {}).pop(key, None)
        return
    if section not in document:
        document[section] = tomlkit.table()
    table = document[section]
    if key not in table:
        _append(table, key, written)
    elif table[key] != written:
        table[key] = written


def _append(table: Any, key: str, value: Any) -> None:
    """Behind the table's last key: comments further down belong to what follows."""
    import tomlkit.items

    behind = []
    if isinstance(table, tomlkit.items.Table):
        body = table.value.body
        while body and body[-1][0] is None:
            behind.append(body.pop())
    table[key] = value
    if behind:
        body.extend(reversed(behind))


def _with_line_ends_of(model: str, text: str) -> str:
    """As on Windows, where all of ``model`` is."""
    as_windows = 0 < model.count("\n") == model.count("\r\n")
    return text.replace("\r\n", "\n").replace("\n", "\r\n") if as_windows else text
