"""The end of a log, whatever stands in it."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bert_tui.metrics.log_tail import KEPT_LINES, LINE_CHARACTERS, OPENING_BYTES, LogTail, clean_line


def test_lines_are_added_when_they_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    tail = LogTail(path)
    assert tail.poll().lines == ()
    path.write_text("one\ntw", encoding="utf-8")
    assert tail.poll().lines == ("one",)
    with path.open("a", encoding="utf-8") as file:
        file.write("o\nthree\n")
    assert tail.poll().lines == ("one", "two", "three")
    assert tail.poll() is tail.poll()


def test_a_large_log_is_opened_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    with path.open("wb") as file:
        file.truncate(1 << 30)  # a sparse gigabyte
        file.seek(1 << 30)
        file.write(b"\n" + b"".join(b"line %d\n" % number for number in range(20_000)))
    lines = LogTail(path).poll()
    assert lines.lines[-1] == "line 19999"
    assert len(lines.lines) <= KEPT_LINES
    assert all(line.startswith("line ") for line in lines.lines)


def test_more_than_can_be_read_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_text("begin\n", encoding="utf-8")
    tail = LogTail(path)
    tail.poll()
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"line {number}\n" for number in range(400_000))
    lines = tail.poll()
    assert lines.lines[-1] == "line 399999"
    assert lines.count < OPENING_BYTES


def test_rotation_and_truncation_begin_anew(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_text("a long first line\nsecond\n", encoding="utf-8")
    tail = LogTail(path)
    tail.poll()
    path.rename(tmp_path / "train.log.1")
    path.write_text("rotated\n", encoding="utf-8")
    assert tail.poll().lines[-1] == "rotated"
    os.truncate(path, 0)
    path.write_text("cut\n", encoding="utf-8")
    assert tail.poll().lines[-1] == "cut"


def test_what_people_see_of_coloured_lines_and_progress_bars() -> None:
    assert clean_line("\x1b[31;1merror\x1b[0m: \x1b]0;title\x07no") == "error: no"
    assert clean_line(" 10 %\r 50 %\r100 %\r") == "100 %"
    assert clean_line("a\tb") == "a   b"
    assert len(clean_line("x" * 5000)) == LINE_CHARACTERS


@given(st.one_of(st.text(), st.text(alphabet="\x1b[]?;0123456789mHJK\x07\\P\x9b\r\u202ea")))
def test_no_line_can_move_the_cursor(text: str) -> None:
    cleaned = clean_line(text.replace("\n", ""))
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in cleaned)
    assert len(cleaned) <= LINE_CHARACTERS


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_any_bytes_in_any_pieces(tmp_path_factory: object, pieces: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("log") / "train.log"  # type: ignore[attr-defined]
    tail = LogTail(path)
    for piece in pieces:
        with path.open("ab") as file:
            file.write(piece)
        lines = tail.poll()
    if pieces:
        assert lines.count == b"".join(pieces).count(b"\n")
