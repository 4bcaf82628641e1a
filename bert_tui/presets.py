"""The presets that come with the program, and how a name becomes a file."""

from __future__ import annotations

import os
from pathlib import Path

from trainer.spec.problem import PresetError, Problem

SIZES = ("bert-tiny", "bert-base", "bert-340m", "bert-4b", "bert-20b")
"""Shipped presets from small to large."""


def folder() -> Path:
    """Where the shipped presets lie: inside an installed package, or at the root of a checkout."""
    package = Path(__file__).parent
    installed = package / "presets"
    return installed if installed.is_dir() else package.parent / "presets"


def shipped() -> list[Path]:
    """The files of the shipped presets, from small to large."""
    return [folder() / f"{name}.toml" for name in SIZES]


def find_preset(name: str) -> Path:
    """The file that ``name`` means: a shipped preset's name, or a path.

    Raises:
        PresetError: there is none.
    """
    if name in SIZES:
        return folder() / f"{name}.toml"
    path = Path(os.path.expanduser(os.path.expandvars(name)))  # noqa: PTH111 - leaves an unknown ~user as it is
    if not os.path.isfile(path):  # noqa: PTH113 - a name too long is no file, no error
        raise PresetError(Problem("preset.not_found", "", name, {"known": ", ".join(SIZES)}))
    return path
