from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert_tui.wizard.completion import complete_path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "checkpoints").mkdir()
    for name in ("wiki_text_sentence.bin", "wiki_text_sentence.idx", "vocab.txt"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "dataset", "completed"),
    [
        ("ch", False, "checkpoints/"),
        ("voc", False, "vocab.txt"),
        ("voc", True, None),
        ("wiki", True, "wiki_text_sentence"),
        ("wiki_text_sentence", True, None),
        ("x", False, None),
        ("", False, None),
        ("absent/ch", False, None),
    ],
)
def test_the_first_fitting_name_is_filled_in(folder: Path, typed: str, dataset: bool, completed: str | None) -> None:
    expected = None if completed is None else f"{folder}/{completed}"
    assert complete_path(f"{folder}/{typed}", dataset=dataset) == expected


def test_a_tilde_and_a_variable_stay_as_typed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("DATA", str(folder))
    assert complete_path("~/ch") == "~/checkpoints/"
    assert complete_path("$DATA/voc") == "$DATA/vocab.txt"


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    completed = complete_path(text)
    assert completed is None or completed.startswith(text)
