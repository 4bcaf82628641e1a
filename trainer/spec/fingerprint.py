"""Telling one dataset from another, and from what it was: what a run must read again when it is resumed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from trainer.spec.corpus import Corpus
from trainer.spec.indexed_dataset import IndexedDataset, dataset_paths
from trainer.spec.preset import Data
from trainer.spec.problem import DatasetError, Problem
from trainer.spec.run_directory import write_whole

FORMAT = 2
"""Of the rows: another number, and the same data give other rows."""
BLOCKS, BLOCK = 64, 1 << 20
"""Of ``.bin``, so many blocks of so many bytes, evenly spread from its first byte to its last, are looked at."""
SETTLED_SECONDS = 5.0
"""A file changed less than this ago may be changed again within the same tick of the clock."""


@dataclass(frozen=True)
class _Look:
    """What a look at the two files tells without reading them."""

    prefix: str
    sizes: tuple[int, int]
    changed: tuple[int, int]
    """Nanoseconds."""


def fingerprint(corpus: Corpus, data: Data, sequence_length: int, cache: Path | None = None) -> str:
    """Identifies a blend and everything that shapes its rows, as 32 hexadecimal digits.

    Of each dataset ``.idx`` counts whole, of ``.bin`` its size and :data:`BLOCKS` blocks. Where the files lie does not
    count. What was read is remembered in the folder ``cache``, so that files which have not been touched since are not
    read again; nothing is written beside the data.

    Raises:
        DatasetError: a file cannot be read.
    """
    settings = (
        FORMAT, sequence_length, data.split, data.sentence_order, data.packing, data.seed, data.mask_probability,
        data.mask_whole_words, data.mask_max_words, data.mask_lengths, data.short_sequence_probability, corpus.weights,
    )  # fmt: skip
    digests = [content_digest(dataset, cache) for dataset in corpus.datasets]
    return hashlib.sha256(repr((settings, digests)).encode()).hexdigest()[:32]


def content_digest(dataset: IndexedDataset, cache: Path | None = None) -> str:
    """Identifies what a dataset holds, as 64 hexadecimal digits.

    Raises:
        DatasetError: a file cannot be read.
    """
    try:
        look = _look_at(dataset)
        note = None if cache is None else cache / (hashlib.sha256(look.prefix.encode()).hexdigest()[:32] + ".json")
        if note is not None and (known := _noted(note, look)):
            return known
        digest = _digest(dataset)
        settled = max(look.changed) < (time.time() - SETTLED_SECONDS) * 1e9
        if note is not None and settled and look == _look_at(dataset):
            _write_note(note, look, digest)
    except OSError as error:
        facts = {"reason": error.strerror or str(error)}
        raise DatasetError(Problem("dataset.unreadable", str(error.filename or dataset.prefix), "", facts)) from error
    return digest


def _look_at(dataset: IndexedDataset) -> _Look:
    index, content = (path.stat() for path in dataset_paths(dataset.prefix))
    prefix = str(Path(f"{dataset.prefix}.idx").resolve())
    return _Look(prefix, (index.st_size, content.st_size), (index.st_mtime_ns, content.st_mtime_ns))


def _digest(dataset: IndexedDataset) -> str:
    index, content = dataset_paths(dataset.prefix)
    digest = hashlib.sha256()
    with index.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    size = content.stat().st_size
    digest.update(b"%d" % size)
    with content.open("rb") as file:
        for number in range(BLOCKS):
            file.seek(max(0, size - BLOCK) * number // (BLOCKS - 1))
            digest.update(file.read(BLOCK))
    return digest.hexdigest()


def _noted(note: Path, look: _Look) -> str | None:
    """The digest in a note, if it is of these files as they are."""
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
        same = content["look"] == json.loads(json.dumps(asdict(look)))
        return str(content["digest"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # there is none, or it is damaged: the files themselves are asked


def _write_note(note: Path, look: _Look, digest: str) -> None:
    with contextlib.suppress(OSError):  # a note only spares time
        note.parent.mkdir(parents=True, exist_ok=True)
        write_whole(note, json.dumps({"look": asdict(look), "digest": digest}))
