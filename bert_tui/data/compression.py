"""Opening files of text, packed or not. How a file is packed is seen from its first bytes, never from its name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast

if TYPE_CHECKING:
    import zstandard

Compression = Literal["none", "gzip", "zstandard", "xz", "bzip2"]
BEGINNINGS: dict[bytes, Compression] = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
}
BUFFER = 1 << 20
PACKED = 1 << 14
"""Bytes of zstd that are unpacked in one go; they may become a thousand times as many."""


class Opened:
    """A file of text: ``stream`` gives its content, :meth:`position` how much of what lies on the disk was read."""

    def __init__(self, path: Path, compression: Compression) -> None:
        self._raw = path.open("rb")
        self.stream = _unpacked(self._raw, compression)

    def position(self) -> int:
        """Bytes of the file on the disk."""
        return self._raw.tell()

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.close()


def compression_of(path: Path) -> Compression:
    """How a file is packed.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(max(map(len, BEGINNINGS)))
    return next((kind for beginning, kind in BEGINNINGS.items() if head.startswith(beginning)), "none")


def is_damage(error: BaseException) -> bool:
    """Whether the error means that a file cannot be read, or not be unpacked, to its end."""
    return isinstance(error, OSError | EOFError | zlib.error | lzma.LZMAError) or type(error).__name__ == "ZstdError"


def _unpacked(raw: BinaryIO, compression: Compression) -> BinaryIO:
    match compression:
        case "none":
            return raw
        case "gzip":
            return cast(BinaryIO, io.BufferedReader(gzip.GzipFile(fileobj=raw), BUFFER))
        case "xz":
            return cast(BinaryIO, io.BufferedReader(lzma.LZMAFile(raw), BUFFER))
        case "bzip2":
            return cast(BinaryIO, io.BufferedReader(bz2.BZ2File(raw), BUFFER))
        case "zstandard":
            return cast(BinaryIO, io.BufferedReader(_ZstandardFile(raw), BUFFER))


class _ZstandardFile(io.RawIOBase):
    """What the frames of a file hold. The package's own reader takes a torn file for one that ends there."""

    def __init__(self, raw: BinaryIO) -> None:
        import zstandard

        self._raw = raw
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._packed = self._unpacked = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._unpacked:
            self._packed = self._packed or self._raw.read(PACKED)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("it ends inside a frame")
                return 0
            self._frame = self._frame or self._decompressor.decompressobj()
            self._unpacked = self._frame.decompress(self._packed)
            self._packed = self._frame.unused_data
            if self._frame.eof:
                self._frame = None
        size = min(len(buffer), len(self._unpacked))
        buffer[:size], self._unpacked = self._unpacked[:size], self._unpacked[size:]
        return size
