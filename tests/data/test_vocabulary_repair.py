"""Vocabulary files: everything that is wrong, and repairs that move no id a dataset can hold."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.models import WordPiece

from bert_tui.cli import main
from bert_tui.data.vocabulary_repair import Examination, examine_vocabulary, letter_case, write_repaired
from tests.data.conftest import English
from trainer.spec.problem import VocabularyError
from trainer.spec.vocabulary import read_vocabulary

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = [*SPECIALS, "[unused3]", "the", "run", "##ning", "."]


def examined(folder: Path, content: bytes | list[str], name: str = "vocab.txt") -> Examination:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else "".join(f"{line}\n" for line in content).encode())
    return examine_vocabulary(path)


def codes(found: Examination) -> list[str]:
    return [flaw.problem.code.removeprefix("vocabulary.") for flaw in found.flaws]


def test_a_sound_vocabulary(tmp_path: Path, english: English) -> None:
    found = examined(tmp_path, PIECES)
    assert (found.size, found.padded_size, found.continuations, found.unused) == (10, 128, 1, 1)
    assert found.flaws == ()
    assert examine_vocabulary(english.lower).case.kind == "lower"
    assert examine_vocabulary(english.cased).case.kind == "cased"
    assert letter_case([*SPECIALS, "北", "京"]).kind == "none"


@pytest.mark.parametrize(
    ("content", "expected", "repaired"),
    [
        ("\ufeff".encode() + "\r\n".join(PIECES).encode(), ["byte_order_mark", "windows"], PIECES),
        ("".join(f"{piece}\t{9.5}\n" for piece in PIECES).encode(), ["columns"], PIECES),
        ("\n".join([*PIECES, "caf\xe9"]).encode("latin-1"), ["not_utf8"], [*PIECES, "caf\xe9"]),
        ("\n".join([*PIECES, "北", "京"]).encode("gb18030"), ["not_utf8"], [*PIECES, "北", "京"]),
        ("\n".join(PIECES).encode("utf-16"), ["not_utf8"], PIECES),
        ([*PIECES, "", "cat"], ["blank_lines"], [*PIECES, "[unused0]", "cat"]),
        ([*PIECES, " cat", "dog\t"], ["blanks"], [*PIECES, "cat", "dog"]),
        ([*PIECES, "the "], ["blanks", "duplicate"], [*PIECES[:6], "[unused0]", *PIECES[7:], "the"]),
        ([*PIECES, "the"], ["duplicate"], [*PIECES[:6], "[unused0]", *PIECES[7:], "the"]),
        (["[unused1]", *PIECES], ["pad_not_first"], ["[PAD]", "[unused1]", *PIECES[1:]]),
        (["[unused1]", *PIECES[1:]], ["special_missing"], PIECES),
        ([*PIECES[:4], *PIECES[5:]], ["special_missing"], [*PIECES[:4], "[MASK]", *PIECES[6:]]),
        ([*PIECES[:4], "the", "##s"], ["special_missing"], [*PIECES[:4], "the", "##s", "[MASK]"]),
        ([*SPECIALS, "the"], ["no_continuation"], [*SPECIALS, "the"]),
        (json.dumps({piece: number for number, piece in enumerate(PIECES)}).encode(), ["json"], PIECES),
        (json.dumps({"model": {"vocab": {"[PAD]": 0, "##a": 2}}}).encode(), None, None),
    ],
)  # fmt: skip
def test_each_flaw_has_a_repair_that_moves_nothing(
    content: bytes | list[str], expected: list[str] | None, repaired: list[str], tmp_path: Path
) -> None:
    found = examined(tmp_path, content)
    if expected is None:  # a hole in the ids, and most special pieces missing
        assert codes(found) == ["json", "blank_lines", *["special_missing"] * 4]
        return
    assert codes(found) == expected
    assert not found.moves_ids
    assert list(found.repaired) == repaired
    if "no_continuation" not in expected:
        write_repaired(found, tmp_path / "new.txt", renumber=False, replace=False)
        assert read_vocabulary(tmp_path / "new.txt").pieces == tuple(repaired)
        assert examine_vocabulary(tmp_path / "new.txt").flaws == ()


def test_what_moves_ids_is_refused_until_asked_for(tmp_path: Path) -> None:
    for content, repaired in (
        (["the", *PIECES[1:5], "[PAD]", "##s"], ["[PAD]", *PIECES[1:5], "the", "##s"]),
        (["the", *PIECES[1:5], "##s"], ["[PAD]", *PIECES[1:5], "##s", "the"]),
    ):
        found, output = examined(tmp_path, content), tmp_path / "new.txt"
        assert found.moves_ids
        with pytest.raises(VocabularyError) as caught:
            write_repaired(found, output, renumber=False, replace=False)
        assert caught.value.problems[-1].code == "vocabulary.needs_renumber"
        assert not output.exists()
        write_repaired(found, output, renumber=True, replace=False)
        assert list(read_vocabulary(output).pieces) == repaired
        output.unlink()


def test_a_published_vocabulary_that_lost_lines_is_told(tmp_path: Path) -> None:
    found = examined(tmp_path, [*PIECES, *(f"w{number}" for number in range(30520 - len(PIECES)))])
    assert codes(found) == ["lines_lost"]
    assert found.usable


def test_other_kinds_of_file_are_refused(tmp_path: Path) -> None:
    for content, code in (
        (b"#version: 0.2\nt h\nth e\n", "vocabulary.other_kind"),
        (b"%PDF-1.7\n\xe2\xe3\xcf\xd3\n", "vocabulary.other_kind"),
        (b'{"model": {"vocab": [["a", 1.5]]}}', "vocabulary.json"),
        (b"", "vocabulary.empty"),
    ):
        with pytest.raises(VocabularyError) as caught:
            examined(tmp_path, content)
        assert caught.value.problems[0].code == code


lines = st.lists(
    st.sampled_from([*PIECES, "", " ", "the ", "cat", "[unused0]", "[unused1]", "\u3000", "x\r"])
    | st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=5),
    min_size=1,
    max_size=30,
)


@settings(max_examples=120, deadline=None)
@given(lines)
def test_every_repair_gives_a_usable_file_in_which_known_ids_stay(found_lines: list[str]) -> None:
    """Ids that tokenizers gave with the old file mean the same piece in the new one."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = examined(Path(folder), [*found_lines, "##ing"])
        except VocabularyError as error:
            assert error.problems[0].code == "vocabulary.json"
            return
        new = Path(folder, "new.txt")
        write_repaired(found, new, renumber=True, replace=False)
        repaired = read_vocabulary(new)
        assert repaired.pieces == found.repaired
        assert all(flaw.words.what and flaw.words.remedy for flaw in found.flaws)
        if found.usable:
            assert repaired.pieces[0] == "[PAD]"
        if not found.moves_ids:
            old = WordPiece.read_file(str(found.path))
            for piece, number in old.items():
                special = not piece.strip() or piece.startswith(("[", " ", "\t", "\ufeff"))
                assert special or repaired.pieces[number].rstrip() == piece.rstrip()


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, new = tmp_path / "vocab.txt", tmp_path / "new.txt"
    path.write_text("\n".join([*PIECES, "the"]))
    assert main(["data", "vocabulary", str(path)]) == 1
    assert f"data vocabulary {path} --fix NEW" in capsys.readouterr().out
    assert main(["data", "vocabulary", str(path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["flaws"][0]["moves_ids"] is False
    assert main(["data", "vocabulary", str(path), "--fix", str(new)]) == 0
    assert main(["data", "vocabulary", str(new)]) == 0
    assert main(["data", "vocabulary", str(path), "--fix", str(new)]) == 1
    assert f"{new} is there already" in capsys.readouterr().err
    assert main(["data", "vocabulary", str(path), "--in-place"]) == 0
    assert path.read_text() == new.read_text()
