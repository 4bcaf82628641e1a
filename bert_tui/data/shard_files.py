"""A finished shard: for each JSON key the ids, lengths and documents, in the order they have in the dataset.

================  ===============================================================
``KEY.bin``       ids of all sentences, as in the dataset's ``.bin``
``KEY.lengths``   int32: tokens of each sentence
``KEY.ends``      int64: after how many sentences of the shard each document ends
``shard.json``    counts (:class:`ShardRecord`)
================  ===============================================================

``KEY`` is the number of the key. The folder of a shard is complete or absent.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bert_tui.data.bad_text import Bad
from bert_tui.data.wordpiece import WordPiece

BATCH = 1 << 17
"""Characters that are tokenized in one go, or a little more."""
SLICE = 64
"""Sentences after which it is looked whether there are enough."""


@dataclass(frozen=True)
class Counts:
    """Of one key of a shard, or of several added up."""

    documents: int = 0
    single_sentence: int = 0
    sentences: int = 0
    cut_sentences: int = 0
    tokens: int = 0
    unknown_tokens: int = 0
    empty_documents: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(mine + theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)))


@dataclass(frozen=True)
class ShardRecord:
    """``shard.json``."""

    keys: tuple[Counts, ...]
    lines: tuple[int, ...]
    """Of each segment."""
    skipped: int
    replaced: int
    bad: tuple[Bad, ...]


class KeyWriter:
    """Tokenizes the sentences of one JSON key of a shard and writes them, batch by batch."""

    def __init__(self, folder: Path, key: int, wordpiece: WordPiece) -> None:
        self._wordpiece = wordpiece
        self._ids, self._lengths, self._ends = (path.open("wb") for path in key_files(folder, key))
        self._sentences: list[str] = []
        self._characters = 0
        self._ended: list[int] = []
        """In the batch: after how many sentences each document ends."""
        self._last_end = 0
        """In the shard: after how many sentences of the dataset the last document ended."""
        self.counts = Counts()

    def add(self, sentences: Sequence[str], *, ends_document: bool) -> None:
        """The next sentences of the document."""
        for start in range(0, len(sentences), SLICE):
            part = sentences[start : start + SLICE]
            self._sentences.extend(part)
            self._characters += sum(map(len, part))
            if self._characters >= BATCH:
                self.flush()
        if ends_document:
            self._ended.append(len(self._sentences))
            if len(self._ended) >= BATCH:
                self.flush()

    def flush(self) -> None:
        """Writes what has been gathered."""
        ids, lengths = self._wordpiece.encode(self._sentences)
        lengths, parts = self._wordpiece.cut(ids, lengths)
        self._ids.write(ids.tobytes())
        self._lengths.write(lengths.astype("<i4").tobytes())
        self._end_documents(np.concatenate([[0], np.cumsum(parts, dtype=np.int64)]))
        self.counts += Counts(
            sentences=len(lengths),
            cut_sentences=int((parts > 1).sum()),
            tokens=len(ids),
            unknown_tokens=int((ids == self._wordpiece.unk).sum()),
        )
        self._sentences, self._characters, self._ended = [], 0, []

    def _end_documents(self, written: NDArray[np.int64]) -> None:
        """Notes where documents end that end in this batch. ``written``: how many sentences of the dataset there are
        after each of the batch, [S + 1]."""
        ends = self.counts.sentences + written[np.array(self._ended, dtype=np.int64)]
        sizes = np.diff(ends, prepend=self._last_end)
        self._ends.write(ends[sizes > 0].astype("<i8").tobytes())
        self._last_end = int(ends[-1]) if len(ends) else self._last_end
        self.counts += Counts(
            documents=int((sizes > 0).sum()),
            single_sentence=int((sizes == 1).sum()),
            empty_documents=int((sizes == 0).sum()),
        )

    def close(self) -> None:
        """Writes the rest and makes it last."""
        self.flush()
        for file in (self._ids, self._lengths, self._ends):
            sync(file)
            file.close()


def key_files(folder: Path, key: int) -> tuple[Path, Path, Path]:
    """Ids, lengths and ends of one key."""
    return folder / f"{key}.bin", folder / f"{key}.lengths", folder / f"{key}.ends"


def shard_folder(shards: Path, number: int) -> Path:
    """Where a shard lies once it is finished."""
    return shards / f"{number:06d}"


def record_file(folder: Path) -> Path:
    """A shard's counts."""
    return folder / "shard.json"


def sync(file: Any) -> None:
    """Makes what was written last."""
    file.flush()
    os.fsync(file.fileno())
