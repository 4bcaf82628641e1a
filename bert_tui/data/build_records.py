"""What a build tells while it works and when it is done (JSON by ``trainer.spec.records``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainer.spec.problem import Problem

BuildPhase = Literal["look", "vocabulary", "tokenize", "join"]
"""Looking at the input, training a vocabulary, splitting and tokenizing, joining the shards."""


@dataclass(frozen=True)
class BuildProgress:
    """How far a build is."""

    phase: BuildPhase
    done_bytes: int = 0
    """Of the phase: input as it lies on the disk (compressed, where it is); of ``join``, of the dataset."""
    total_bytes: int = 0
    documents: int = 0
    sentences: int = 0
    tokens: int = 0
    skipped: int = 0
    """Lines, documents and files that were left out because they could not be read."""
    bytes_per_second: float = 0.0
    """Over the last half minute."""
    seconds_left: float | None = None
    """Of the phase; None where it cannot be told yet."""
    detail: str = ""
    """One line: a file."""
    resumed_bytes: int = 0
    """Of ``done_bytes``, what an earlier, interrupted build had done."""
    cautions: tuple[Problem, ...] = ()
    """What is allowed and worth knowing: an earlier build of other settings was thrown away."""


@dataclass(frozen=True)
class LeftOut:
    """One thing that was left out or replaced: where (file, or file and line) and why."""

    where: str
    code: str
    """Of the problem that it is with ``bad_text = "refuse"``."""


@dataclass(frozen=True)
class DatasetCounts:
    """One dataset that a build wrote."""

    key: str
    """The JSON key; of plain text the first."""
    prefix: Path
    documents: int
    single_sentence: int
    """Documents of one sentence: they make no pair of sentences."""
    sentences: int
    cut_sentences: int
    """Sentences too long for the model, which were cut into several."""
    tokens: int
    unknown_tokens: int
    """[UNK]: words that the vocabulary cannot spell."""
    empty_documents: int
    """Without a single piece; they are not in the dataset."""


@dataclass(frozen=True)
class BuildResult:
    """A finished build."""

    datasets: tuple[DatasetCounts, ...]
    """In the order of the JSON keys."""
    vocab_file: Path
    vocab_size: int
    vocab_sha256: str
    input_files: int
    input_bytes: int
    """As they lie on the disk."""
    seconds: float
    """Of work; with a resumed build, of the last part."""
    skipped: int = 0
    replaced: int = 0
    """Lines in which bytes that are not UTF-8 were replaced by U+FFFD."""
    left_out: tuple[LeftOut, ...] = ()
    """The first of what was skipped or replaced, in the order of the input."""
