"""Promises 14 and 15: how soon the first page is there, and what the screens send, beside others in the same run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.benchmarks.test_frame_bytes import measure
from tests.terminal import Terminal

ROOT = Path(__file__).parents[2]
ROUNDS = 10
OURS = (sys.executable, "-m", "bert_tui")
BARE = (sys.executable, "-m", "tests.benchmarks.bare_textual")
TURNS = (("enter", "Is this machine fit?"), ("f3", "Which text"), ("f3", "How large"), ("f2", "Which text"))
"""Keys that turn to another page, and what it shows."""
WIDE = 5
"""How many times worse than its goal a figure may be before the test fails: this machine may be busy."""


@dataclass(frozen=True)
class Idle:
    """What a program costs while nobody touches it."""

    sent: float
    """Bytes a second."""
    processor: float
    """Percent of a core."""


def started(command: tuple[str, ...], folder: Path, **variables: str) -> Terminal:
    home = {"HOME": str(folder), "XDG_STATE_HOME": str(folder), "DOCKER_HOST": "unix:///nowhere/docker.sock"}
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", **home, **variables}
    return Terminal(command, environment=environment, cwd=str(ROOT))


def first_paint(command: tuple[str, ...], folder: Path, text: bytes, **variables: str) -> float:
    """Milliseconds from the start to the text on the terminal."""
    begun = time.monotonic()
    with started(command, folder, **variables) as terminal:
        while text not in terminal.received:
            terminal.read_once(20)
        return 1000 * (time.monotonic() - begun)


def duration(*command: str) -> float:
    """Milliseconds to the end of a command."""
    begun = time.monotonic()
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True, timeout=60)
    return 1000 * (time.monotonic() - begun)


def least(measure: Callable[[], float]) -> float:
    """Of ten rounds: what else the machine does only adds."""
    return min(measure() for _ in range(ROUNDS))


def idle(terminal: Terminal, seconds: float) -> Idle:
    """After everything has settled."""
    terminal.read(4)
    process, sent = psutil.Process(terminal.process.pid), len(terminal.received)
    before = sum(process.cpu_times()[:2])
    terminal.read_all(seconds)
    used = sum(process.cpu_times()[:2]) - before
    return Idle((len(terminal.received) - sent) / seconds, 100 * used / seconds)


@pytest.mark.benchmark
def test_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours = least(lambda: first_paint(OURS, tmp_path, b"Train a BERT"))
    bare = least(lambda: first_paint(BARE, tmp_path, b"Train a BERT"))
    helped, python = least(lambda: duration(*OURS, "--help")), least(lambda: duration(sys.executable, "-c", "pass"))
    with capsys.disabled():
        print(f"\nfirst page after {ours:.0f} ms, a trivial Textual application after {bare:.0f} ms", end="")
        print(f"\n--help takes {helped:.0f} ms, an empty Python program {python:.0f} ms", end="")
    assert ours <= 400 * WIDE
    assert helped <= 100 * WIDE


@pytest.mark.benchmark
def test_what_pages_send(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with started(OURS, tmp_path) as terminal:
        terminal.wait_for("Train a BERT model", 20)
        page = idle(terminal, 15)
        changes = {}
        for key, shown in (
            ("enter", "Is this machine fit?"),
            ("f3", "Which text"),
            ("f3", "How large"),
            ("f2", "Which"),
        ):
            sent = len(terminal.received)
            terminal.press(key)
            terminal.wait_for(shown, 20)
            terminal.read(1)
            changes[f"{key}: {shown}"] = len(terminal.received) - sent
        typing = idle(terminal, 10)
    with started(BARE, tmp_path) as terminal:
        bare = idle(terminal, 15)
    with capsys.disabled():
        print(
            f"\nidle page {page.sent:.0f} B/s, {page.processor:.1f} % of a core; a form {typing.sent:.0f} B/s, "
            f"{typing.processor:.1f} %; a trivial Textual application {bare.sent:.0f} B/s, {bare.processor:.1f} %\n"
            f"a page change sends {', '.join(f'{sent:,} B ({name})' for name, sent in changes.items())}",
            end="",
        )
    assert page.sent == typing.sent == 0
    assert max(changes.values()) <= 12_000


@pytest.mark.benchmark
@pytest.mark.compiler
def test_eight_gpus_beside_nvitop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """nvitop on a fake of NVIDIA's library, whose readings stand still; ours of a run whose readings change."""
    library = pytest.importorskip("tests.fake_nvml.library").compile_library(tmp_path)
    (tmp_path / "nvml.txt").write_text("driver 580.65.06\ngpus 8\n")
    fake = {"LD_LIBRARY_PATH": str(library.parent), "FAKE_NVML": str(tmp_path / "nvml.txt")}
    nvitop = (sys.executable, "-m", "nvitop")
    painted = least(lambda: first_paint(nvitop, tmp_path, b"NVITOP", **fake))
    with started(nvitop, tmp_path, **fake) as terminal:
        theirs = idle(terminal, 20)
    (tmp_path / "ours").mkdir()
    ours = measure(tmp_path / "ours", gpus=8, difference=True, seconds=20)
    with capsys.disabled():
        print(
            f"\nnvitop of 8 GPUs: first page after {painted:.0f} ms, {theirs.sent:.0f} B/s, {theirs.processor:.1f} % "
            f"of a core; the live screen of a run on 8: {ours.mean:.0f} B/s, {ours.processor:.1f} %",
            end="",
        )
    assert ours.mean <= 1000
