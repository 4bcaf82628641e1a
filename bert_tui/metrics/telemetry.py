"""Load of the devices: from the readings a run's supervisors write, or else read on this machine."""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from trainer.spec.devices import read_gpus
from trainer.spec.records import Telemetry, from_json

KEPT = 60
OPENING_BYTES = 64 << 10


@dataclass(frozen=True)
class NodeReadings:
    """One machine's readings, oldest first, at least one."""

    node: str
    readings: tuple[Telemetry, ...]
    recorded: bool = True
    """Whether the run's supervisor took them; otherwise this program did, on this machine."""

    @property
    def latest(self) -> Telemetry:
        """The newest."""
        return self.readings[-1]


class TelemetryFollower:
    """Follows the ``*.jsonl`` files of one attempt."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _ReadingsFile] = {}

    def poll(self) -> tuple[NodeReadings, ...]:
        """The readings of each node, by name; nodes that wrote none yet are left out."""
        try:
            names = sorted(entry.name for entry in os.scandir(self._folder) if entry.name.endswith(".jsonl"))
        except OSError:
            return ()
        nodes = []
        for name in names:
            file = self._files.setdefault(name, _ReadingsFile(self._folder / name))
            file.poll()
            if file.readings:
                nodes.append(NodeReadings(name.removesuffix(".jsonl"), tuple(file.readings)))
        return tuple(nodes)


class _ReadingsFile:
    """The last readings of one file; what was appended is read once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = -1
        self._offset = 0
        self._rest = b""
        self.readings: deque[Telemetry] = deque(maxlen=KEPT)

    def poll(self) -> None:
        try:
            with self._path.open("rb", buffering=0) as file:
                data = self._new_bytes(file.fileno())
        except OSError:
            return
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-OPENING_BYTES:]
        for line in whole[-KEPT:]:
            reading = from_json(Telemetry, line.decode("utf-8", "replace"))
            if reading is not None:
                self.readings.append(reading)

    def _new_bytes(self, descriptor: int) -> bytes:
        status = os.fstat(descriptor)
        if status.st_ino != self._inode or status.st_size < self._offset:
            self._inode, self._offset, self._rest = status.st_ino, 0, b""
        start = max(self._offset, status.st_size - OPENING_BYTES)
        if start > self._offset:
            self._rest = b""
        data = os.pread(descriptor, status.st_size - start, start)
        self._offset = start + len(data)
        return data


class HostReader:
    """This machine's cores, memory and GPUs, for as long as a run's supervisor has written no reading."""

    def __init__(self) -> None:
        self._readings: deque[Telemetry] = deque(maxlen=KEPT)

    def poll(self) -> tuple[NodeReadings, ...]:
        """One more reading. The first shows the cores idle: their load is measured between two calls."""
        import psutil

        memory = psutil.virtual_memory()
        gpus, trouble = read_gpus()
        cores = tuple(psutil.cpu_percent(percpu=True))
        reading = Telemetry(time.time(), cores, memory.used, memory.total, gpus, gpu_problem=trouble)
        self._readings.append(reading)
        return (NodeReadings(socket.gethostname(), tuple(self._readings), recorded=False),)
