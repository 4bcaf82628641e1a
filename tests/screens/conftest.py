from __future__ import annotations

from pathlib import Path

import pytest

from bert_tui.plan import VARIABLES
from tests.conftest import NO_ENGINE


@pytest.fixture(autouse=True)
def clean_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a state folder nobody has used, no engine, and no variable that would fill a field."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE)
    for variable in (*VARIABLES.values(), "NO_COLOR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return home
