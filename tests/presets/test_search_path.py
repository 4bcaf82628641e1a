"""Which file a preset's name means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bert_tui import presets
from bert_tui.cli import main
from bert_tui.presets import find_preset, known_presets, shipped_preset
from trainer.spec.preset import Preset
from trainer.spec.preset_file import read_preset
from trainer.spec.problem import PresetError


def write(path: Path, text: str) -> Path:
    path.write_text(f"schema = 1\n{text}\n")
    return path


def read(name: str) -> Preset:
    return read_preset(find_preset(name), find_preset)


def test_own_presets_come_before_the_systems_and_those_before_the_shipped(own: Path) -> None:
    system = presets.SYSTEM_FOLDER
    assert find_preset("bert-tiny") == presets.folder() / "bert-tiny.toml"
    of_system = write(system / "bert-tiny.toml", "[train]\nsteps = 2")
    assert find_preset("bert-tiny") == of_system
    of_mine = write(own / "bert-tiny.toml", "[train]\nsteps = 3")
    assert find_preset("bert-tiny") == of_mine
    assert shipped_preset("bert-tiny").train.steps == 2000
    listed = [(known.owner, known.hidden) for known in known_presets() if known.name == "bert-tiny"]
    assert listed == [("yours", False), ("system", True), ("shipped", True)]


def test_a_preset_extends_the_one_of_its_own_name_that_it_stands_before(own: Path) -> None:
    write(presets.SYSTEM_FOLDER / "bert-340m.toml", 'extends = "bert-340m"\n[checkpoint]\npath = "/big"')
    write(own / "bert-340m.toml", 'extends = "bert-340m"\n[train]\nsteps = 3')
    mine = read("bert-340m")
    assert (mine.train.steps, mine.checkpoint.path, mine.model.layers) == (3, "/big", 24)
    assert read("bert-4b").checkpoint.path is None, "a shipped preset extends shipped ones only"
    write(own / "mine.toml", 'extends = "bert-4b"')
    assert read("mine").model.layers == 48


def test_an_unknown_name_is_told_with_the_nearest(own: Path) -> None:
    write(own / "wikipedia.toml", "")
    for name in ("wikipedai", "./wikipedia.tml", "~/presets/wikipedia.toml"):
        with pytest.raises(PresetError) as refused:
            find_preset(name)
        assert "did you mean wikipedia?" in refused.value.problems[0].english


def test_presets_are_listed_with_what_they_are_and_what_is_wrong(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own / "wiki.toml").write_text("#:schema x\n# All of it. And more.\nschema = 1\n")
    write(own / "broken.toml", "[train]\nsteps = 0")
    assert main(["presets", "--json"]) == 0
    listed = {found["name"]: found for found in json.loads(capsys.readouterr().out)}
    assert list(listed)[:3] == ["broken", "wiki", "bert-tiny"]
    assert listed["wiki"] == {
        "name": "wiki", "owner": "yours", "path": f"{own}/wiki.toml", "about": "All of it.", "hidden": False,
        "problem": None,
    }  # fmt: skip
    assert listed["broken"]["problem"]["where"] == f"{own}/broken.toml:3: train.steps"
    assert main(["presets"]) == 0
    told = capsys.readouterr().out
    assert "All of it." in told and "! cannot be used" in told and str(presets.SYSTEM_FOLDER) in told


def test_every_shipped_preset_is_listed_and_says_what_it_is() -> None:
    assert {path.stem for path in presets.folder().glob("*.toml")} == set(presets.SIZES)
    assert all(known.about for known in known_presets() if known.owner == "shipped")
