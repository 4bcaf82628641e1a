"""From a shard's segments to the text of documents, in memory that does not grow with the input."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from bert_tui.data.bad_text import BadTextLog
from bert_tui.data.compression import Opened, is_damage
from bert_tui.data.inputs import damaged
from bert_tui.data.markup import strip_markup
from bert_tui.data.order import BuildOrder
from bert_tui.data.shards import Segment, Shard
from trainer.spec.problem import DatasetError, Problem

LONGEST_DOCUMENT = 16 << 20
"""Bytes of a JSON line, or of a file with markup: these are held in memory whole."""
PIECE = 1 << 18
"""Bytes of plain text after which a document is handed on in parts. A sentence that goes on behind is cut there."""
REPORT_LINES = 32
"""After so many lines it is told how much has been read."""
MARK = b"\xef\xbb\xbf"
"""The byte order mark some editors put before UTF-8."""


@dataclass(frozen=True)
class Piece:
    """A document, or a part of one that is long."""

    texts: tuple[str, ...]
    """For each JSON key; plain text belongs to the first."""
    ends: bool
    """Whether the document ends with it."""


def read_shard(shard: Shard, order: BuildOrder, log: BadTextLog, report: Callable[[int], None]) -> Iterator[Piece]:
    """The documents of a shard. ``report`` is told how many bytes on the disk of the shard have been read.

    Raises:
        DatasetError: text that cannot be used, where the order refuses it.
    """
    before = 0

    def read_of_segment(read: int) -> None:
        report(before + read)

    for segment in shard.segments:
        lines = _Lines(segment, read_of_segment)
        ended = True
        try:
            for piece in READERS[segment.kind](lines, order, log):
                yield piece
                ended = piece.ends
        except Exception as error:
            if isinstance(error, DatasetError) or not is_damage(error):
                raise
            log.leave_out(segment, 0, damaged(segment.path, error))
            if not ended:
                yield Piece(("",) * len(order.json_keys), ends=True)
        finally:
            lines.close()
        log.lines.append(lines.number)
        before += segment.size


class _Lines:
    """The lines of a segment with their numbers, from 1. A line longer than asked for comes in parts."""

    def __init__(self, segment: Segment, report: Callable[[int], None]) -> None:
        self.segment = segment
        self.number = 0
        self.goes_on = False
        """Whether what was read last is the rest of a line."""
        self._part = False
        self._report = report
        self._opened: Opened | None = None
        self._left = 0
        self._rest = b""

    def _open(self) -> BinaryIO:
        """The stream, at the segment's beginning."""
        if self._opened is None:
            self._opened = Opened(self.segment.path, self.segment.compression)
            if self.segment.start:
                self._opened.stream.seek(self.segment.start)
            self._left = self.segment.size if self.segment.compression == "none" else -1
        return self._opened.stream

    def read(self, longest: int) -> bytes:
        """The next line with its end, or the first ``longest`` bytes of it; nothing at the end of the segment."""
        line = self._read(longest)
        if not line:
            return line
        self.goes_on, self._part = self._part, not line.endswith(b"\n")
        self.number += not self.goes_on
        if self.number % REPORT_LINES == 0 and self._opened is not None:
            self._report(self._opened.position() - self.segment.start)
        return line.removeprefix(MARK) if self.number == 1 and not self.segment.start else line

    def put_back(self, rest: bytes) -> None:
        """This was read already, and comes once more before the rest of its line."""
        self._rest = rest

    def _read(self, longest: int) -> bytes:
        stream = self._open()
        rest, self._rest = self._rest, b""
        if not self._left:
            return rest
        line = stream.readline(longest if self._left < 0 else min(longest, self._left))
        self._left -= len(line) if self._left > 0 else 0
        return rest + line

    def pass_over_line(self) -> None:
        """Goes on behind the end of the line that was read in part."""
        while (part := self._read(PIECE)) and not part.endswith(b"\n"):
            continue
        self._part = False

    def close(self) -> None:
        if self._opened is not None:
            self._opened.__exit__()


def _read_json(lines: _Lines, order: BuildOrder, log: BadTextLog) -> Iterator[Piece]:
    """A document an object, an object a line."""
    while raw := lines.read(LONGEST_DOCUMENT):
        if len(raw) == LONGEST_DOCUMENT and not raw.endswith(b"\n"):
            log.leave_out(lines.segment, lines.number, _too_long())
            lines.pass_over_line()
            continue
        if raw.isspace():
            continue
        if (line := log.decode(lines.segment, lines.number, raw)) is None:
            continue
        try:
            texts = _texts_of(line, order)
        except _Unfit as unfit:
            log.leave_out(lines.segment, lines.number, unfit.problem)
            continue
        whole = [log.whole(lines.segment, lines.number, text) for text in texts]
        kept = [strip_markup(text, order.markup) for text in whole if text is not None]
        if len(kept) == len(texts):
            yield Piece(tuple(kept), ends=True)


class _Unfit(Exception):
    """A line of JSON that holds no text under the keys."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.english)
        self.problem = problem


def _texts_of(line: str, order: BuildOrder) -> list[str]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _Unfit(Problem("build.not_json", "", "", {"reason": str(error)})) from error
    if not isinstance(record, dict):
        raise _Unfit(Problem("build.not_object", "", type(record).__name__))
    return [_text_of(record, key) for key in order.json_keys]


def _text_of(record: dict[str, Any], key: str) -> str:
    if key not in record:
        found = ", ".join(sorted(record)[:8]) or "none"
        raise _Unfit(Problem("build.no_key", "", key, {"found": found[:200]}))
    text = record[key]
    if not isinstance(text, str):
        raise _Unfit(Problem("build.no_text_in_key", "", key, {"kind": type(text).__name__}))
    return text


def _read_text(lines: _Lines, order: BuildOrder, log: BadTextLog) -> Iterator[Piece]:
    """A blank line ends a document."""
    gathered = _Gathered(order, PIECE)
    while raw := lines.read(PIECE):
        if raw.isspace() and not lines.goes_on:
            yield from gathered.piece(ends=True)
        elif (line := log.decode(lines.segment, lines.number, _whole_words(lines, raw))) is not None:
            yield from gathered.add(line)
    yield from gathered.piece(ends=True)


def _read_file(lines: _Lines, order: BuildOrder, log: BadTextLog) -> Iterator[Piece]:
    """The file is a document; with markup it must be in memory whole."""
    gathered = _Gathered(order, PIECE if order.markup == "keep" else LONGEST_DOCUMENT)
    while raw := lines.read(PIECE):
        if (line := log.decode(lines.segment, lines.number, _whole_words(lines, raw))) is not None:
            if order.markup != "keep" and gathered.length + len(line) > LONGEST_DOCUMENT:
                log.leave_out(lines.segment, 0, _too_long())
                return
            yield from gathered.add(line)
    yield from gathered.piece(ends=True)


READERS: dict[str, Callable[[_Lines, BuildOrder, BadTextLog], Iterator[Piece]]] = {
    "json": _read_json,
    "text": _read_text,
    "file": _read_file,
}
"""By the kind of text."""


class _Gathered:
    """Lines on their way to be a piece."""

    def __init__(self, order: BuildOrder, longest: int) -> None:
        self._order = order
        self._longest = longest
        self._lines: list[str] = []
        self._open = False
        self.length = 0

    def add(self, line: str) -> Iterator[Piece]:
        """One more line; gives a part of the document if it has become long."""
        self._lines.append(line)
        self.length += len(line)
        if self.length >= self._longest:
            yield from self.piece(ends=False)

    def piece(self, *, ends: bool) -> Iterator[Piece]:
        """What is gathered; nothing where there is no document."""
        if self._lines or (ends and self._open):
            text = strip_markup("".join(self._lines), self._order.markup)
            yield Piece((text, *[""] * (len(self._order.json_keys) - 1)), ends)
        self._open = not ends
        self._lines, self.length = [], 0


def _whole_words(lines: _Lines, raw: bytes) -> bytes:
    """A part of a line that is too long for one piece, up to a place where it may be cut; the rest comes next."""
    if len(raw) < PIECE or raw.endswith(b"\n"):
        return raw
    cut = raw.rfind(b" ") + 1
    if not cut:
        cut = len(raw)
        while cut > len(raw) - 4 and raw[cut - 1] & 0xC0 == 0x80:
            cut -= 1
        cut -= raw[cut - 1] >= 0xC0
    lines.put_back(raw[cut:])
    return raw[:cut]


def _too_long() -> Problem:
    return Problem("build.too_long", "", "", {"megabytes": LONGEST_DOCUMENT >> 20})
