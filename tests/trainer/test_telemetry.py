from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainer.spec.records import GpuReading, Telemetry, from_json, to_json
from trainer.telemetry import FINE_SECONDS, TelemetryReader, thin_file
from trainer.train_log import TrainLog

GPU = GpuReading(0, "GPU-1", "A100", utilization=97.0, memory_used=1 << 30, memory_total=80 << 30)


def test_readings_are_percentages_over_the_time_since_the_last(tmp_path: Path) -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        reader = TelemetryReader(os.getpid(), gpus=lambda: ((GPU,), ""))
        time.sleep(1.0)
        reading = reader.read()
    finally:
        busy.kill()
        busy.wait()
    assert len(reading.cores) == os.cpu_count()
    assert all(0 <= core <= 100 for core in reading.cores)
    assert reading.run_cpu is not None
    assert 10 < reading.run_cpu < 150
    assert 0 < reading.memory_used < reading.memory_total
    assert from_json(Telemetry, to_json(reading)) == reading


def test_after_an_hour_one_line_a_minute_stays(tmp_path: Path) -> None:
    now, path = 1_000_000.0 * 60, tmp_path / "node.jsonl"
    times = [now - 2 * FINE_SECONDS + second for second in range(int(2 * FINE_SECONDS))]
    lines = [to_json(Telemetry(when, (), 0, 0)) + "\n" for when in times]
    path.write_text("".join(lines) + '{"time":12')
    thin_file(path, now)
    kept = [from_json(Telemetry, line) for line in path.read_text().splitlines()]
    kept_times = [reading.time for reading in kept if reading]
    assert kept_times == times[:3600:60] + times[3600:]
    once = path.read_text()
    thin_file(path, now)
    assert path.read_text() == once


def test_the_log_turns_over_when_it_is_full(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    log = TrainLog(path, largest=1000)
    read, write = os.pipe()
    log.copy(read)
    with os.fdopen(write, "wb") as pipe:
        for number in range(300):
            pipe.write(b"line %03d\n" % number)
            pipe.flush()
    log.drain()
    old, new = path.with_name("train.log.1").read_bytes(), path.read_bytes()
    assert len(old) < 1000 + (1 << 16)
    assert new.endswith(b"line 299\n") or old.endswith(b"line 299\n")


def test_a_log_that_cannot_turn_over_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    log = TrainLog(path, largest=10)
    path.with_name("train.log.new").mkdir()  # nothing can be opened by this name, as on a full disk
    read, write = os.pipe()
    log.copy(read)
    with os.fdopen(write, "wb", buffering=0) as pipe:
        for _ in range(3):
            pipe.write(b"x" * 20)
            time.sleep(0.1)
    log.drain()
    assert path.read_bytes() == b"x" * 60


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_ranks_go_on_printing_when_the_disk_is_full() -> None:
    log = TrainLog(Path("/dev/full"))
    read, write = os.pipe()
    log.copy(read)
    with os.fdopen(write, "wb", buffering=0) as pipe:
        for _ in range(100):
            pipe.write(b"x" * 4096)  # more than a pipe holds
    log.drain()
