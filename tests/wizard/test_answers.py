from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert_tui import presets
from bert_tui.wizard import answers as storage
from bert_tui.wizard import keeper as keeping
from bert_tui.wizard.answers import Answers, Kept, load, save
from bert_tui.wizard.build_answers import BuildForm
from bert_tui.wizard.keeper import Keeper
from bert_tui.wizard.session import Session
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
        ("schema = 1", "schema = 0"),
        ("version = 1", "version = 'one'"),
        ("vocabulary = 'train'", "vocabulary = 'train it'"),
        ("pieces = '30522'", "pieces = 30522"),
    ],
)
def test_answers_that_cannot_be_understood_are_set_aside(tmp_path: Path, change: tuple[str, str]) -> None:
    file = tmp_path / "answers.toml"
    save(Answers(TINY, "bert-tiny", "bert-tiny", "model", build=BuildForm()), file)
    text = file.read_text().replace('"', "'")
    assert change[0] in text
    file.write_text(text.replace(*change))
    assert load(file).set_aside == tmp_path / "answers.toml.damaged"


def test_open_answers_are_kept_open(tmp_path: Path) -> None:
    file = tmp_path / "answers.toml"
    answers = Answers(Preset(), "bert-340m", "bert-340m", "data", build=BuildForm("/a *", vocabulary="file"))
    save(answers, file)
    assert load(file).answers == answers


@pytest.mark.parametrize("change", [("schema = 1", "schema = 2"), ("version = 1", "version = 2\nmore = [1]")])
def test_answers_of_a_newer_version_are_kept_for_it(tmp_path: Path, change: tuple[str, str]) -> None:
    file = tmp_path / "answers.toml"
    save(Answers(TINY, "bert-tiny", "bert-tiny", "model"), file)
    newer = file.read_text().replace(*change)
    file.write_text(newer)
    session = Session(file)
    assert "newer bert-tui" in session.set_aside
    assert (tmp_path / "answers.toml.newer").read_text() == newer
    assert not session.begun


def test_what_cannot_be_read_is_not_written_over(tmp_path: Path) -> None:
    file = tmp_path / "answers.toml"
    file.mkdir()
    (file / "mine").touch()
    assert load(file) == Kept(None, tmp_path / "answers.toml.damaged")
    assert (tmp_path / "answers.toml.damaged" / "mine").exists()


def test_two_wizards_at_once_leave_whole_answers_the_last_ones_win(tmp_path: Path) -> None:
    file, torn = tmp_path / "answers.toml", list[Path]()
    keepers = [Keeper(file), Keeper(file)]

    def answer(keeper: Keeper, name: str) -> None:
        for number in range(60):
            keeper.keep(Answers(replace(TINY, train__steps=2000 + number), "bert-tiny", name, "model"))

    def read() -> None:
        while any(thread.is_alive() for thread in writers):
            kept = load(file)
            torn.extend([kept.set_aside] if kept.set_aside else [])

    writers = [threading.Thread(target=answer, args=(keeper, f"by-{i}")) for i, keeper in enumerate(keepers)]
    for thread in [*writers, reader := threading.Thread(target=read)]:
        thread.start()
    for thread in [*writers, reader]:
        thread.join()
    assert all(keeper.wait(5) for keeper in keepers)
    last = load(file).answers
    assert torn == []
    assert last is not None
    assert last.preset.train.steps == 2059
    keepers[0].keep(None)
    assert keepers[0].wait(5)
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_disk_that_hangs_holds_up_no_key_and_gets_only_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, saved = threading.Event(), []

    def save_slowly(answers: Answers, path: Path) -> None:
        released.wait(20)
        saved.append(answers.name)

    monkeypatch.setattr(storage, "save", save_slowly)
    monkeypatch.setattr(keeping, "SILENT_SECONDS", 0.2)
    keeper, longest = Keeper(tmp_path / "answers.toml"), 0.0
    for number in range(20):
        begun = time.monotonic()
        keeper.keep(Answers(TINY, "bert-tiny", f"answer {number}", "model"))
        longest = max(longest, time.monotonic() - begun)
    assert longest < 0.5
    time.sleep(0.3)
    assert "does not answer" in keeper.problem
    released.set()
    assert keeper.wait(5)
    assert saved == ["answer 0", "answer 19"]
    assert keeper.problem == ""
