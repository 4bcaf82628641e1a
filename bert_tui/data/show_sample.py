"""What the model will see of a dataset, read by the trainer's own reader, and put into words and marks for people.

The marks are signs, not colours, so that they survive a terminal without any; a span's style only adds to them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from rich.cells import cell_len, set_cell_size

from trainer.spec.corpus import Corpus
from trainer.spec.indexed_dataset import IndexedDataset
from trainer.spec.preset import Data
from trainer.spec.row_stream import require_rows
from trainer.spec.samples import Batch, RowReader
from trainer.spec.vocabulary import CONTINUATION, Vocabulary, read_vocabulary

How = Literal["plain", "special", "hidden", "replaced", "kept"]
MARKS: dict[How, str] = {"hidden": "^", "replaced": "!", "kept": "="}
"""What the answer to a piece that is asked begins with."""
MEANINGS = ("hidden", "replaced by a random piece", "left as it is, and asked all the same")
"""What the three marks mean."""
CONTINUATION_MEANING = "A piece that begins with ## goes on the word before it."
MARGIN = 3
"""Columns before the pieces, for the letter of their part."""
NARROWEST = 20
"""Columns; what is asked for less is laid out for this."""

Style = How | Literal["answer", "heading"]


@dataclass(frozen=True)
class Span:
    """Some text in one style."""

    text: str
    style: Style


Line = tuple[Span, ...]


@dataclass(frozen=True)
class ShownPiece:
    """A piece as the model sees it."""

    seen: str
    how: How
    answer: str = ""
    """The piece that is really there, where the model is asked for it."""


@dataclass(frozen=True)
class ShownSample:
    """One sample: ``[CLS] A [SEP] B [SEP]``, or ``[CLS] A [SEP]`` without sentence order."""

    row: int
    """Which of the rows that training reads, from 1, it stands in."""
    first: tuple[ShownPiece, ...]
    """[CLS], A and its [SEP]."""
    second: tuple[ShownPiece, ...]
    """B and its [SEP]; empty without sentence order."""
    swapped: bool | None
    """Whether B comes before A in the text; None without sentence order."""

    def count(self, how: How) -> int:
        """How many of its pieces are shown so."""
        return sum(piece.how == how for piece in (*self.first, *self.second))


def read_samples(prefix: Path, vocab_file: Path, data: Data, sequence_length: int, number: int) -> list[ShownSample]:
    """The first ``number`` samples that a run with these settings trains on; fewer where an epoch has fewer.

    Raises:
        DatasetError: the dataset cannot be read, or gives no samples.
        VocabularyError: the vocabulary cannot be used.
        PresetError: ``data.split`` is no split.
    """
    vocabulary, corpus = read_vocabulary(vocab_file), Corpus((IndexedDataset(prefix),), None)
    require_rows(corpus, data, sequence_length)
    reader = RowReader(corpus, vocabulary, data, sequence_length)
    found: list[ShownSample] = []
    for row in range(reader.rows("train", most=number)):
        if len(found) >= number:
            break
        found += samples_of_row(reader.batch("train", [row]), vocabulary, row + 1)
    return found[:number]


def samples_of_row(batch: Batch, vocabulary: Vocabulary, row: int) -> Iterator[ShownSample]:
    """The samples in a batch of one row."""
    seen, segments, second = batch.tokens[0], batch.segments[0], batch.types[0] == 1
    answers = np.full(len(seen), -1, dtype=np.int64)
    answers[batch.masked_index] = batch.masked_label
    for number in range(batch.pairs_count):
        here = segments == number + 1
        swapped = bool(batch.swapped[number]) if len(batch.swapped) else None
        parts = [
            tuple(_pieces(seen[here & part].tolist(), answers[here & part].tolist(), vocabulary))
            for part in (~second, second)
        ]
        yield ShownSample(row, parts[0], parts[1], swapped)


def _pieces(seen: Sequence[int], answers: Sequence[int], vocabulary: Vocabulary) -> Iterator[ShownPiece]:
    for shown, answer in zip(seen, answers, strict=True):
        text = vocabulary.pieces[shown]
        if answer < 0:
            yield ShownPiece(text, "special" if shown in (vocabulary.cls, vocabulary.sep) else "plain")
        else:
            how: How = "kept" if shown == answer else "hidden" if shown == vocabulary.mask else "replaced"
            yield ShownPiece(text, how, vocabulary.pieces[answer])


def sample_lines(sample: ShownSample, width: int) -> list[Line]:
    """A sample in ``width`` columns: what the model sees, and below each piece it is asked for, the answer."""
    lines: list[Line] = [(Span(text, "heading"),) for text in _headings(sample, width)]
    lines += _part_lines("A", sample.first, width)
    if sample.second:
        lines += _part_lines("B", sample.second, width)
    return lines


def legend_lines(samples: Sequence[ShownSample], width: int) -> list[Line]:
    """How to read the lines of samples."""
    examples = (ShownPiece("[MASK]", "hidden", "brown"), ShownPiece("lamp", "replaced", "fox"))
    lines: list[Line] = [
        (Span(text, "plain"),)
        for text in _wrapped(
            "The upper line is what the model sees. Where something stands below a piece, the model is asked which"
            " piece belongs there:",
            max(width, NARROWEST),
        )
    ]
    for piece, meaning in zip((*examples, ShownPiece("dog", "kept", "dog")), MEANINGS, strict=True):
        lines += _example_lines(piece, meaning, width)
    if any(piece.seen.startswith(CONTINUATION) for sample in samples for piece in (*sample.first, *sample.second)):
        lines += [(Span(text, "plain"),) for text in _wrapped(CONTINUATION_MEANING, max(width, NARROWEST))]
    return lines


def _example_lines(piece: ShownPiece, meaning: str, width: int) -> Iterator[Line]:
    """A piece above its answer, and what that means beside them."""
    cells, column = _cell(piece, width), len("[MASK]") + 3
    texts = _wrapped(meaning, max(width, NARROWEST) - MARGIN - column)
    for row in range(max(len(texts), len(cells))):
        cell = cells[row] if row < len(cells) else Span("", "plain")
        text = texts[row] if row < len(texts) else ""
        yield (Span(" " * MARGIN, "plain"), cell, Span(" " * (column - cell_len(cell.text)) + text, "plain"))


def _headings(sample: ShownSample, width: int) -> list[str]:
    pieces = (*sample.first, *sample.second)
    asked = sum(bool(piece.answer) for piece in pieces)
    order = {
        None: "",
        False: " B follows A in the text: the answer is 'right order'.",
        True: " A and B were swapped, A follows B in the text: the answer is 'wrong order'.",
    }[sample.swapped]
    counts = f"{sample.count('hidden')} hidden, {sample.count('replaced')} replaced, {sample.count('kept')} kept"
    return _wrapped(
        f"Row {sample.row}, {len(pieces)} pieces, {asked} of them asked: {counts}.{order}", max(width, NARROWEST)
    )


def _part_lines(letter: str, pieces: Sequence[ShownPiece], width: int) -> list[Line]:
    """The pieces of A or B in pairs of lines; the lower one only where something is asked."""
    lines: list[Line] = []
    beginning = letter.ljust(MARGIN)
    for cells in _rows_of_cells([_cell(piece, width) for piece in pieces], max(width, NARROWEST) - MARGIN):
        upper, lower = [Span(beginning, "heading")], [Span(" " * MARGIN, "plain")]
        for seen, answer in cells:
            room = max(cell_len(seen.text), cell_len(answer.text)) + 1
            upper += [seen, Span(" " * (room - cell_len(seen.text)), "plain")]
            lower += [answer, Span(" " * (room - cell_len(answer.text)), "plain")]
        lines.append(tuple(upper[:-1]))
        if any(answer.text for _, answer in cells):
            lines.append(tuple(lower[:-1]))
        beginning = " " * MARGIN
    return lines


def _rows_of_cells(cells: Sequence[tuple[Span, Span]], width: int) -> Iterator[list[tuple[Span, Span]]]:
    row: list[tuple[Span, Span]] = []
    used = 0
    for cell in cells:
        room = max(cell_len(span.text) for span in cell) + 1
        if row and used + room - 1 > width:
            yield row
            row, used = [], 0
        row.append(cell)
        used += room
    if row:
        yield row


def _cell(piece: ShownPiece, width: int) -> tuple[Span, Span]:
    """What stands above and what below, neither wider than a line."""
    room = max(width, NARROWEST) - MARGIN
    answer = MARKS[piece.how] + piece.answer if piece.answer else ""
    return Span(_fitting(piece.seen, room), piece.how), Span(_fitting(answer, room), "answer")


def _fitting(text: str, room: int) -> str:
    printable = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return printable if cell_len(printable) <= room else set_cell_size(printable, room)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(1, width))


def plain(line: Line) -> str:
    """A line without its styles."""
    return "".join(span.text for span in line).rstrip()
