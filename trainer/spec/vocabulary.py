"""WordPiece vocabularies: a text file with one piece a line; the line's number less one is the piece's id."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.spec.problem import Problem, VocabularyError

PAD = "[PAD]"
SPECIALS = ("[UNK]", "[CLS]", "[SEP]", "[MASK]")
CONTINUATION = "##"
"""What a piece begins with that goes on inside a word."""

LARGEST_FILE = 64 << 20
"""Bytes. The largest published vocabularies have about 5 MB; something larger is another kind of file."""
NAMED_DUPLICATES = 5
"""How many duplicates are named before the rest is only counted."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The pieces of a vocabulary and the ids that have a meaning of their own."""

    pieces: tuple[str, ...]
    pad: int
    unk: int
    cls: int
    sep: int
    mask: int
    continuation: NDArray[np.bool_]
    """[size]: whether the piece goes on inside a word ("##ing")."""
    cautions: tuple[Problem, ...] = ()
    """What is odd but allowed."""

    @property
    def size(self) -> int:
        """How many pieces there are; ids are 0 .. size - 1."""
        return len(self.pieces)


def read_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary in ``path``.

    A byte-order mark, Windows line ends and empty lines at the end are passed over. Pieces are separated by line
    feeds only: other characters that end a line in Unicode may be pieces themselves.

    Raises:
        VocabularyError: the file cannot be read or is no vocabulary BERT can be trained with; all reasons are named.
    """
    pieces = _lines(_read(path), path)
    if not pieces:
        raise VocabularyError(Problem("vocabulary.empty", str(path)))
    if pieces[0].lstrip()[:1] in ("{", "[") and pieces[0].strip() not in (PAD, *SPECIALS) and _is_json(path, pieces):
        raise VocabularyError(Problem("vocabulary.json", str(path)))
    where = _first_lines(pieces)
    problems = [*_pad_problems(pieces, where, path), *_special_problems(where, path), *_duplicates(pieces, where, path)]
    if problems:
        raise VocabularyError(*problems)
    continuation = np.fromiter((piece.startswith(CONTINUATION) for piece in pieces), dtype=np.bool_, count=len(pieces))
    cautions = () if continuation.any() else (Problem("vocabulary.no_continuation", str(path)),)
    unk, cls, sep, mask = (where[name] for name in SPECIALS)
    return Vocabulary(tuple(pieces), 0, unk, cls, sep, mask, continuation, cautions)


def _read(path: Path) -> bytes:
    try:
        facts = path.stat()
        if stat.S_ISDIR(facts.st_mode):
            raise VocabularyError(Problem("vocabulary.folder", str(path)))
        if not stat.S_ISREG(facts.st_mode):
            raise VocabularyError(Problem("vocabulary.no_file", str(path)))
        if facts.st_size > LARGEST_FILE:
            size = {"megabytes": facts.st_size >> 20}
            raise VocabularyError(Problem("vocabulary.too_large", str(path), str(facts.st_size), size))
        return path.read_bytes()
    except FileNotFoundError as error:
        raise VocabularyError(Problem("vocabulary.absent", str(path))) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise VocabularyError(Problem("vocabulary.unreadable", str(path), "", {"reason": reason})) from error


def _lines(content: bytes, path: Path) -> list[str]:
    """The pieces; empty lines at the end are dropped."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise VocabularyError(
            Problem("vocabulary.not_utf8", f"{path}:{line}", content[error.start : error.end].hex())
        ) from error
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _is_json(path: Path, lines: Sequence[str]) -> bool:
    """tokenizer.json and vocab.json begin with a brace or bracket and do not go on as a list of pieces does."""
    return path.suffix == ".json" or lines[-1].rstrip()[-1:] in ("}", "]")


def _first_lines(pieces: Sequence[str]) -> dict[str, int]:
    """Where each piece stands first."""
    where: dict[str, int] = {}
    for number, piece in enumerate(pieces):
        where.setdefault(piece, number)
    return where


def _pad_problems(pieces: Sequence[str], where: dict[str, int], path: Path) -> list[Problem]:
    if pieces[0] == PAD:
        return []
    if PAD not in where:
        return [Problem("vocabulary.special_missing", str(path), PAD)]
    return [Problem("vocabulary.pad_not_first", f"{path}:{where[PAD] + 1}", pieces[0])]


def _special_problems(where: dict[str, int], path: Path) -> list[Problem]:
    return [Problem("vocabulary.special_missing", str(path), name) for name in SPECIALS if name not in where]


def _duplicates(pieces: Sequence[str], where: dict[str, int], path: Path) -> list[Problem]:
    repeated = [number for number, piece in enumerate(pieces) if where[piece] != number]
    return [
        Problem(
            "vocabulary.duplicate",
            f"{path}:{number + 1}",
            pieces[number],
            {"first_line": where[pieces[number]] + 1, "count": len(repeated)},
        )
        for number in repeated[:NAMED_DUPLICATES]
    ]
