from __future__ import annotations

from pathlib import Path

import pytest

from bert_tui import presets


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the operator's own presets, empty; the system has none yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(presets, "SYSTEM_FOLDER", tmp_path / "system")
    folder = presets.own_folder()
    for made in (folder, tmp_path / "system"):
        made.mkdir(parents=True)
    return folder
