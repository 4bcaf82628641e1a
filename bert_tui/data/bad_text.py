"""What becomes of text that cannot be used: refused, replaced or left out, and always counted and named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bert_tui.data.order import BadText
from bert_tui.data.shards import Segment
from trainer.spec.problem import DatasetError, Problem

NAMED = 100
"""How many of a shard are named; the rest is only counted."""
BLOCK = 1 << 20


@dataclass(frozen=True)
class Bad:
    """Something in a segment that could not be used as it is."""

    segment: int
    """Number in the shard."""
    line: int
    """In the segment, from 1; 0 where it is the file as a whole."""
    code: str
    done: Literal["skipped", "replaced"]


class BadTextLog:
    """What was found in one shard, under the policy of the order."""

    def __init__(self, policy: BadText) -> None:
        self._policy = policy
        self.skipped = 0
        self.replaced = 0
        self.named: list[Bad] = []
        self.lines: list[int] = []
        """How many lines each segment has that was read so far."""

    def leave_out(self, segment: Segment, line: int, problem: Problem) -> None:
        """A line (0: the rest of the file) cannot be used; the problem's place is filled in.

        Raises:
            DatasetError: the policy is not to leave anything out.
        """
        if self._policy != "skip":
            raise DatasetError(placed(problem, segment, line))
        self.skipped += 1
        self._name(line, problem.code, "skipped")

    def decode(self, segment: Segment, line: int, raw: bytes) -> str | None:
        """The text of a line; None if it is left out.

        Raises:
            DatasetError: it is not UTF-8, and the policy is to refuse that.
        """
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            if self._policy == "replace":
                self._replace(line, "build.not_utf8")
                return raw.decode("utf-8", "replace")
            bad = raw[error.start : error.start + 8].hex(" ")
            self.leave_out(segment, line, Problem("build.not_utf8", "", bad))
            return None

    def whole(self, segment: Segment, line: int, text: str) -> str | None:
        """The text without halves of surrogate pairs, which JSON can spell and UTF-8 cannot; None if it is left out.

        Raises:
            DatasetError: there is one, and the policy is to refuse that.
        """
        if text.isascii():
            return text
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            if self._policy == "replace":
                self._replace(line, "build.surrogate")
                return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            self.leave_out(segment, line, Problem("build.surrogate", "", f"\\u{ord(text[error.start]):04x}"))
            return None
        return text

    def _replace(self, line: int, code: str) -> None:
        self.replaced += 1
        self._name(line, code, "replaced")

    def _name(self, line: int, code: str, done: Literal["skipped", "replaced"]) -> None:
        if len(self.named) < NAMED:
            self.named.append(Bad(len(self.lines), line, code, done))


def placed(problem: Problem, segment: Segment, line: int) -> Problem:
    """The problem with its place in the file: a segment's lines are counted from the file's beginning."""
    where = str(segment.path)
    if line:
        before = _count_lines(segment.path, segment.start) if segment.start else 0
        where = f"{where}:{before + line}"
    return Problem(problem.code, where, problem.value, problem.params)


def _count_lines(path: Path, end: int) -> int:
    """Line ends before a byte."""
    count = 0
    with path.open("rb") as file:
        while end > 0 and (block := file.read(min(BLOCK, end))):
            count += block.count(b"\n")
            end -= len(block)
    return count
