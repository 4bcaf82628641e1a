"""``telemetry/NODE.jsonl``: cores, memory and GPUs of this node, a line a second; thinned after an hour."""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from trainer.host_memory import machine_memory
from trainer.process_tree import family
from trainer.spec.devices import kept_open, read_gpus
from trainer.spec.records import GpuReading, Telemetry, to_json
from trainer.spec.run_directory import write_whole

FINE_SECONDS = 3600.0
"""How far back every second is kept; before that, one line a minute."""
THIN_EVERY = 900.0
TIME = re.compile(r'\{"time":([0-9.]+)')
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class TelemetryWriter:
    """Reads once a second in a thread of its own, so that a hanging driver holds up nothing."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', socket.gethostname())}.jsonl"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def start(self) -> None:
        """Begins to read."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it, waiting no longer than a reading takes where all is well."""
        self._ended.set()
        self._thread.join(2.0)

    def _run(self) -> None:
        with kept_open():
            self._read_on()

    def _read_on(self) -> None:
        reader, thinned = TelemetryReader(os.getpid()), time.monotonic()
        while not self._ended.wait(1.0):
            try:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(to_json(reader.read()) + "\n")
                if time.monotonic() - thinned > THIN_EVERY:
                    thinned = time.monotonic()
                    thin_file(self._path, time.time())
            except OSError as error:  # a full disk must not end the readings for good
                print(f"telemetry: {error}", file=sys.stderr, flush=True)


def thin_file(path: Path, now: float) -> None:
    """Rewrites a telemetry file beside itself, thinned, and puts it in its place."""
    with path.open(encoding="utf-8") as file:
        write_whole(path, "".join(thinned(file, now)))


def thinned(lines: Iterable[str], now: float) -> Iterator[str]:
    """Every line of the last hour, and of each minute before it the first."""
    last_minute = None
    for line in lines:
        match = TIME.match(line)
        if match is None:
            continue
        when = float(match[1])
        minute = int(when // 60)
        if when > now - FINE_SECONDS or minute != last_minute:
            yield line
        last_minute = minute


class TelemetryReader:
    """Readings; remembers the last counters, of which the differences are percentages."""

    def __init__(self, root: int, gpus: Callable[[], tuple[tuple[GpuReading, ...], str]] = read_gpus) -> None:
        self._root = root
        self._gpus = gpus
        self._cores = _core_counters()
        self._run = self._run_counters()

    def read(self) -> Telemetry:
        """The state now; percentages are over the time since the last call."""
        cores, run = _core_counters(), self._run_counters()
        busy = tuple(_percent(now, before) for now, before in zip(cores, self._cores, strict=False))
        run_cpu = 100.0 * max(0, run[1] - self._run[1]) / max(1e-3, run[0] - self._run[0]) / TICKS_PER_SECOND
        self._cores, self._run = cores, run
        total, available = machine_memory()
        gpus, gpu_problem = self._gpus()
        return Telemetry(
            time=time.time(),
            cores=busy,
            memory_used=total - available,
            memory_total=total,
            gpus=gpus,
            run_cpu=round(run_cpu, 1),
            run_memory=run[2],
            gpu_problem=gpu_problem,
        )

    def _run_counters(self) -> tuple[float, int, int]:
        """(monotonic time, ticks used, bytes resident) of the run's processes."""
        processes = family(self._root)
        return time.monotonic(), sum(p.ticks for p in processes), sum(p.resident for p in processes)


def _core_counters() -> list[tuple[int, int]]:
    """(busy, all) ticks of each core."""
    counters = []
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        if re.match(r"cpu\d", line):
            ticks = [int(field) for field in line.split()[1:9]]  # guest time is counted in user time already
            idle = ticks[3] + ticks[4]
            counters.append((sum(ticks) - idle, sum(ticks)))
    return counters


def _percent(now: tuple[int, int], before: tuple[int, int]) -> float:
    return round(min(100.0, max(0.0, 100.0 * (now[0] - before[0]) / max(1, now[1] - before[1]))), 1)
