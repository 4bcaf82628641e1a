"""A terminal that stops reading for a while holds up nothing, and shows the present 2 s after it reads again."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.terminal import Terminal
from trainer.spec.records import Progress, read_record

ROOT = Path(__file__).parents[2]
STALLED_SECONDS = 60
CURRENT_SECONDS = 2.0


def shown_step(screen: str) -> int:
    """The step on the screen; -1 where there is none."""
    found = re.search(r"step ([\d,]+)", screen)
    return int(found[1].replace(",", "")) if found else -1


def present_step(folder: Path) -> int:
    """The step the run is at."""
    (file,) = folder.rglob("attempts/*/progress.json")
    progress = read_record(Progress, file)
    assert progress is not None
    return progress.step


@pytest.mark.soak
def test_the_live_view_after_a_minute_without_a_reader(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state"), "LANG": "C.UTF-8"}
    command = [sys.executable, "-m", "tests.benchmarks.live_screen", str(tmp_path), "8", str(STALLED_SECONDS + 60)]
    with Terminal(command, environment={**environment, "PYTHONPATH": str(ROOT)}, cwd=str(ROOT)) as terminal:
        terminal.wait_for("Training: step", 20)
        before, memory = present_step(tmp_path), psutil.Process(terminal.process.pid).memory_info().rss
        for second in range(STALLED_SECONDS):
            for number in range(4):  # each is a whole frame, more than any line holds
                terminal.resize(81 + number, 24 + second % 2)
                time.sleep(0.25)
        terminal.resize(80, 24)
        wanted = present_step(tmp_path)
        assert wanted >= before + 2 * STALLED_SECONDS
        begun = time.monotonic()
        terminal.wait_for(lambda screen: shown_step(screen) >= wanted, 5 * CURRENT_SECONDS)
        taken = time.monotonic() - begun
        grown = psutil.Process(terminal.process.pid).memory_info().rss - memory
        print(f"current {taken:.1f} s after {STALLED_SECONDS} s without a reader, memory +{grown >> 20} MiB")
        assert taken <= 5 * CURRENT_SECONDS
        assert grown < 50 << 20
        terminal.press("d")
        assert terminal.wait_exit(5) == 5
