"""Where this program keeps what is its own (XDG base directories)."""

from __future__ import annotations

import os
from pathlib import Path


def state_folder() -> Path:
    """Answers of the wizard, links to runs, logs of crashes: ``$XDG_STATE_HOME/bert-tui``, made if absent, 0700."""
    return _made("XDG_STATE_HOME", ".local/state")


def cache_folder() -> Path:
    """What can be fetched or built again: ``$XDG_CACHE_HOME/bert-tui``, made if absent, 0700."""
    return _made("XDG_CACHE_HOME", ".cache")


def config_folder() -> Path:
    """What the operator keeps: ``$XDG_CONFIG_HOME/bert-tui``, not made before something is kept in it."""
    return _place("XDG_CONFIG_HOME", ".config")


def _place(variable: str, default: str) -> Path:
    base = os.environ.get(variable, "")
    home = Path(base) if base.startswith("/") else Path.home() / default
    return home / "bert-tui"


def _made(variable: str, default: str) -> Path:
    folder = _place(variable, default)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
