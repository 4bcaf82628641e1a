from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert_tui import presets
from bert_tui.wizard.answers import Answers, load, save
from trainer.spec.preset import Preset, replace
from trainer.spec.preset_file import read_preset

TINY = read_preset(presets.find_preset("bert-tiny"), presets.find_preset)


@given(
    path=st.text(st.characters(codec="utf-8"), min_size=1).filter(str.isprintable),
    rate=st.floats(min_value=1e-12, max_value=10, exclude_min=True, exclude_max=True),
    tensor=st.integers(1, 4096),
)
def test_what_is_saved_is_loaded(tmp_path_factory: pytest.TempPathFactory, path: str, rate: float, tensor: int) -> None:
    file = tmp_path_factory.mktemp("state") / "answers.toml"
    preset = replace(TINY, checkpoint__path=path, train__learning_rate=rate, parallel__tensor=tensor)
    answers = Answers(preset, "bert-tiny", "mine", "model", ("CHECKPOINT_PATH",))
    save(answers, file)
    assert load(file).answers == answers
    assert file.stat().st_mode & 0o777 == 0o600


@given(st.binary())
def test_any_file_is_loaded_or_set_aside(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.mktemp("state") / "answers.toml"
    file.write_bytes(content)
    kept = load(file)
    assert kept.answers is None
    assert kept.set_aside is not None
    assert kept.set_aside.read_bytes() == content


def test_no_file_is_no_answers(tmp_path: Path) -> None:
    assert load(tmp_path / "answers.toml").answers is None


@pytest.mark.parametrize(
    "change",
    [
        ("page = 'model'", "page = 'elsewhere'"),
        ("size = 'bert-tiny'", "size = 3"),
        ("layers = 2", "lairs = 2"),
        ("schema = 1", "schema = 2"),
    ],
)
def test_answers_of_another_version_are_set_aside(tmp_path: Path, change: tuple[str, str]) -> None:
    file = tmp_path / "answers.toml"
    save(Answers(TINY, "bert-tiny", "bert-tiny", "model"), file)
    text = file.read_text().replace('"', "'")
    assert change[0] in text
    file.write_text(text.replace(*change))
    assert load(file).set_aside == tmp_path / "answers.toml.damaged"


def test_open_answers_are_kept_open(tmp_path: Path) -> None:
    file = tmp_path / "answers.toml"
    answers = Answers(Preset(), "bert-340m", "bert-340m", "data")
    save(answers, file)
    assert load(file).answers == answers
