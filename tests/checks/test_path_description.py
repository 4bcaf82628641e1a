"""What lies at a path, told in words."""

import gzip
import json
from pathlib import Path

import pytest

from bert_tui.checks.folder import list_folder
from bert_tui.checks.path_description import describe_path
from bert_tui.cli import main
from trainer.spec.indexed_dataset import IndexedDatasetWriter

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "##s"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One thing of each kind."""
    (tmp_path / "vocab.txt").write_text("".join(f"{piece}\n" for piece in PIECES))
    (tmp_path / "cased.txt").write_text("".join(f"{piece}\n" for piece in [*PIECES, "London"]))
    (tmp_path / "broken-vocab.txt").write_text("the\ncat\n")
    for name, sentences in (("wiki_text_sentence", [[5, 6], [6, 7]]), ("wiki_text_document", [[5, 6, 6, 7]])):
        with IndexedDatasetWriter(tmp_path / name, len(PIECES)) as writer:
            for _ in range(12345):
                writer.add_document(sentences)
    (tmp_path / "damaged.idx").write_bytes(b"MMIDIDX\0\0")
    (tmp_path / "damaged.bin").touch()
    (tmp_path / "lines.jsonl").write_text(json.dumps({"title": "Cats", "text": "A cat sat."}) + "\n")
    with gzip.open(tmp_path / "lines.jsonl.gz", "wt") as file:
        file.write("packed")
    (tmp_path / "notes.txt").write_text("A cat sat. It slept.\n")
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0", "added_tokens": []}')
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0\0")
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("A.\n")
    (tmp_path / ".hidden").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("wiki_text_sentence", "dataset", "Megatron dataset, sentence level: 12,345 documents, 49,380 pieces"),
        ("wiki_text_sentence.idx", "dataset", "Megatron dataset, sentence level: 12,345 documents, 49,380 pieces"),
        ("wiki_text_document", "dataset", "Megatron dataset, document level: 12,345 documents, 49,380 pieces"),
        ("damaged", "dataset", "Damaged Megatron dataset"),
        ("vocab.txt", "vocabulary", "Vocabulary, 8 pieces, lower-case"),
        ("cased.txt", "vocabulary", "Vocabulary, 9 pieces, cased"),
        ("broken-vocab.txt", "vocabulary", "Vocabulary that needs a repair"),
        ("lines.jsonl", "text", "JSON lines with the keys title, text"),
        ("lines.jsonl.gz", "text", "Compressed text (gz)"),
        ("notes.txt", "text", "Plain text"),
        ("tokenizer.json", "other", "Tokenizer of Hugging Face; its vocab.txt is needed"),
        ("picture.png", "other", "Neither text nor a dataset"),
        ("empty", "folder", "Empty folder"),
        ("texts", "text", "Folder with 1 text file: a.txt"),
        (".", "datasets", "Folder with 3 datasets: damaged, wiki_text_document, wiki_text_sentence"),
        ("wiki_text_sentense", "absent", "Nothing is there"),
        ("nowhere/else", "absent", "Nothing is there"),
    ],
)
def test_every_kind_is_told(folder: Path, name: str, kind: str, words: str) -> None:
    there = describe_path(folder / name if name != "." else folder)
    assert (there.kind, there.words) == (kind, words)


def test_a_mistyped_name_is_compared_with_what_is_there(folder: Path) -> None:
    assert describe_path(folder / "wiki_text_sentense").names[0] == "wiki_text_sentence"


def test_a_folder_is_listed_by_what_can_be_used(folder: Path) -> None:
    listing = list_folder(folder)
    assert listing.names("folder") == ["empty", "texts"]
    assert listing.names("dataset") == ["damaged", "wiki_text_document", "wiki_text_sentence"]
    assert listing.names("vocabulary") == ["cased.txt", "vocab.txt"]
    assert "picture.png" in listing.names("file")
    assert not any(entry.name.startswith(".") for entry in listing.entries)


def test_the_command_line_says_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "what", str(folder / "vocab.txt")]) == 0
    assert "vocabulary, 8 pieces, lower-case" in capsys.readouterr().out
    assert main(["data", "what", str(folder / "damaged")]) == 1
    assert "damaged Megatron dataset" in capsys.readouterr().out
