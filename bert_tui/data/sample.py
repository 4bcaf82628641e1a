"""The sample dataset: a vocabulary and an indexed dataset from text that is on the machine already."""

from __future__ import annotations

import itertools
import json
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bert_tui.data.join import join_shards
from bert_tui.data.sample_text import sample_documents
from bert_tui.data.sentences import split_sentences
from bert_tui.data.shard_files import Counts, KeyWriter
from bert_tui.data.vocabulary_training import train_vocabulary
from bert_tui.data.wordpiece import WordPiece
from trainer.spec.sample_index import Report
from trainer.spec.sizing import SAMPLE_VOCAB
from trainer.spec.vocabulary import read_vocabulary
from trainer.spec.whole_folder import whole_folder

FORMAT = 2
"""Counted up when the same Python would give another dataset; part of the folder's name."""
VOCAB_SIZE = SAMPLE_VOCAB
MANIFEST = "dataset.json"
NAME = "sample_text_sentence"


@dataclass(frozen=True)
class BuiltDataset:
    """A dataset and its vocabulary, on disk."""

    prefix: Path
    """Without .bin and .idx."""
    vocab_file: Path
    documents: int
    sentences: int
    tokens: int


def sample_folder(cache: Path, seed: int, vocab_size: int = VOCAB_SIZE) -> Path:
    """Where in a cache the sample dataset of this Python, seed and vocabulary size belongs."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    return cache / f"sample-{FORMAT}-python-{version}-seed-{seed}-vocabulary-{vocab_size}"


def build_sample_dataset(folder: Path, seed: int, vocab_size: int, report: Report) -> BuiltDataset:
    """Builds the dataset into ``folder``, which is complete or absent; one that is there already is returned at once.

    The same Python, seed and size give the same files to the byte.

    Raises:
        DatasetError: this Python has no documentation on board.
        OSError: the folder cannot be written.
    """
    if (folder / MANIFEST).is_file():
        return _read_manifest(folder)
    with whole_folder(folder) as beside:
        _build(beside, seed, vocab_size, report)
    return _read_manifest(folder)


def _build(folder: Path, seed: int, vocab_size: int, report: Report) -> None:
    documents = _split(sample_documents(report))
    random.Random(seed).shuffle(documents)
    report(0, 1, "vocabulary", f"training {vocab_size} pieces")
    pieces = train_vocabulary(lambda: itertools.chain.from_iterable(documents), vocab_size, lower_case=True)
    vocab_file = folder / "vocab.txt"
    _write_text(vocab_file, "".join(f"{piece}\n" for piece in pieces))
    report(1, 1, "vocabulary", f"training {vocab_size} pieces")
    counts = _write_dataset(folder, WordPiece(read_vocabulary(vocab_file), lower_case=True), documents, report)
    facts = {"documents": counts.documents, "sentences": counts.sentences, "tokens": counts.tokens}
    _write_text(folder / MANIFEST, json.dumps(facts, indent=1))


def _split(texts: Sequence[str]) -> list[list[str]]:
    """Documents as lists of sentences; those of one sentence make no pair and are left out."""
    documents = (split_sentences(text) for text in texts)
    return [sentences for sentences in documents if len(sentences) > 1]


def _write_dataset(folder: Path, wordpiece: WordPiece, documents: Sequence[Sequence[str]], report: Report) -> Counts:
    """As a build of one shard does."""
    with tempfile.TemporaryDirectory(dir=folder) as shard:
        writer = KeyWriter(Path(shard), 0, wordpiece)
        for number, sentences in enumerate(documents):
            writer.add(sentences, ends_document=True)
            report(number + 1, len(documents), "documents", "tokenizing")
        writer.close()
        join_shards([Path(shard)], 0, writer.counts, folder / NAME, wordpiece.dtype, lambda size: None)
    return writer.counts


def _write_text(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _read_manifest(folder: Path) -> BuiltDataset:
    counts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return BuiltDataset(prefix=folder / NAME, vocab_file=folder / "vocab.txt", **counts)
