"""What a build of a dataset is asked for: from which text, with which vocabulary, to where."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from bert_tui.paths import expand_path
from trainer.spec.problem import DatasetError, Problem

Markup = Literal["keep", "markdown", "html"]
BadText = Literal["refuse", "replace", "skip"]
InputFormat = Literal["auto", "json", "text", "file"]

SMALLEST_VOCABULARY = 200
"""Pieces: the special ones, the characters of a small alphabet and some words."""
LARGEST_VOCABULARY = 1_000_000
LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z]+)*")
"""What a code looks like by which the sentence splitter knows a language."""
KEY_IN_A_NAME = re.compile(r"[^/\0]+")


@dataclass(frozen=True)
class BuildOrder:
    """A build. The same order over the same input gives the same files to the byte; ``workers`` changes only how long
    it takes."""

    inputs: tuple[str, ...]
    """Files, folders (with all in them, but what is hidden) and patterns such as ``corpus/*.jsonl.gz``."""
    output: Path
    """The prefix: ``.bin`` and ``.idx`` are added; with several JSON keys ``_KEY`` too."""
    workers: int
    """Processes that split and tokenize."""
    vocab_file: Path | None = None
    train_vocab: int | None = None
    """Pieces of a vocabulary that is trained on the input, instead of one in a file."""
    json_keys: tuple[str, ...] = ("text",)
    lower_case: bool = True
    """Whether the vocabulary is a lower-case one: text is lower-cased and accents are taken off."""
    markup: Markup = "keep"
    """What to take out of the text before it is split."""
    bad_text: BadText = "refuse"
    """What becomes of text that is not UTF-8, and of lines that are no JSON object with the keys."""
    format: InputFormat = "auto"
    """``json``: an object a line. ``text``: a blank line ends a document. ``file``: plain text, each file a document.
    ``auto``: seen from each file's content; text with markup taken out is ``file``."""
    language: str = "en"
    """Whose abbreviations end no sentence; full stops of every script count in any case."""

    @property
    def trained_vocabulary(self) -> Path:
        """Where a vocabulary is put that the build trains."""
        return Path(f"{self.output}-vocab.txt")

    @property
    def vocabulary(self) -> Path:
        """The vocabulary the dataset has when it is built."""
        return self.vocab_file or self.trained_vocabulary

    @property
    def summary(self) -> Path:
        """What was built and from what (JSON), beside the dataset."""
        return Path(f"{self.output}.json")

    @property
    def folder(self) -> Path:
        """Where the build works; finished shards lie there until they are joined."""
        return Path(f"{self.output}.build")

    def prefix(self, key: str) -> Path:
        """The dataset of one JSON key."""
        return self.output if len(self.json_keys) == 1 else Path(f"{self.output}_{key}")


def absolute(order: BuildOrder) -> BuildOrder:
    """The order with every path absolute, so that it means the same wherever it is carried out."""
    return dataclasses.replace(
        order,
        inputs=tuple(expand_path(text) for text in order.inputs),
        output=Path(expand_path(str(order.output))),
        vocab_file=order.vocab_file and Path(expand_path(str(order.vocab_file))),
    )


def check_order(order: BuildOrder) -> None:
    """Refuses an order that cannot be carried out, without looking at the disk.

    Raises:
        DatasetError: names every field that is wrong, and why.
    """
    if problems := list(_problems(order)):
        raise DatasetError(*problems)


def _problems(order: BuildOrder) -> Iterator[Problem]:
    if not order.inputs or not all(text.strip("\0 ") for text in order.inputs):
        yield Problem("build.no_input", "inputs")
    if not order.output.name or order.output.suffix in (".bin", ".idx"):
        yield Problem("build.output_name", "output", str(order.output))
    if (order.vocab_file is None) == (order.train_vocab is None):
        yield Problem("build.vocabulary_choice", "vocab_file")
    if order.train_vocab is not None and not SMALLEST_VOCABULARY <= order.train_vocab <= LARGEST_VOCABULARY:
        facts = {"least": SMALLEST_VOCABULARY, "most": LARGEST_VOCABULARY}
        yield Problem("build.vocabulary_size", "train_vocab", str(order.train_vocab), facts)
    if len(set(order.json_keys)) != len(order.json_keys) or not order.json_keys:
        yield Problem("build.json_keys", "json_keys", " ".join(order.json_keys))
    elif len(order.json_keys) > 1:
        yield from (Problem("build.json_key_name", "json_keys", key) for key in order.json_keys if not _names(key))
    if order.workers < 1:
        yield Problem("build.workers", "workers", str(order.workers))
    if not LANGUAGE.fullmatch(order.language):
        yield Problem("build.language", "language", order.language)
    yield from _unknown(order)


def _names(key: str) -> bool:
    """Whether a key can be part of a file's name."""
    return KEY_IN_A_NAME.fullmatch(key) is not None and len(os.fsencode(key)) < 128


def _unknown(order: BuildOrder) -> Iterator[Problem]:
    for field, value, known in (
        ("markup", order.markup, get_args(Markup)),
        ("bad_text", order.bad_text, get_args(BadText)),
        ("format", order.format, get_args(InputFormat)),
    ):
        if value not in known:
            yield Problem("build.choice", field, value, {"known": ", ".join(known)})
