"""Promise 15: how much the live screen sends, and what it costs."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.terminal import Terminal

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Figures:
    mean: float
    """Bytes a second."""
    most: int
    """Bytes in the worst second."""
    processor: float
    """Percent of a core."""


def measure(
    folder: Path, *, gpus: int, difference: bool, seconds: int, size: tuple[int, int] = (80, 24), key: str = ""
) -> Figures:
    """Watches a staged run on a real terminal of 256 colours; ``key`` goes to another screen first."""
    environment = {
        "BERT_TUI_FRAME_DIFF": str(int(difference)),
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
        "PYTHONPATH": str(ROOT),
        "LANG": "C.UTF-8",
    }
    command = [sys.executable, "-m", "tests.benchmarks.live_screen", str(folder), str(gpus), str(seconds + 30)]
    with Terminal(command, environment=environment, size=size, cwd=str(ROOT)) as terminal:
        terminal.wait_for("Training: step", 20)
        terminal.press(key)
        terminal.read(3)
        process, counts = psutil.Process(terminal.process.pid), []
        before, begun = process.cpu_times(), time.monotonic()
        for second in range(1, seconds + 1):
            sent = len(terminal.received)
            while (left := begun + second - time.monotonic()) > 0:
                terminal.read(left)
            counts.append(len(terminal.received) - sent)
        after = process.cpu_times()
        terminal.press("c" + "d" if key else "d")
        assert terminal.wait_exit(5) == 5
    used = after.user + after.system - before.user - before.system
    return Figures(sum(counts) / seconds, max(counts), 100 * used / seconds)


@pytest.mark.benchmark
@pytest.mark.timeout(200)
@pytest.mark.parametrize("gpus", [0, 8])
def test_bytes_of_the_live_screen(tmp_path: Path, capsys: pytest.CaptureFixture[str], gpus: int) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "stock").mkdir()
    ours = measure(tmp_path / "ours", gpus=gpus, difference=True, seconds=60)
    stock = measure(tmp_path / "stock", gpus=gpus, difference=False, seconds=15)
    with capsys.disabled():
        for name, figures in (("frame difference", ours), ("stock Textual", stock)):
            print(
                f"\nlive screen 80x24, {gpus} GPUs, {name}: {figures.mean:,.0f} B/s, worst second {figures.most:,} B, "
                f"{figures.processor:.1f} % of a core",
                end="",
            )
    assert ours.mean <= 1000
    assert ours.most <= 4000


@pytest.mark.benchmark
@pytest.mark.timeout(120)
def test_bytes_of_the_curves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The screen of curves, while its curve grows by four steps a second."""
    figures = measure(tmp_path, gpus=0, difference=True, seconds=60, key="c")
    with capsys.disabled():
        print(
            f"\ncurves 80x24: {figures.mean:,.0f} B/s, worst second {figures.most:,} B, "
            f"{figures.processor:.1f} % of a core",
            end="",
        )
    assert figures.mean <= 1000
    assert figures.most <= 4000
