"""Everything that is wrong with a vocabulary file, and the file as it would be without.

A piece's id is the number of its line, and datasets and weights hold ids. So a repair moves no line whose piece a
dataset can hold: a line that must go becomes ``[unused7]``, a name that text never contains; a special piece that is
missing takes such a line, or comes last. Where [PAD] must come first and another piece is there, that one has to move:
such a repair is named, and made only when asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bert_tui.data.flaw import Flaw
from bert_tui.data.vocabulary_text import read_lines
from trainer.spec.problem import Problem, VocabularyError
from trainer.spec.run_directory import write_once, write_whole
from trainer.spec.sizing import VOCAB_MULTIPLE
from trainer.spec.vocabulary import CONTINUATION, NAMED_DUPLICATES, PAD, SPECIALS

UNUSED = re.compile(r"\[unused\d+\]")
BLANKS = " \t"
"""What an editor leaves at the end of a line."""
PUBLISHED = {
    30522: "the lower-case BERT vocabulary",
    28996: "the cased BERT vocabulary",
    21128: "the Chinese BERT vocabulary",
    105879: "the lower-case multilingual BERT vocabulary",
    119547: "the cased multilingual BERT vocabulary",
}
"""Pieces of Google's vocabularies."""
FEW_LINES = 8
"""A file that lacks so many lines of a published one is more likely damaged than made so."""
CAPITAL_SHARE = 0.01
"""Lower-case vocabularies have none or next to none of their pieces with capital letters."""


@dataclass(frozen=True)
class LetterCase:
    """Whether a vocabulary is for text with capital letters, and why that is to be believed."""

    kind: Literal["lower", "cased", "none"]
    reason: str


@dataclass(frozen=True)
class Examination:
    """A vocabulary file, looked at."""

    path: Path
    size: int
    """Pieces."""
    continuations: int
    """Pieces that begin with "##"."""
    unused: int
    """Lines such as [unused7]."""
    case: LetterCase
    flaws: tuple[Flaw, ...]
    repaired: tuple[str, ...]
    """The pieces with every repair made."""

    @property
    def padded_size(self) -> int:
        """Rows of the model's word table."""
        return -(-self.size // VOCAB_MULTIPLE) * VOCAB_MULTIPLE

    @property
    def usable(self) -> bool:
        """Whether BERT can be trained with the file as it is."""
        return not any(flaw.fatal for flaw in self.flaws)

    @property
    def moves_ids(self) -> bool:
        """Whether the repairs give pieces other ids."""
        return any(flaw.moves_ids for flaw in self.flaws)

    def as_json(self) -> dict[str, Any]:
        """What ``data vocabulary --json`` prints."""
        return {
            "path": str(self.path),
            "size": self.size,
            "padded_size": self.padded_size,
            "continuations": self.continuations,
            "unused": self.unused,
            "case": self.case.kind,
            "case_reason": self.case.reason,
            "usable": self.usable,
            "flaws": [flaw.as_json() for flaw in self.flaws],
        }


def examine_vocabulary(path: Path) -> Examination:
    """Looks at a vocabulary file.

    Raises:
        VocabularyError: there is no such file, or it is no list of WordPiece's pieces.
    """
    lines, flaws = read_lines(path)
    if not any(line in SPECIALS or line.startswith(CONTINUATION) for line in map(_stripped, lines)):
        raise VocabularyError(Problem("vocabulary.other_kind", str(path)))
    size, first = len(lines), lines[0]
    continuations = sum(line.startswith(CONTINUATION) for line in lines)
    unused = sum(bool(UNUSED.fullmatch(line)) for line in lines)
    flaws += _lost_lines(size, path)
    for step in (_strip_blanks, _fill_blank_lines, _drop_duplicates):
        flaws += step(lines, path)
    flaws += _put_pad_first(lines, path, first)
    flaws += _add_specials(lines, path)
    if not continuations:
        flaws.append(Flaw(Problem("vocabulary.no_continuation", str(path)), fatal=False))
    return Examination(path, size, continuations, unused, letter_case(lines), tuple(flaws), tuple(lines))


def write_repaired(found: Examination, output: Path, *, renumber: bool, replace: bool) -> None:
    """Writes the repaired pieces to ``output``, at once or not at all.

    Args:
        found: what :func:`examine_vocabulary` gave.
        output: where to.
        renumber: whether pieces may get other ids.
        replace: whether a file that is there may be replaced.

    Raises:
        VocabularyError: a repair moves ids and may not; or ``output`` is there, or cannot be written.
    """
    moving = [flaw.problem for flaw in found.flaws if flaw.moves_ids]
    if moving and not renumber:
        raise VocabularyError(*moving, Problem("vocabulary.needs_renumber", str(found.path)))
    text = "".join(f"{piece}\n" for piece in found.repaired)
    try:
        if replace:
            write_whole(output, text, mode=0o644)
        elif not write_once(output, text, mode=0o644):
            raise VocabularyError(Problem("vocabulary.output_exists", str(output)))
    except OSError as error:
        facts = {"reason": error.strerror or str(error)}
        raise VocabularyError(Problem("vocabulary.not_written", str(output), "", facts)) from error


def letter_case(pieces: Sequence[str]) -> LetterCase:
    """A guess from the letters of the pieces."""
    words = [piece for piece in pieces if not re.fullmatch(r"\[\w+\]", piece)]
    cased = [piece for piece in words if piece.lower() != piece.upper()]
    capitals = [piece for piece in cased if piece != piece.lower()]
    if not cased:
        return LetterCase("none", "no piece has letters that come in two cases")
    if not capitals:
        return LetterCase("lower", f"none of its {len(cased):,} pieces with letters has a capital")
    share = f"{len(capitals):,} of its {len(cased):,} pieces with letters have a capital, as {capitals[0]!r}"
    return LetterCase("cased" if len(capitals) > CAPITAL_SHARE * len(cased) else "lower", share)


def _stripped(line: str) -> str:
    return line.strip(BLANKS)


class _Placeholders:
    """Names for lines that must stay and mean nothing, none of which is there already."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._taken = set(lines)
        self._number = 0

    def next(self) -> str:
        while (name := f"[unused{self._number}]") in self._taken:
            self._number += 1
        self._taken.add(name)
        return name


def _lost_lines(size: int, path: Path) -> list[Flaw]:
    """A copy that went through a program which drops lines looks sound, but its ids are shifted."""
    return [
        Flaw(Problem("vocabulary.lines_lost", str(path), str(size), {"published": whole, "name": name}), fatal=False)
        for whole, name in PUBLISHED.items()
        if whole - FEW_LINES <= size < whole
    ]


def _strip_blanks(lines: list[str], path: Path) -> list[Flaw]:
    """Takes blanks off the ends of pieces, as tokenizers do when they read the file."""
    found = [number for number, line in enumerate(lines) if _stripped(line) and line != _stripped(line)]
    for number in found:
        lines[number] = _stripped(lines[number])
    if not found:
        return []
    problem = Problem("vocabulary.blanks", f"{path}:{found[0] + 1}", str(len(found)))
    return [Flaw(problem, "The blanks are taken off.", fatal=False)]


def _fill_blank_lines(lines: list[str], path: Path) -> list[Flaw]:
    """White space of any kind is blank: tokenizers part words at it."""
    found = [number for number, line in enumerate(lines) if not line.strip()]
    placeholders = _Placeholders(lines)
    for number in found:
        lines[number] = placeholders.next()
    if not found:
        return []
    problem = Problem("vocabulary.blank_lines", f"{path}:{found[0] + 1}", str(len(found)))
    return [Flaw(problem, f"Each becomes a placeholder such as {lines[found[0]]}.", fatal=len(found) > 1)]


def _drop_duplicates(lines: list[str], path: Path) -> list[Flaw]:
    """Keeps the last of equal lines, which is the one whose id tokenizers give."""
    last = {line: number for number, line in enumerate(lines)}
    first: dict[str, int] = {}
    for number, line in enumerate(lines):
        first.setdefault(line, number)
    repeated = [number for number, line in enumerate(lines) if first[line] != number]
    flaws = [
        Flaw(
            Problem(
                "vocabulary.duplicate",
                f"{path}:{number + 1}",
                lines[number],
                {"first_line": first[lines[number]] + 1, "count": len(repeated)},
            ),
            "The last one stays, whose number tokenizers use; the others become placeholders.",
        )
        for number in repeated[:NAMED_DUPLICATES]
    ]
    placeholders = _Placeholders(lines)
    for number, line in enumerate(lines):
        if last[line] != number:
            lines[number] = placeholders.next()
    return flaws


def _put_pad_first(lines: list[str], path: Path, shown: str) -> list[Flaw]:
    """``shown`` is what the file has on its first line."""
    if lines[0] == PAD:
        return []
    old, free = lines[0], bool(UNUSED.fullmatch(lines[0]))
    if PAD in lines:
        place = lines.index(PAD)
        lines[0], lines[place] = PAD, old
        problem = Problem("vocabulary.pad_not_first", f"{path}:{place + 1}", shown)
        return [Flaw(problem, f"{PAD} and {old} change places.", moves_ids=not free)]
    lines[0] = PAD
    problem = Problem("vocabulary.special_missing", str(path), PAD)
    if free:
        return [Flaw(problem, f"It takes the place of {old}.")]
    lines.append(old)
    return [Flaw(problem, f"It takes the first line, and {old} goes to the end.", moves_ids=True)]


def _add_specials(lines: list[str], path: Path) -> list[Flaw]:
    """Puts what is missing in the place of a placeholder, or at the end."""
    flaws, free = [], [number for number, line in enumerate(lines) if UNUSED.fullmatch(line)]
    for name in SPECIALS:
        if name in lines:
            continue
        if free:
            place = free.pop(0)
            repair, lines[place] = f"It takes the place of {lines[place]}.", name
        else:
            lines.append(name)
            repair = f"It comes last, on line {len(lines)}."
        flaws.append(Flaw(Problem("vocabulary.special_missing", str(path), name), repair))
    return flaws
