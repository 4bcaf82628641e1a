"""The wizard through a real sshd: the line is cut on every page, the operator comes back and goes on to the end."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.operator import PROGRAM, Operator
from tests.terminal import Terminal

pytestmark = pytest.mark.ssh
CLEAR = "\x05\x15"
"""To the end of a line, and away with all of it."""
HOME = "\x1b[H"
FIRST_SIZE = re.compile(r"▸ +1 ")
"""Tensor-parallel size 1 is the one that is chosen."""


class Line:
    """Logs in, runs the program on a terminal there, and has its connection cut."""

    def __init__(self, operator: Operator, ssh_command: list[str]) -> None:
        self._operator = operator
        self._ssh = [ssh_command[0], "-tt", *ssh_command[1:]]

    def log_in(self, before: str = "") -> Terminal:
        """``bert-tui`` on a terminal of the other side; ``before`` is what it is run by."""
        variables = shlex.join(f"{name}={value}" for name, value in self._operator.environment.items())
        command = f"cd {shlex.quote(str(self._operator.home))} && env {variables} {before} {shlex.join(PROGRAM)}"
        return Terminal([*self._ssh, command], environment=self._operator.environment)

    @contextlib.contextmanager
    def back(self, page: str) -> Iterator[Terminal]:
        """Logged in again, on the page that was left."""
        with self.log_in() as terminal:
            terminal.wait_for("Go on where you left", 20)
            terminal.press("enter")
            terminal.wait_for(page, 20)
            yield terminal

    def processes(self) -> list[psutil.Process]:
        """The program where it runs as wizard or viewer, without what it has started."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            with contextlib.suppress(psutil.Error):
                command = process.info["cmdline"] or []
                if command[-2:] == list(PROGRAM[-2:]) and process.environ().get("HOME") == str(self._operator.home):
                    found.append(process)
        return [process for process in found if Path(process.exe()).name.startswith("python")]

    def kill_client(self, terminal: Terminal) -> None:
        """The operator's machine goes away."""
        terminal.process.kill()
        self._wait_for_the_end(terminal)

    def kill_session(self, terminal: Terminal) -> None:
        """The process of sshd that serves this login goes away."""
        (wizard,) = self.processes()
        sessions = [parent for parent in wizard.parents() if parent.name().startswith("sshd")]
        sessions[0].kill()
        self._wait_for_the_end(terminal)

    def _wait_for_the_end(self, terminal: Terminal) -> None:
        begun = time.monotonic()
        while left := self.processes():
            assert time.monotonic() - begun < 5, left
            time.sleep(0.1)
        terminal.process.wait(5)


@pytest.fixture
def line(operator: Operator, ssh_command: list[str]) -> Line:
    return Line(operator, ssh_command)


def test_the_line_is_cut_on_every_page(line: Line, operator: Operator) -> None:
    with line.log_in() as terminal:
        terminal.wait_for("Train a BERT model", 20)
        terminal.press("enter")
        terminal.wait_for("▸ Without a container", 20)
        line.kill_client(terminal)
    with line.log_in() as terminal:
        terminal.wait_for("Train a BERT model", 20)
        terminal.press("enter")
        terminal.wait_for("▸ Without a container", 20)
        terminal.press("f3")
        terminal.wait_for("Which text", 20)
        terminal.press("down", "tab", "/data/wi")
        line.kill_session(terminal)
    with line.back("Which text") as terminal:
        assert "▸ My own dataset" in terminal.text
        assert "/data/wi" in terminal.text
        terminal.press("f7")
        terminal.wait_for("Build a dataset", 10)
        terminal.press("~/corpus/*.txt", "tab", CLEAR, "~/out/mine")
        line.kill_client(terminal)
    with line.back("Which text") as terminal:
        assert "/data/wi" in terminal.text
        terminal.press("f7")
        terminal.wait_for("~/corpus/*.txt", 10)
        assert "~/out/mine" in terminal.text
        terminal.press("f2")
        terminal.wait_for("Which text", 10)
        terminal.press("up")
        terminal.wait_for("▸ Sample text", 5)
        terminal.press("tab", CLEAR, "~/my runs")
        terminal.press("f3")
        terminal.wait_for("How large", 20)
        terminal.press("tab", CLEAR, "3000")
        terminal.wait_for("3000 ", 5)
        line.kill_session(terminal)
    with line.back("How large") as terminal:
        assert "3000 " in terminal.text
        terminal.press("f3")
        terminal.wait_for("How is the model split?", 20)
        terminal.press(HOME)
        terminal.wait_for(lambda screen: FIRST_SIZE.search(screen) is not None, 5)
        line.kill_client(terminal)
    with line.back("How is the model split?") as terminal:
        terminal.wait_for(lambda screen: FIRST_SIZE.search(screen) is not None, 5)
        terminal.press("f3")
        terminal.wait_for("This is what will happen", 20)
        line.kill_session(terminal)
    with line.back("This is what will happen") as terminal:
        screen = terminal.text
        assert "3,000 steps" in screen
        assert "my runs" in screen
        terminal.press("f3")
        terminal.wait_for("Training: step", 60)
        line.kill_session(terminal)
    before = operator.wait_for_run(lambda run: run["step"] > 0, 10)
    with line.log_in() as terminal:
        terminal.wait_for("Watch the training", 20)
        terminal.press("enter")
        terminal.wait_for("Training: step", 10)
    assert operator.wait_for_run(lambda run: run["step"] > before["step"], 60)["attempt"] == 1
    assert (operator.home / "my runs").is_dir()
    state = operator.home / ".local" / "state" / "bert-tui"
    assert (state / "answers.toml").stat().st_mode & 0o777 == 0o600
    assert list(state.glob("*.damaged")) == []


def test_tmux_keeps_the_wizard_and_its_end_loses_nothing(line: Line) -> None:
    folder = Path(tempfile.mkdtemp(prefix="tmux"))  # a socket's path has room for 107 characters
    server = ["tmux", "-S", str(folder / "s"), "-f", "/dev/null"]
    tmux = shlex.join([*server, "new-session", "-A", "-s", "wizard"])
    try:
        with line.log_in(tmux) as terminal:
            terminal.wait_for("Train a BERT model", 20)
            terminal.press("enter")
            terminal.wait_for("▸ Without a container", 30)
            terminal.press("f3")
            terminal.wait_for("Which text", 20)
            (before,) = line.processes()
            terminal.process.send_signal(signal.SIGKILL)
            terminal.process.wait(5)
        with line.log_in(tmux) as terminal:
            terminal.wait_for("Which text", 10)
            assert line.processes() == [before]
            terminal.press("f3")
            terminal.wait_for("How large", 20)
            terminal.press("tab", CLEAR, "123")
            terminal.wait_for("123", 5)
            next(parent for parent in before.parents() if parent.name().startswith("tmux")).kill()
            assert before.wait(5) is not False
    finally:
        with contextlib.suppress(OSError):
            psutil.Popen([*server, "kill-server"], stderr=-3).wait(5)
        shutil.rmtree(folder)
    with line.back("How large") as terminal:
        terminal.wait_for("123", 5)
