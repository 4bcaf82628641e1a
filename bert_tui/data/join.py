"""Joining finished shards into an indexed dataset, in memory that does not grow with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from bert_tui.data.shard_files import Counts, key_files, sync
from trainer.spec.indexed_dataset import DTYPES, HEADER, MAGIC, VERSION, dataset_paths
from trainer.spec.run_directory import sync_directory


def join_shards(
    folders: Sequence[Path], key: int, counts: Counts, prefix: Path, dtype: np.dtype[Any], wrote: Callable[[int], None]
) -> None:
    """Writes ``PREFIX.bin`` and ``PREFIX.idx`` beside, syncs and renames them, the index last: where it is, its
    content is whole. ``counts`` are of all shards; ``wrote`` is told each shard's bytes.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    index, content = dataset_paths(prefix)
    beside_index, beside_content = _beside(index), _beside(content)
    try:
        with beside_content.open("wb") as file:
            for folder in folders:
                with key_files(folder, key)[0].open("rb") as ids:
                    shutil.copyfileobj(ids, file, 1 << 20)
                    wrote(ids.tell())
            sync(file)
        with beside_index.open("wb") as file:
            _write_index(file, folders, key, counts, dtype)
            sync(file)
        beside_content.replace(content)
        beside_index.replace(index)
    finally:
        beside_content.unlink(missing_ok=True)
        beside_index.unlink(missing_ok=True)
    sync_directory(index.parent)


def _write_index(file: BinaryIO, folders: Sequence[Path], key: int, counts: Counts, dtype: np.dtype[Any]) -> None:
    code = next(number for number, name in DTYPES.items() if np.dtype(name) == dtype)
    file.write(HEADER.pack(MAGIC, VERSION, code, counts.sentences, counts.documents + 1))
    for lengths in _arrays(folders, key, 1, "<i4"):
        file.write(lengths.tobytes())
    start = 0
    for lengths in _arrays(folders, key, 1, "<i4"):
        ends = start + np.cumsum(lengths.astype("<i8")) * dtype.itemsize
        file.write((ends - lengths.astype("<i8") * dtype.itemsize).tobytes())
        start = int(ends[-1]) if len(ends) else start
    file.write(np.zeros(1, dtype="<i8").tobytes())
    sentences = 0
    for lengths, ends in zip(_arrays(folders, key, 1, "<i4"), _arrays(folders, key, 2, "<i8"), strict=True):
        file.write((ends + sentences).astype("<i8").tobytes())
        sentences += len(lengths)


def _arrays(folders: Sequence[Path], key: int, which: int, dtype: str) -> Iterator[NDArray[Any]]:
    for folder in folders:
        yield np.fromfile(key_files(folder, key)[which], dtype=dtype)


def _beside(path: Path) -> Path:
    """Always the same name: the folder's lock keeps others out, and what a killed build left is written over."""
    return path.with_name(f".{path.name}.joining")
