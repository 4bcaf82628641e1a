"""The sample dataset: a vocabulary and an indexed dataset from text that is on the machine already."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bert_tui.data.sample_text import sample_documents
from bert_tui.data.sentences import split_sentences
from trainer.spec.indexed_dataset import IndexedDatasetWriter
from trainer.spec.sample_index import Report
from trainer.spec.sizing import SAMPLE_VOCAB
from trainer.spec.vocabulary import CONTINUATION, PAD, SPECIALS, read_vocabulary
from trainer.spec.whole_folder import whole_folder

FORMAT = 1
"""Counted up when the same Python would give another dataset; part of the folder's name."""
VOCAB_SIZE = SAMPLE_VOCAB
MANIFEST = "dataset.json"
NAME = "sample_text_sentence"
GROUP = 256
"""Documents tokenized in one go."""


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
    tokenizer = _train_tokenizer(documents, vocab_size)
    vocab_file = folder / "vocab.txt"
    _write_vocabulary(tokenizer, vocab_file)
    report(1, 1, "vocabulary", f"training {vocab_size} pieces")
    sentences = tokens = done = 0
    with IndexedDatasetWriter(folder / NAME, read_vocabulary(vocab_file).size) as writer:
        for ids in _tokenized(tokenizer, documents):
            writer.add_document(ids)
            sentences, tokens, done = sentences + len(ids), tokens + sum(map(len, ids)), done + 1
            report(done, len(documents), "documents", "tokenizing")
    counts = {"documents": len(documents), "sentences": sentences, "tokens": tokens}
    _write_text(folder / MANIFEST, json.dumps(counts, indent=1))


def _split(texts: Sequence[str]) -> list[list[str]]:
    """Documents as lists of sentences; those of one sentence make no sample and are left out."""
    documents = (split_sentences(text) for text in texts)
    return [sentences for sentences in documents if len(sentences) > 1]


def _train_tokenizer(documents: Sequence[Sequence[str]], vocab_size: int) -> Any:
    """BERT's lower-casing WordPiece tokenizer; [PAD] has id 0.

    The library numbers single characters in the order of a hash table, which changes from process to process, and
    breaks ties by these numbers. Naming the characters beforehand makes it repeatable. They must not stay special,
    or they would be cut out of every word: so the pieces are given to a fresh tokenizer.
    """
    from tokenizers import trainers  # slow to import

    sentences = [sentence for document in documents for sentence in document]
    learning = _tokenizer({})
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, *SPECIALS, *_alphabet(learning, sentences)],
        continuing_subword_prefix=CONTINUATION,
        show_progress=False,
    )
    learning.train_from_iterator(sentences, trainer)
    return _tokenizer(learning.get_vocab(with_added_tokens=True))


def _tokenizer(vocabulary: dict[str, int]) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    model = models.WordPiece(vocabulary, unk_token=SPECIALS[0], continuing_subword_prefix=CONTINUATION)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _alphabet(tokenizer: Any, sentences: Sequence[str]) -> list[str]:
    """The single characters that begin words and those that go on in them, each sorted."""
    words = {
        word
        for sentence in sentences
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(sentence))
    }
    first = {word[0] for word in words}
    further = {f"{CONTINUATION}{character}" for word in words for character in word[1:]}
    return [*sorted(first), *sorted(further)]


def _write_vocabulary(tokenizer: Any, path: Path) -> None:
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    _write_text(path, "".join(f"{piece}\n" for piece, _ in pieces))


def _tokenized(tokenizer: Any, documents: Sequence[Sequence[str]]) -> Iterator[list[list[int]]]:
    """The ids of each document's sentences; sentences without a piece are left out."""
    for start in range(0, len(documents), GROUP):
        group = documents[start : start + GROUP]
        flat = [sentence for sentences in group for sentence in sentences]
        encoded = iter(tokenizer.encode_batch(flat, add_special_tokens=False))
        for sentences in group:
            yield [ids for _ in sentences if (ids := next(encoded).ids)]


def _write_text(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _read_manifest(folder: Path) -> BuiltDataset:
    counts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return BuiltDataset(prefix=folder / NAME, vocab_file=folder / "vocab.txt", **counts)
