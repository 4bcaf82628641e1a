"""The four paths: what is seen, and what to do about each way they can be wrong."""

import os
import threading
import time
from pathlib import Path

import pytest

from bert_tui.advice import words
from bert_tui.checks import data as checks
from bert_tui.checks.check import Check
from bert_tui.checks.data import FIELDS, check_path_field, check_paths
from trainer.spec.indexed_dataset import IndexedDatasetWriter
from trainer.spec.preset import Data, Preset, replace

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "##s"]


@pytest.fixture
def preset(tmp_path: Path) -> Preset:
    """All four paths sound."""
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("".join(f"{piece}\n" for piece in PIECES))
    with IndexedDatasetWriter(tmp_path / "wiki_text_sentence", len(PIECES)) as writer:
        for _ in range(100):
            writer.add_document([[5, 6], [6, 7]])
    (tmp_path / "checkpoints").mkdir()
    return replace(
        Preset(),
        data__vocab_file=str(vocabulary),
        data__data_path=(str(tmp_path / "wiki_text_sentence"),),
        data__split="900,100,0",
        checkpoint__path=str(tmp_path / "checkpoints"),
        logs__tensorboard_path=str(tmp_path / "logs" / "new"),
    )


def by_name(preset: Preset) -> dict[str, Check]:
    return {check.name: check for check in check_paths(preset)}


def test_sound_paths_pass_and_nothing_is_left_behind(preset: Preset, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    found = by_name(preset)
    assert [check.answer for check in found.values()] == ["pass"] * 4
    assert found["data.vocabulary"].seen.startswith("8 pieces")
    assert found["data.dataset"].seen.startswith("100 documents, 200 sentences, 400 pieces")
    assert "can be written" in found["path.checkpoints"].seen
    assert "will be made" in found["path.tensorboard"].seen
    assert sorted(tmp_path.rglob("*")) == before


def test_the_sample_text_needs_no_paths_of_data(preset: Preset) -> None:
    found = by_name(replace(preset, data__source="sample", data__vocab_file=None, data__data_path=()))
    assert [check.answer for check in found.values()] == ["pass"] * 4


@pytest.mark.parametrize(
    ("change", "name", "seen"),
    [
        ({"data__vocab_file": "/nowhere/vocab.txt"}, "data.vocabulary", "There is no file /nowhere/vocab.txt."),
        ({"data__vocab_file": None}, "data.vocabulary", "data.vocab_file has no path."),
        ({"model__vocab_size": 9}, "data.vocabulary", "has 8 pieces, but model.vocab_size is 9."),
        ({"data__data_path": ("/nowhere/wiki",)}, "data.dataset", "There is no file /nowhere/wiki.idx."),
        ({"data__data_path": ("/nowhere/a", "/nowhere/b")}, "data.dataset", "There is no file /nowhere/a.idx."),
        ({"data__data_path": ("0.5", "/a", "0", "/b")}, "data.dataset", "the weight 0 (item 3) is not above zero."),
        ({"checkpoint__path": "/etc/hostname/x"}, "path.checkpoints", "/etc/hostname is a file, not a folder."),
        ({"checkpoint__path": "/proc/x"}, "path.checkpoints", "/proc"),
        ({"logs__tensorboard_path": "$NOT_SET_ANYWHERE/x"}, "path.tensorboard", "$NOT_SET_ANYWHERE is not set."),
    ],
)
def test_each_failure_says_what_and_how_to_repair_it(
    preset: Preset, change: dict[str, object], name: str, seen: str
) -> None:
    check = by_name(replace(preset, **change))[name]
    assert check.answer == "fail"
    assert seen in check.seen
    assert check.repair


def test_a_dataset_that_is_not_split_into_sentences_is_a_caution(preset: Preset, tmp_path: Path) -> None:
    with IndexedDatasetWriter(tmp_path / "wiki_text_document", len(PIECES)) as writer:
        for number in range(100):
            writer.add_document([[5, 6]] * (2 if number == 0 else 1))
    check = by_name(replace(preset, data__data_path=(str(tmp_path / "wiki_text_document"),)))["data.dataset"]
    assert check.answer == "warn"
    assert "_text_sentence" in check.repair


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_one_may_not_write(preset: Preset, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").chmod(0o500)
    assert by_name(preset)["path.checkpoints"].answer == "fail"


def code(field: str, text: str, data: Data | None = None) -> str | None:
    problem = check_path_field(field, text, data)
    if problem is None:
        return None
    assert words.describe(problem).remedy
    return problem.code


def test_fields_are_judged_as_they_are_typed(preset: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for text in ("~/vocab.txt", "$DATA/vocab.txt", " ${DATA}/vocab.txt ", "vocab.txt"):
        assert code("data.vocab_file", text) is None
    assert code("data.data_path", "wiki_text_sentence", preset.data) is None
    assert code("data.data_path", "wiki_text_sentence") is None
    assert code("checkpoint.path", "checkpoints/deeper") is None
    assert code("data.vocab_file", "wiki_text_sentence.bin") == "vocabulary.special_missing"
    assert code("data.data_path", "wiki_text_sentence.bin", preset.data) == "dataset.suffix"
    assert code("data.data_path", ".", preset.data) == "dataset.folder"
    assert code("checkpoint.path", "vocab.txt") == "path.no_folder"
    (tmp_path / "dead").symlink_to("nowhere")
    assert code("checkpoint.path", "dead/x") == "path.dead_link"


@pytest.mark.parametrize("field", FIELDS)
def test_what_is_no_path_in_any_field(field: str) -> None:
    assert code(field, "  ") == "path.empty"
    assert code(field, "a\nb") == "path.characters"
    assert code(field, "\x1b[31m") == "path.characters"
    assert code(field, "$NOT_SET_ANYWHERE") == "path.variable"
    for text in ("/x" * 5000, "x" * 5000, "/", "//", ".", "/dev/null", "~nobody-here/x"):
        code(field, text)


def test_a_disk_that_does_not_answer_is_unknown_soon(preset: Preset, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(checks, "_nearest_folder", lambda path: released.wait(30))
    started = time.monotonic()
    assert code("checkpoint.path", "/mnt/dead/x") == "path.silent"
    assert time.monotonic() - started < 3.0
    released.set()


def test_a_vocabulary_of_the_same_size_that_is_not_the_datasets_is_told(preset: Preset, tmp_path: Path) -> None:
    """Every id is in it; only what the ids decode to tells."""
    (tmp_path / "vocab.txt").write_text("".join(f"{piece}\n" for piece in [*PIECES[:5], ".", "##s", "the"]))
    found = by_name(preset)
    assert found["data.vocabulary"].answer == "pass"
    assert found["data.dataset"].answer == "fail"
    assert "another vocabulary" in found["data.dataset"].seen
