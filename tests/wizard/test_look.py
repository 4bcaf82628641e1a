"""What is said beside a path while it is typed."""

import threading
import time
from pathlib import Path

import pytest

from bert_tui.wizard import look as looking
from bert_tui.wizard.look import look_at_field
from trainer.spec.indexed_dataset import IndexedDatasetWriter
from trainer.spec.preset import Data

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "##s"]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Data:
    """A dataset, its vocabulary and some text, in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("vocab.txt").write_text("".join(f"{piece}\n" for piece in PIECES))
    Path("small.txt").write_text("".join(f"{piece}\n" for piece in PIECES[:-1]))
    Path("notes.txt").write_text("A cat sat.\n")
    with IndexedDatasetWriter(Path("wiki"), len(PIECES)) as writer:
        for _ in range(100):
            writer.add_document([[5, 6], [6, 7]])
    return Data(vocab_file="vocab.txt")


@pytest.mark.parametrize(
    ("field", "typed", "seen"),
    [
        ("data.data_path", "wiki", "100 documents, 400 pieces; fits the vocabulary"),
        ("data.vocab_file", "vocab.txt", "8 pieces, lower-case"),
        ("checkpoint.path", ".", "can be written"),
        ("logs.tensorboard_path", "new", "will be made"),
    ],
)
def test_what_fits_is_told(data: Data, field: str, typed: str, seen: str) -> None:
    look = look_at_field(field, typed, data)
    assert look.problem == ""
    assert seen in look.seen


@pytest.mark.parametrize(
    ("field", "typed", "problem"),
    [
        ("data.data_path", "notes.txt", "Plain text. F7 builds a dataset from it."),
        ("data.data_path", "vocab.txt", "Vocabulary, 8 pieces, lower-case. It belongs into the field below."),
        ("data.data_path", ".", "Folder with 1 dataset: wiki. Give one of them; F4 browses."),
        ("data.data_path", "wikl", "Nothing is there. Did you mean wiki?"),
        ("data.data_path", "wiki.idx", "Give the path without it"),
        ("data.data_path", " ", "Type a path."),
        ("data.vocab_file", "wiki", "Give the text file with the pieces it was made with."),
        ("checkpoint.path", "notes.txt", "is a file, not a folder"),
    ],
)
def test_what_does_not_fit_is_told_with_what_to_do(data: Data, field: str, typed: str, problem: str) -> None:
    look = look_at_field(field, typed, data)
    assert look.seen == ""
    assert problem in look.problem
    assert bool(look.text) == ("F7 builds" in problem)


def test_a_dataset_of_another_vocabulary_is_a_problem(data: Data) -> None:
    assert look_at_field("data.data_path", "wiki", Data(vocab_file="small.txt")).problem
    assert "which vocabulary?" in look_at_field("data.data_path", "wiki", Data()).seen


def test_a_blend_is_looked_at_part_by_part(data: Data) -> None:
    with IndexedDatasetWriter(Path("books"), len(PIECES)) as writer:
        writer.add_document([[5, 6], [6, 7]])
        writer.add_document([[5, 6], [6, 7]])
    here = Path.cwd()
    look = look_at_field("data.data_path", f"1 {here}/wiki 3 {here}/books", data)
    assert look.seen == "2 datasets, 25% wiki, 75% books; fits the vocabulary"
    assert look_at_field("data.data_path", f"{here}/wiki {here}/books", data).seen.startswith("2 datasets, wiki, books")
    assert look_at_field("data.data_path", "0.5 wiki books", data).problem
    assert look_at_field("data.data_path", "0.5 wiki 0.5 nowhere", data).problem.startswith("nowhere: ")


def test_a_disk_that_does_not_answer_is_told_soon(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(looking, "describe_path", lambda path: released.wait(30))
    started = time.monotonic()
    assert "does not answer" in look_at_field("data.data_path", "/mnt/dead/x", data).problem
    assert time.monotonic() - started < 2.0
    released.set()
