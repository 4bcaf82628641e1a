"""Vocabularies: what is read, and each way one can be broken."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.spec.problem import VocabularyError
from trainer.spec.vocabulary import read_vocabulary

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = [*SPECIALS, "the", "run", "##ning", "."]


def written(folder: Path, content: bytes | list[str], name: str = "vocab.txt") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else "".join(f"{line}\n" for line in content).encode())
    return path


def codes(path: Path) -> list[str]:
    with pytest.raises(VocabularyError) as caught:
        read_vocabulary(path)
    return [problem.code for problem in caught.value.problems]


def test_ids_are_line_numbers_and_continuations_are_marked(tmp_path: Path) -> None:
    found = read_vocabulary(written(tmp_path, PIECES))
    assert found.pieces == tuple(PIECES)
    assert (found.pad, found.unk, found.cls, found.sep, found.mask, found.size) == (0, 1, 2, 3, 4, 9)
    assert found.continuation.tolist() == [False] * 7 + [True, False]
    assert found.cautions == ()


def test_windows_line_ends_a_byte_order_mark_and_empty_lines_at_the_end_change_nothing(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + "\r\n".join(PIECES).encode() + b"\r\n\r\n\n"
    assert read_vocabulary(written(tmp_path, content)).pieces == tuple(PIECES)


def test_a_unicode_line_separator_is_a_piece_like_any_other(tmp_path: Path) -> None:
    found = read_vocabulary(written(tmp_path, [*PIECES, "\u2028", "\x85", "last"]))
    assert found.size == len(PIECES) + 3


def test_no_continuation_pieces_is_a_caution_only(tmp_path: Path) -> None:
    found = read_vocabulary(written(tmp_path, [*SPECIALS, "the"]))
    assert [problem.code for problem in found.cautions] == ["vocabulary.no_continuation"]


def test_each_way_to_be_broken_has_its_own_word(tmp_path: Path) -> None:
    assert codes(tmp_path / "nowhere.txt") == ["vocabulary.absent"]
    assert codes(tmp_path) == ["vocabulary.folder"]
    assert codes(written(tmp_path, b"")) == ["vocabulary.empty"]
    assert codes(written(tmp_path, b"\n\r\n  \n")) == ["vocabulary.empty"]
    assert codes(written(tmp_path, b'{"model": {"type": "WordPiece"}}', "tokenizer.json")) == ["vocabulary.json"]
    assert codes(written(tmp_path, b'{\n  "[PAD]": 0,\n  "the": 1\n}\n')) == ["vocabulary.json"]
    assert codes(written(tmp_path, PIECES[:4] + PIECES[5:])) == ["vocabulary.special_missing"]
    assert codes(written(tmp_path, ["the"])) == ["vocabulary.special_missing"] * 5


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert codes(tmp_path / "pipe") == ["vocabulary.no_file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_one_may_not_read(tmp_path: Path) -> None:
    path = written(tmp_path, PIECES)
    path.chmod(0)
    assert codes(path) == ["vocabulary.unreadable"]


def test_line_numbers_are_told(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError) as caught:
        read_vocabulary(written(tmp_path, ["the", *PIECES]))
    pad, duplicate = caught.value.problems
    assert (pad.code, pad.value) == ("vocabulary.pad_not_first", "the")
    assert pad.where.endswith("vocab.txt:2")
    assert (duplicate.code, duplicate.value, duplicate.params["first_line"]) == ("vocabulary.duplicate", "the", 1)
    assert duplicate.where.endswith("vocab.txt:7")
    with pytest.raises(VocabularyError) as caught:
        read_vocabulary(written(tmp_path, "\n".join([*PIECES, "caf"]).encode() + b"\xe9\n"))
    assert caught.value.problems[0].where.endswith("vocab.txt:10")


def test_many_duplicates_are_counted_not_listed(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError) as caught:
        read_vocabulary(written(tmp_path, PIECES + ["x"] * 1000))
    assert len(caught.value.problems) == 5
    assert caught.value.problems[0].params["count"] == 999


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_wild_bytes_are_read_or_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), content)
        try:
            assert read_vocabulary(path).size > 0
        except VocabularyError as error:
            assert all(problem.english for problem in error.problems)


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_wild_paths_are_refused(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.raises(VocabularyError):
        read_vocabulary(Path(folder, "x" + name.replace("/", "_")))
