"""English text of Python's own help as datasets, with the vocabularies they were made with."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from pydoc_data import topics

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from trainer.spec.indexed_dataset import IndexedDataset, IndexedDatasetWriter

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@dataclass(frozen=True)
class English:
    folder: Path
    sentences: Path
    """A dataset of sentences, made with ``lower``."""
    documents: Path
    """The same text, one sentence a document."""
    framed: Path
    """The same with [CLS] and [SEP] around it."""
    lower: Path
    cased: Path
    shuffled: Path
    """``lower`` in another order behind the special pieces."""
    shortened: Path
    """``lower`` without one line in the middle."""


@pytest.fixture(scope="session")
def english(tmp_path_factory: pytest.TempPathFactory) -> English:
    folder = tmp_path_factory.mktemp("english")
    texts = [
        sentences
        for text in topics.topics.values()
        if len(sentences := [part + "." for part in " ".join(text.split()).split(". ") if part.strip(".")]) > 1
    ]
    lower, pieces = _trained(texts, lowercase=True)
    _, cased = _trained(texts, lowercase=False)
    shuffled = pieces[5:]
    random.Random(0).shuffle(shuffled)
    found = English(
        folder=folder,
        sentences=folder / "text_sentence",
        documents=folder / "text_document",
        framed=folder / "framed",
        lower=_written(folder / "lower.txt", pieces),
        cased=_written(folder / "cased.txt", cased),
        shuffled=_written(folder / "shuffled.txt", pieces[:5] + shuffled),
        shortened=_written(folder / "shortened.txt", pieces[:1000] + pieces[1001:]),
    )
    _write_datasets(found, [[encoded.ids for encoded in lower.encode_batch(text)] for text in texts], len(pieces))
    return found


def _trained(texts: list[list[str]], *, lowercase: bool) -> tuple[Tokenizer, list[str]]:
    tokenizer = Tokenizer(models.WordPiece({}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=2000, special_tokens=SPECIALS, show_progress=False)
    tokenizer.train_from_iterator((sentence for text in texts for sentence in text), trainer)
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return tokenizer, [piece for piece, _ in pieces]


def _written(path: Path, pieces: list[str]) -> Path:
    path.write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
    return path


def _write_datasets(found: English, documents: list[list[list[int]]], size: int) -> None:
    for prefix in (found.sentences, found.documents, found.framed):
        with IndexedDatasetWriter(prefix, size) as writer:
            for sentences in documents:
                whole = [number for sentence in sentences for number in sentence]
                levels = {found.sentences: sentences, found.documents: [whole], found.framed: [[2, *whole, 3]]}
                writer.add_document(levels[prefix])
    assert np.array_equal(IndexedDataset(found.sentences).tokens, IndexedDataset(found.documents).tokens)
