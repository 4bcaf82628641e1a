"""Every problem has words for people, and they can be filled."""

import string
import sys
from pathlib import Path

import pytest

from bert_tui.advice.words import TEXTS, describe
from trainer.spec.problem import ENGLISH, Problem


def fields(text: str) -> set[str]:
    """The names a template needs."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_code_has_words() -> None:
    assert set(TEXTS) == set(ENGLISH)


def test_words_use_only_the_facts_the_code_carries() -> None:
    """The English template names the facts of a code; ``example`` may be told to people only."""
    for code, words in TEXTS.items():
        known = (
            fields(ENGLISH[code])
            | {"where", "value", "program", "python"}
            | ({"example"} if code == "preset.missing" else set())
        )
        assert fields(words.what) | fields(words.remedy) <= known, code


def test_every_text_is_a_sentence() -> None:
    for code, words in TEXTS.items():
        assert words.what, code
        assert words.remedy.endswith((".", "}", ")")), code


def test_a_command_can_be_typed_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the program lies in a folder that the shell does not search, with a blank in its path."""
    folder = tmp_path / "my venv"
    folder.mkdir()
    (folder / "bert-tui").touch()
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", "")
    remedy = describe(Problem("run.active", "RUN", "running")).remedy
    assert f"'{folder}/bert-tui' attach RUN" in remedy
    assert f"'{folder}/bert-tui' stop RUN" in remedy
    assert f"'{folder}/python' -m" in describe(Problem("board.failed", "/t", "", {"reason": "no"})).remedy
