"""Whatever stands in a file, it is read, or refused by name of file, place and value, with what to do about it."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_tui import presets
from bert_tui.advice.words import describe
from tests.presets import wild
from trainer.spec.preset import Preset
from trainer.spec.preset_file import read_preset
from trainer.spec.problem import PresetError, Problem

_number = itertools.count()


def refusals(path: Path) -> list[Problem]:
    """None where it is a preset."""
    try:
        preset = read_preset(path, presets.find_preset)
    except PresetError as error:
        return list(error.problems)
    assert isinstance(preset, Preset)
    return []


def told(path: Path) -> list[str]:
    """What is said of a file; always its name, and always what to do."""
    texts = []
    for problem in refusals(path):
        words = describe(problem)
        assert words.remedy
        text = f"{words.what} {words.remedy}"
        assert text.isprintable()
        assert len(text) < 2000
        assert str(path) in text
        texts.append(text)
    return texts


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wild")


@settings(max_examples=300, deadline=None)
@given(content=wild.tables(), mark=st.sampled_from(["", "\ufeff"]), end=st.sampled_from(["\n", "\r\n"]))
def test_any_table_is_read_or_refused_by_name(folder: Path, content: dict[str, Any], mark: str, end: str) -> None:
    path = folder / f"{next(_number)}.toml"
    path.write_bytes((mark + wild.written(content).replace("\n", end)).encode())
    told(path)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=50).map(lambda content: b"schema = 1\n[train]\n" + content))
def test_any_bytes_are_read_or_refused(folder: Path, content: bytes) -> None:
    path = folder / f"{next(_number)}.toml"
    path.write_bytes(content)
    told(path)


MEGABYTE = 1 << 20


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[train]\nsteps = 0x" + "f" * 5000, "steps"),
        ("[train]\nsteps = " + "9" * 5000, "TOML"),
        ("[train]\nsteps = 1e400", "steps"),
        ("[train]\nlearning_rate = nan", "learning_rate: nan does not fit. Write a number"),
        ("[train]\nsteps = 1\nsteps = 2", "TOML"),
        ("[train]\nsteps = 1979-05-27", "steps"),
        ("[[train]]\nsteps = 1", "train"),
        ("[train.steps]\nx = 1", "steps"),
        ("extends = '" + "x" * 5000 + "'", "extends: there is no preset x"),
        ("x = " + "[" * 5000, "TOML"),
        ("x = " + "{a=" * 5000, "TOML"),
        ("a." * (MEGABYTE // 2 - 50) + "a = 1", ""),
        ("".join(f"a{number} = 1\n" for number in range(70_000)), "a0"),
        ("[train]\n" + "".join(f"a{number} = 1\n" for number in range(70_000)), "train.a0"),
        ("[train]\nsteps = [" + "1," * (MEGABYTE // 2 - 50) + "]", "steps"),
        ("[data]\nvocab_file = '" + "x" * (MEGABYTE - 100) + "'", ""),
        ("# " + "x" * 10 * MEGABYTE, "larger than 1 MB"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)
def test_hostile_files_are_refused_soon(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(f"schema = 1\n{text}\n")
    began = time.monotonic()
    texts = told(path)
    assert time.monotonic() - began < 10  # seconds; a hang would be minutes
    assert said in " ".join(texts)


def test_what_is_wrong_is_told_with_the_file_and_line_it_stands_in(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text("schema = 1\n[train]\n# few\nsteps = 0\n")
    path = tmp_path / "mine.toml"
    path.write_text("schema = 1\nextends = 'base.toml'\ntrain.clip = 1.0\n")
    assert [problem.where for problem in refusals(path)] == [f"{tmp_path}/base.toml:4: train.steps"]
    path.write_text('schema = 1\ntrain.clip = "no"\n[model]\n"layers" = -1\n')
    assert [problem.where for problem in refusals(path)] == [f"{path}:4: model.layers", f"{path}:2: train.clip"]


def test_a_file_of_a_newer_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("schema = 2\n[train]\nwings = 2\n")
    (text,) = told(path)
    assert "x.toml:1: schema is 2" in text and "newer bert-tui" in text
