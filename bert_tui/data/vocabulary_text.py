"""From the bytes of a file that should be a vocabulary to its lines, whatever program wrote them.

What :func:`trainer.spec.vocabulary.read_vocabulary` passes over or refuses is told and, where that is possible, undone.
Undoing it moves no piece to another id.
"""

from __future__ import annotations

import codecs
import json
import re
from pathlib import Path
from typing import Any

from bert_tui.data.flaw import Flaw
from trainer.spec.problem import Problem, VocabularyError
from trainer.spec.vocabulary import read_vocabulary

NO_FILE = frozenset(
    f"vocabulary.{name}" for name in ("absent", "folder", "no_file", "unreadable", "too_large", "empty")
)
"""Refusals after which there is nothing to look at."""
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # begins as UTF-16's does, so it comes first
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
MOST_PIECES = 10_000_000
"""Ids of a JSON file beyond this are no ids of pieces."""
CHINESE = re.compile(r"[\u4e00-\u9fff]")
FURTHER_COLUMN = re.compile(r"\t[-+.\deE]+$")


def read_lines(path: Path) -> tuple[list[str], list[Flaw]]:
    """The lines, without line ends and without empty ones at the end, and what was odd about their writing.

    Raises:
        VocabularyError: there is no file, it cannot be read, or it is JSON of another kind.
    """
    try:
        read_vocabulary(path)
    except VocabularyError as error:
        if error.problems[0].code in NO_FILE:
            raise
        if any(problem.code == "vocabulary.json" for problem in error.problems):
            return _json_pieces(path, error)
    content = path.read_bytes()
    text, flaws = _decoded(content, path)
    lines = text.split("\n")
    ends = sum(line.endswith("\r") for line in lines)
    if ends:
        problem = Problem("vocabulary.windows", str(path), str(ends))
        flaws.append(Flaw(problem, "Line ends become those of Linux.", fatal=False))
    lines = [line.removesuffix("\r") for line in lines]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines, flaws + _drop_columns(lines, path)


def _decoded(content: bytes, path: Path) -> tuple[str, list[Flaw]]:
    if content.startswith(codecs.BOM_UTF8):
        problem = Problem("vocabulary.byte_order_mark", str(path))
        content = content.removeprefix(codecs.BOM_UTF8)
        flaws = [Flaw(problem, "The mark is taken off.", fatal=False)]
    else:
        flaws = []
    try:
        return content.decode("utf-8"), flaws
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = Problem("vocabulary.not_utf8", f"{path}:{line}", content[error.start : error.end].hex())
        text, encoding = _guessed(content)
        return text, [*flaws, Flaw(problem, f"Read as {encoding} and written as UTF-8: look at the result.")]


def _guessed(content: bytes) -> tuple[str, str]:
    """The text and its likely encoding: what a mark says, Chinese where that gives Chinese, else Western European."""
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, errors="replace"), encoding
    try:
        text = content.decode("gb18030")
    except UnicodeDecodeError:
        text = ""
    beyond_ascii = sum(not character.isascii() for character in text)
    if beyond_ascii and len(CHINESE.findall(text)) > beyond_ascii / 2:
        return text, "gb18030"
    return content.decode("latin-1"), "latin-1"


def _drop_columns(lines: list[str], path: Path) -> list[Flaw]:
    """Takes a second column, as of counts or scores, off ``lines`` where almost all of them have one."""
    counted = sum(bool(FURTHER_COLUMN.search(line)) for line in lines)
    if counted < 0.9 * len(lines) or not counted:
        return []
    lines[:] = [FURTHER_COLUMN.sub("", line) for line in lines]
    return [Flaw(Problem("vocabulary.columns", str(path), str(counted)), "The second column is taken off.")]


def _json_pieces(path: Path, refusal: VocabularyError) -> tuple[list[str], list[Flaw]]:
    """The pieces of Hugging Face's tokenizer.json or of a plain table of pieces and ids, in the order of the ids."""
    try:
        table = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise refusal from error
    if isinstance(table, dict) and isinstance(table.get("model"), dict):
        table = table["model"].get("vocab")
    if not _are_ids(table):
        raise refusal
    by_id = {number: piece for piece, number in table.items()}
    lines = [by_id.get(number, "") for number in range(max(by_id) + 1)]
    return lines, [Flaw(refusal.problems[0], "Its pieces are written one a line, each on the line of its id.")]


def _are_ids(table: Any) -> bool:
    """Whether this is a table of pieces and ids."""
    if not isinstance(table, dict) or not table:
        return False
    ids = [number for number in table.values() if type(number) is int and 0 <= number < MOST_PIECES]
    one_line = all("\n" not in piece for piece in table)
    return len(ids) == len(table) == len(set(ids)) and max(ids) < 4 * len(ids) + 1000 and one_line
