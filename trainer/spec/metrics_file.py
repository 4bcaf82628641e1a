"""``metrics.bin``: one fixed-width record a step.

Layout: 8 bytes of magic, u32 LE length of the header, header (JSON, names the columns), then records of
``len(columns)`` float64 LE. A torn last record is the file's size modulo the record size: "not yet". A resumed run
appends; where two records name the same step, the later one counts.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from trainer.spec.run_directory import FULL_DISK

MAGIC = b"BERTMET1"
COLUMNS = (
    "step",
    "time",  # Unix time, seconds
    "lm_loss",  # nats a masked token
    "sop_loss",  # nats a pair
    "learning_rate",
    "grad_norm",
    "loss_scale",
    "rows",  # since the run began
    "tokens",  # since the run began, padding not counted
    "step_seconds",
    "skipped",  # 1 where the update was left out
    "lm_loss_validation",  # NaN but for steps that validated
    "sop_loss_validation",
    "masked_accuracy_validation",  # 0 to 1
    "sop_accuracy_validation",
    "data_wait_seconds",  # how much of step_seconds rank 0 waited for its rows
)


@dataclass(frozen=True)
class Layout:
    """Where the records of a file begin, and what they hold."""

    columns: tuple[str, ...]
    offset: int

    @property
    def record_bytes(self) -> int:
        """Size of one record."""
        return 8 * len(self.columns)


class MetricsWriter:
    """Appends records; opening cuts off a torn tail, and begins anew where even the header is torn."""

    def __init__(self, path: Path) -> None:
        columns = json.dumps({"columns": COLUMNS}).encode()
        header = MAGIC + struct.pack("<I", len(columns)) + columns
        if not path.exists() or _is_torn(path, header):
            path.write_bytes(header)
        layout = read_layout(path)
        if layout is None:
            raise ValueError(f"{path} is not a metrics file")
        self._columns = layout.columns
        records = (path.stat().st_size - layout.offset) // layout.record_bytes
        os.truncate(path, layout.offset + records * layout.record_bytes)
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._waiting = b""
        """Records, the first perhaps begun, that the file lacks."""

    def append(self, values: Mapping[str, float]) -> None:
        """One record; columns not given are NaN. What a full disk has no room for is written with a later one."""
        row = [values.get(name, float("nan")) for name in self._columns]
        self._waiting += struct.pack(f"<{len(row)}d", *row)
        try:
            self._write_waiting()
        except OSError as error:
            if error.errno not in FULL_DISK:
                raise

    def close(self) -> None:
        """Ends the file.

        Raises:
            OSError: the disk is full, and records are missing.
        """
        while self._waiting:
            self._write_waiting()
        self._file.close()

    def _write_waiting(self) -> None:
        """As much as there is room for: a record that is torn by that is not torn for long."""
        written = self._file.write(self._waiting)
        self._waiting = self._waiting[written:]


def _is_torn(path: Path, header: bytes) -> bool:
    """Whether the file ends within its header: its writer was killed, or the disk was full."""
    with path.open("rb") as file:
        seen = file.read(len(header))
    return len(seen) < len(header) and header.startswith(seen)


def read_layout(path: Path) -> Layout | None:
    """The layout of a metrics file; None while there is none, or if it is something else."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
            if len(head) < 12 or head[:8] != MAGIC:
                return None
            (length,) = struct.unpack("<I", head[8:])
            header = json.loads(file.read(min(length, 1 << 16)))
        columns = header["columns"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not (isinstance(columns, list) and columns and all(isinstance(name, str) for name in columns)):
        return None
    return Layout(tuple(columns), 12 + length)
