"""What lines and terminals do to the program, on a real terminal: they stall, drop, change their size, send rubbish."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bert_tui.wizard.answers import answers_file
from tests.screens.test_endings import assert_restored
from tests.terminal import KEYS, Terminal

START = "from bert_tui.cli import entry; entry()"
WIDE = 5
"""How many times longer than promised it may take: this machine may be busy."""
ROOT = str(Path(__file__).parents[2])


def started(**variables: str) -> Terminal:
    command = [sys.executable, "-c", START]
    terminal = Terminal(command, environment={**os.environ, "PYTHONPATH": ROOT, **variables}, cwd=ROOT)
    terminal.wait_for("Train a BERT model", 20)
    return terminal


def stall(terminal: Terminal) -> None:
    """Reads no more, and lets the program send more than any line takes: the window is drawn anew again and again."""
    for number in range(25):
        terminal.resize(70 + number % 20, 22 + number % 9)
        time.sleep(0.02)
    terminal.resize(80, 24)


def wait_until(condition: object, seconds: float = 5.0) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_stalled_line_holds_up_nothing_and_may_drop() -> None:
    with started() as terminal:
        stall(terminal)
        terminal.send(KEYS["enter"].encode())
        time.sleep(0.3)
        terminal.wait_for("Is this machine fit?", 2 * WIDE)  # current soon after it reads again
        terminal.wait_for(lambda screen: "Looking" not in screen, 20)
        stall(terminal)
        terminal.send(KEYS["f3"].encode())
        wait_until(lambda: answers_file().exists() and 'page = "data"' in answers_file().read_text())
        terminal.vanish()
        terminal.process.wait(5)
        assert terminal.process.returncode == 128 + signal.SIGHUP


def test_a_stalled_line_delays_no_end() -> None:
    with started() as terminal:
        stall(terminal)
        terminal.process.send_signal(signal.SIGTERM)
        terminal.process.wait(5)
        assert terminal.process.returncode == 128 + signal.SIGTERM


def test_bytes_of_another_encoding_and_random_keys_end_nothing() -> None:
    dice = random.Random(9)
    with started() as terminal:
        terminal.press("enter", "f3")
        terminal.wait_for("Which text", 20)
        for _ in range(30):
            rubbish = bytes(dice.choices([*range(32, 127), *range(128, 256), 9, 27], k=dice.randrange(1, 60)))
            terminal.send(rubbish)
            terminal.read(0.02)
        terminal.send(b"\x1b[999999999999u\x1b[2048201u")  # keys that no keyboard has
        terminal.send(b"\x1b[200~/da\xe4ta\n\x1b[31m\x1b[201~")
        terminal.read(0.5)
        assert terminal.process.poll() is None, terminal.text
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.wait_exit(5) == 128 + signal.SIGTERM


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1", "BERT_TUI_ASCII": "1", "TERM": "vt100"}])
def test_a_window_of_any_size_is_drawn(variables: dict[str, str]) -> None:
    dice = random.Random(3)
    with started(**variables) as terminal:
        for _ in range(8):
            terminal.resize(dice.randrange(1, 140), dice.randrange(1, 50))
            terminal.press(dice.choice(["enter", "f2", "f1", "tab", "escape", "down"]))
        for columns, rows in ((20, 5), (60, 18)):
            terminal.resize(columns, rows)
            terminal.read(0.5)
        terminal.press("escape", "f2", "f2", "f2", "f2", "f2")
        assert "Enlarge it" in terminal.wait_for("This window is 60 x 18", 5)
        terminal.resize(80, 24)
        terminal.wait_for(lambda screen: "Enlarge it" not in screen and "Train a BERT model" in screen, 5)
        terminal.press("ctrl+q")
        assert terminal.wait_exit(5) == 0


def test_a_terminal_that_only_prints_lines_is_told_what_to_use() -> None:
    command = [sys.executable, "-c", START]
    with Terminal(command, environment={**os.environ, "PYTHONPATH": ROOT, "TERM": "dumb"}, cwd=ROOT) as terminal:
        assert terminal.wait_exit(10) == 2
        assert "--plain" in terminal.text
        assert b"\x1b" not in terminal.received


def test_errors_sent_into_a_file_take_no_screen_with_them(tmp_path: Path) -> None:
    command = ["sh", "-c", 'exec "$@" 2>"$ERRORS"', "sh", sys.executable, "-c", START]
    variables = {**os.environ, "PYTHONPATH": ROOT, "ERRORS": str(tmp_path / "errors")}
    with Terminal(command, environment=variables, cwd=ROOT) as terminal:
        terminal.wait_for("Train a BERT model", 20)
        terminal.press("ctrl+q")
        assert terminal.wait_exit(5) == 0
    assert (tmp_path / "errors").read_text() == ""


@pytest.mark.parametrize("answers", [b"\xe4\xff\x1b[31m\n", b"9" * 5000 + b"\n"], ids=["bytes", "digits"])
def test_lines_of_any_bytes_are_answers_or_refused(answers: bytes) -> None:
    environment = {**os.environ, "PYTHONPATH": ROOT, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-c", START, "--plain"]
    result = subprocess.run(command, input=answers, capture_output=True, env=environment, cwd=ROOT, timeout=60)
    assert result.returncode == 1, result.stderr
    assert b"nothing was started; answer 1" in result.stderr
    assert b"Type a number from 1 to" in result.stderr


def test_a_stopped_program_gives_the_terminal_back_and_takes_it_again() -> None:
    with started() as terminal:
        terminal.process.send_signal(signal.SIGTSTP)
        wait_until(lambda: psutil.Process(terminal.process.pid).status() == psutil.STATUS_STOPPED)
        terminal.read(0.2)
        assert_restored(terminal)
        terminal.process.send_signal(signal.SIGCONT)
        sent = len(terminal.received)
        terminal.read_all(1)
        assert b"Train a BERT" in terminal.received[sent:]
        terminal.press("ctrl+q")
        assert terminal.wait_exit(5) == 0
        assert_restored(terminal)
