"""How the program ends, on a real terminal: the exit status says which, and the terminal is as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.terminal import Terminal

ROOT = str(Path(__file__).parents[2])
START = "from bert_tui.cli import entry; entry()"
BROKEN = """
import bert_tui.app
from bert_tui.cli import entry
from bert_tui.screens.welcome import WelcomePage
def broken(*ignored):
    raise RuntimeError("a mistake of ours")
{place} = broken
entry()
"""


def started(program: str = START) -> Terminal:
    return Terminal([sys.executable, "-c", program], environment={**os.environ, "PYTHONPATH": ROOT}, cwd=ROOT)


def assert_restored(terminal: Terminal) -> None:
    received = bytes(terminal.received)
    for mode in (b"?1049", b"?1000"):  # the second screen, reports of the mouse
        assert received.rfind(b"\x1b[" + mode + b"l") > received.rfind(b"\x1b[" + mode + b"h") >= 0
    assert received.rfind(b"\x1b[?25h") > received.rfind(b"\x1b[?25l")  # the cursor


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)],
    ids=["TERM", "HUP", "INT"],
)
def test_a_signal_restores_the_terminal(number: signal.Signals, status: int) -> None:
    with started() as terminal:
        terminal.wait_for("Train a BERT model", 20)
        terminal.process.send_signal(number)
        assert terminal.wait_exit(10) == status
        assert_restored(terminal)


def test_it_ends_with_its_terminal_though_the_sessions_leader_stays(tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    shell = 'trap "" HUP; "$@"; echo $? >"$ENDED"'
    command = ["sh", "-c", shell, "sh", sys.executable, "-c", START]
    with Terminal(command, environment={**os.environ, "PYTHONPATH": ROOT, "ENDED": str(ended)}, cwd=ROOT) as terminal:
        terminal.wait_for("Train a BERT model", 20)
        terminal.vanish()
        terminal.process.wait(20)
    assert ended.read_text().strip() == "129"


@pytest.mark.parametrize("key", ["ctrl+q", "ctrl+c"])
def test_a_key_leaves_at_once(key: str) -> None:
    with started() as terminal:
        terminal.wait_for("Train a BERT model", 20)
        terminal.press(key)
        assert terminal.wait_exit(10) == 0
        assert_restored(terminal)


@pytest.mark.parametrize(
    "place",
    ["bert_tui.app.BertTui.on_check_answered", "bert_tui.app._find_runs", "WelcomePage.render", "WelcomePage.redraw"],
)
def test_a_crash_is_told_in_one_line_and_lies_in_a_log(tmp_path: Path, place: str) -> None:
    with started(BROKEN.format(place=place)) as terminal:
        assert terminal.wait_exit(20) == 70
        assert_restored(terminal)
        log = tmp_path / "state" / "bert-tui" / "crash.log"
        assert "Traceback" not in terminal.text
        assert "this program made a mistake" in terminal.text
        assert "a mistake of ours" in log.read_text()


def test_without_a_terminal_it_says_what_to_use() -> None:
    result = subprocess.run(
        [sys.executable, "-c", START], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert "bert-tui run PRESET --plain" in result.stderr


def test_nothing_heavy_is_imported_before_the_first_page() -> None:
    script = "import sys, bert_tui.app; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    heavy = {"torch", "docker", "numpy", "tensorboard", "tokenizers", "psutil", "pynvml"}
    assert not heavy & set(result.stdout.split())
