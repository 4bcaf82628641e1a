"""Megatron-LM's indexed dataset, to the byte.

``PREFIX.bin`` holds the ids of all sentences, back to back. ``PREFIX.idx`` is, little-endian:

======== ============= ==============================================================
offset   type          content
======== ============= ==============================================================
0        9 bytes       magic ``MMIDIDX`` and two NUL bytes
9        uint64        version, 1
17       uint8         code of the ids' type (:data:`DTYPES`)
18       uint64        S, sentences
26       uint64        D + 1, documents and one
34       int32 [S]     tokens of each sentence
34+4S    int64 [S]     where each sentence begins in ``.bin``, in bytes
34+12S   int64 [D+1]   first sentence of each document; the last entry is S
======== ============= ==============================================================

Source: ``megatron/core/datasets/indexed_dataset.py``.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.spec.problem import DatasetError, Problem
from trainer.spec.run_directory import sync_directory

MAGIC = b"MMIDIDX\x00\x00"
VERSION = 1
HEADER = struct.Struct("<9sQBQQ")
DTYPES: dict[int, Any] = {1: "<u1", 2: "<i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2"}
"""Codes of the whole-number types. Megatron also knows 6 and 7, floating point, which cannot hold ids."""
UINT16_VOCABULARY = 65500
"""Vocabularies below this size are stored in two bytes an id, as Megatron does."""


class IndexedDataset:
    """A dataset on disk, memory-mapped; opening reads the header only.

    The arrays are views into the file and not aligned in memory: index them, or copy a slice before searching it.

    Raises:
        DatasetError: a file is absent, or the header and the sizes of the two files do not fit together.
    """

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        index, content = dataset_paths(prefix)
        size, content_size = _file_size(index, prefix), _file_size(content, prefix)
        code, sentences, boundaries = _read_header(index, size)
        self.dtype: np.dtype[Any] = np.dtype(DTYPES[code])
        raw = np.memmap(index, dtype=np.uint8, mode="r")
        parts = np.split(raw[HEADER.size :], [4 * sentences, 12 * sentences])
        self.lengths: NDArray[np.int32] = parts[0].view("<i4")
        """[S]: tokens of each sentence."""
        self.pointers: NDArray[np.int64] = parts[1].view("<i8")
        """[S]: first byte of each sentence in ``.bin``."""
        self.documents: NDArray[np.int64] = parts[2].view("<i8")
        """[D + 1]: first sentence of each document, and S."""
        self.tokens: NDArray[Any] = _map_tokens(content, content_size, self.dtype)
        """[T]: all ids of ``.bin``."""
        assert len(self.documents) == boundaries

    @property
    def document_count(self) -> int:
        """D."""
        return len(self.documents) - 1

    def sentence_lengths(self, first: int, end: int) -> NDArray[np.int64]:
        """Tokens of sentences ``first`` .. ``end`` - 1, [end - first]. What the index says of them is made sure of,
        so that no place computed from it lies outside of ``.bin``.

        Raises:
            DatasetError: a length is below zero, or the sentences do not lie back to back within ``.bin``.
        """
        index, width = dataset_paths(self.prefix)[0], self.dtype.itemsize
        lengths = np.array(self.lengths[first:end], dtype=np.int64)
        if (wrong := np.flatnonzero(lengths < 0)).size:
            facts = {"sentence": first + int(wrong[0])}
            raise DatasetError(Problem("dataset.lengths", str(index), str(lengths[wrong[0]]), facts))
        pointers = np.array(self.pointers[first : end + 1])
        steps = width * lengths[: len(pointers) - 1]
        if (wrong := np.flatnonzero(np.diff(pointers) != steps)).size:
            before = int(wrong[0])
            facts = {"sentence": first + before + 1, "expected": int(pointers[before]) + int(steps[before])}
            raise DatasetError(Problem("dataset.pointers", str(index), str(pointers[before + 1]), facts))
        if len(lengths):
            self._check_ends(first, int(pointers[0]), int(pointers[0]) + width * int(lengths.sum()))
        return lengths

    def _check_ends(self, first: int, start: int, stop: int) -> None:
        """A run of sentences from ``first`` on, bytes ``start`` .. ``stop`` - 1, is a part of ``.bin``."""
        width, size = self.dtype.itemsize, self.dtype.itemsize * len(self.tokens)
        if start % width or not 0 <= start <= stop <= size or (first == 0 and start):
            expected = 0 if first == 0 else f"a multiple of {width} up to {size - (stop - start)}"
            facts = {"sentence": first, "expected": expected}
            raise DatasetError(Problem("dataset.pointers", str(dataset_paths(self.prefix)[0]), str(start), facts))

    def documents_before(self, sentences: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many documents begin at or before each sentence, [n], in a binary search that touches a few pages."""
        low, high = np.zeros_like(sentences), np.full_like(sentences, len(self.documents))
        while np.any(low < high):
            middle = (low + high) // 2
            behind = self.documents[np.minimum(middle, len(self.documents) - 1)] <= sentences
            low, high = np.where((low < high) & behind, middle + 1, low), np.where((low < high) & ~behind, middle, high)
        return low

    def document_borders(self, first: int, end: int) -> NDArray[np.int64]:
        """``first``, the beginnings of the documents between, and ``end``, rising; empty documents leave no trace.

        Raises:
            DatasetError: the document array falls there.
        """
        after, until = self.documents_before(np.array([first, end - 1])).tolist()
        inner = np.array(self.documents[after:until])
        borders = np.concatenate(([first], inner, [end]))
        if np.any(np.diff(borders) < 0):
            raise DatasetError(self.wrong_documents())
        return np.unique(borders)

    def wrong_documents(self) -> Problem:
        """That the document array is no list of borders."""
        facts = {"last": int(self.documents[-1]), "sentences": len(self.lengths)}
        return Problem("dataset.documents", str(dataset_paths(self.prefix)[0]), str(int(self.documents[0])), facts)

    def ids(self, places: NDArray[np.int64], vocab_size: int) -> NDArray[np.int64]:
        """The ids at places of ``.bin``, [n]. They are held against the vocabulary here as well, because the check
        before a run looks at a part of a large dataset only.

        Raises:
            DatasetError: one is not in the vocabulary.
        """
        ids = self.tokens[places].astype(np.int64)
        wrong = np.flatnonzero((ids < 0) | (ids >= vocab_size))
        if wrong.size:
            facts = {"vocabulary": vocab_size, "position": int(places[wrong[0]])}
            raise DatasetError(Problem("dataset.ids", f"{self.prefix}.bin", str(ids[wrong[0]]), facts))
        return ids

    def sentence(self, number: int) -> NDArray[Any]:
        """The ids of one sentence, [length]."""
        start = int(self.pointers[number]) // self.dtype.itemsize
        return self.tokens[start : start + int(self.lengths[number])]

    def sentences(self, first: int, end: int) -> NDArray[Any]:
        """The ids of sentences ``first`` .. ``end`` - 1 in one slice, [sum of lengths]."""
        if end <= first:
            return self.tokens[:0]
        start = int(self.pointers[first]) // self.dtype.itemsize
        stop = int(self.pointers[end - 1]) // self.dtype.itemsize + int(self.lengths[end - 1])
        return self.tokens[start:stop]


class IndexedDatasetWriter:
    """Writes a dataset beside its final names; leaving the ``with`` block without an error makes it visible.

    ``.idx`` is renamed last: where there is an ``.idx``, its ``.bin`` is whole. Lengths wait in files beside, so that
    memory does not grow with the dataset.
    """

    def __init__(self, prefix: Path, vocab_size: int) -> None:
        self._final = dataset_paths(prefix)
        self._beside = tuple(path.with_name(f".{path.name}.{os.getpid()}") for path in self._final)
        self._waiting = tuple(Path(f"{self._beside[0]}.{name}") for name in ("lengths", "documents"))
        self._code = 8 if vocab_size < UINT16_VOCABULARY else 4
        self._dtype = np.dtype(DTYPES[self._code])
        self._content = self._beside[1].open("wb")
        self._lengths, self._documents = (path.open("w+b") for path in self._waiting)
        self._sentence_count = self._document_count = 0

    def add_document(self, sentences: Sequence[Sequence[int] | NDArray[Any]]) -> None:
        """Appends a document: the ids of each of its sentences."""
        for ids in sentences:
            self._content.write(np.asarray(ids, dtype=self._dtype).tobytes())
        self._note(np.array([len(ids) for ids in sentences]), np.array([len(sentences)]))

    def add_documents(self, ids: NDArray[Any], lengths: NDArray[Any], counts: NDArray[Any]) -> None:
        """Appends d documents at once.

        Args:
            ids: [n], of all their sentences, back to back.
            lengths: [s], tokens of each sentence; their sum is n.
            counts: [d], sentences of each document; their sum is s.
        """
        self._content.write(ids.astype(self._dtype).tobytes())
        self._note(lengths, counts)

    def _note(self, lengths: NDArray[Any], counts: NDArray[Any]) -> None:
        ends = self._sentence_count + np.cumsum(counts, dtype=np.int64)
        self._lengths.write(lengths.astype("<i4").tobytes())
        self._documents.write(ends.astype("<i8").tobytes())
        self._sentence_count += len(lengths)
        self._document_count += len(counts)

    def __enter__(self) -> IndexedDatasetWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._content, self._lengths, self._documents:
                if kind is None:
                    self._publish()
        finally:
            for path in (*self._beside, *self._waiting):
                path.unlink(missing_ok=True)

    def _publish(self) -> None:
        _sync(self._content)
        with self._beside[0].open("wb") as file:
            file.write(HEADER.pack(MAGIC, VERSION, self._code, self._sentence_count, self._document_count + 1))
            for block in _blocks(self._lengths):
                file.write(block)
            end = 0
            for block in _blocks(self._lengths):
                lengths = np.frombuffer(block, dtype="<i4").astype(np.int64) * self._dtype.itemsize
                ends = end + np.cumsum(lengths)
                file.write((ends - lengths).astype("<i8").tobytes())
                end = int(ends[-1])
            file.write(np.zeros(1, dtype="<i8").tobytes())
            for block in _blocks(self._documents):
                file.write(block)
            _sync(file)
        for beside, final in zip(reversed(self._beside), reversed(self._final), strict=True):
            beside.replace(final)
        sync_directory(self._final[0].parent)


def _blocks(file: Any) -> Iterator[bytes]:
    """The whole content of a file, a mebibyte at a time."""
    file.seek(0)
    while block := file.read(1 << 20):
        yield block


def dataset_paths(prefix: Path) -> tuple[Path, Path]:
    """The ``.idx`` and the ``.bin`` of a prefix. A prefix may contain dots."""
    return Path(f"{prefix}.idx"), Path(f"{prefix}.bin")


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _file_size(path: Path, prefix: Path) -> int:
    """Size in bytes.

    Raises:
        DatasetError: not there, no plain file, or not readable.
    """
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise DatasetError(Problem("dataset.no_file", str(path)))
        with path.open("rb"):
            return facts.st_size
    except FileNotFoundError as error:
        raise DatasetError(_absent(path, prefix)) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise DatasetError(Problem("dataset.unreadable", str(path), "", {"reason": reason})) from error


def _absent(path: Path, prefix: Path) -> Problem:
    """Where a file is absent: most often the path was given with its ending, or names a folder."""
    if prefix.suffix in (".bin", ".idx"):
        return Problem("dataset.suffix", str(prefix), prefix.suffix, {"prefix": str(prefix.with_suffix(""))})
    if prefix.is_dir():
        return Problem("dataset.folder", str(prefix), "", {"found": _datasets_in(prefix)})
    return Problem("dataset.absent", str(path), path.suffix)


def _datasets_in(folder: Path) -> str:
    """Up to three datasets in a folder, for the operator to choose from."""
    names = sorted(str(path.with_suffix("")) for path in folder.glob("*.idx"))
    return ", ".join(names[:3]) or "none"


def _read_header(path: Path, size: int) -> tuple[int, int, int]:
    """Type code, S and D + 1.

    Raises:
        DatasetError: another kind of file, another version, or a size that does not fit S and D.
    """
    with path.open("rb") as file:
        head = file.read(HEADER.size)
    if head[: len(MAGIC)] != MAGIC:
        raise DatasetError(Problem("dataset.magic", str(path), head[: len(MAGIC)].hex()))
    if len(head) < HEADER.size:
        raise DatasetError(Problem("dataset.idx_size", str(path), str(size), {"expected": f"at least {HEADER.size}"}))
    _, version, code, sentences, boundaries = HEADER.unpack(head)
    if version != VERSION:
        raise DatasetError(Problem("dataset.version", str(path), str(version), {"known": VERSION}))
    if code not in DTYPES:
        raise DatasetError(Problem("dataset.dtype", str(path), str(code)))
    expected = HEADER.size + 12 * sentences + 8 * boundaries
    if size != expected:
        raise DatasetError(Problem("dataset.idx_size", str(path), str(size), {"expected": expected}))
    if not sentences or boundaries < 2:
        raise DatasetError(Problem("dataset.empty", str(path)))
    return code, sentences, boundaries


def _map_tokens(path: Path, size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    if size % dtype.itemsize:
        facts = {"expected": f"a multiple of {dtype.itemsize}"}
        raise DatasetError(Problem("dataset.bin_size", str(path), str(size), facts))
    return np.memmap(path, dtype=dtype, mode="r") if size else np.zeros(0, dtype=dtype)
