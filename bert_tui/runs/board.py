"""TensorBoard for a folder of event files, on this machine's loopback only."""

from __future__ import annotations

import getpass
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil

from bert_tui.places import cache_folder
from trainer.spec.problem import EnvironmentRefused, Problem

STARTING_SECONDS = 30.0
MODULE = "tensorboard.main"


@dataclass(frozen=True)
class Board:
    """A TensorBoard that answers."""

    url: str
    port: int
    pid: int

    @property
    def tunnel(self) -> str:
        """What to type on one's own computer so that the address opens there."""
        return f"ssh -L {self.port}:127.0.0.1:{self.port} {getpass.getuser()}@{socket.gethostname()}"


def start_board(folder: Path) -> Board:
    """Serves ``folder``, detached from this program; one that already serves it for this user is taken. Waits until
    it answers.

    Raises:
        EnvironmentRefused: it ended or did not answer in time; says what it printed.
    """
    running = find_board(folder)
    if running is not None:
        return running
    port = _free_port()
    log = cache_folder() / f"tensorboard-{folder.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE, "--logdir", str(folder), "--host", "127.0.0.1", "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    board = Board(f"http://127.0.0.1:{port}/", port, process.pid)
    end = time.monotonic() + STARTING_SECONDS
    while not _answers(board):
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            process.wait()
            raise EnvironmentRefused(Problem("board.failed", str(folder), "", {"reason": _last_line(log)}))
        time.sleep(0.2)
    return board


def find_board(folder: Path) -> Board | None:
    """A board of this user that serves ``folder`` and answers."""
    me = psutil.Process().uids().real
    for process in psutil.process_iter(["cmdline", "uids"]):
        command, uids = process.info["cmdline"] or [], process.info["uids"]
        ours = {MODULE, str(folder), "--port"} <= set(command)
        if not ours or uids is None or uids.real != me:
            continue
        port = int(command[command.index("--port") + 1])
        board = Board(f"http://127.0.0.1:{port}/", port, process.pid)
        if _answers(board):
            return board
    return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(board: Board) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy cannot reach our loopback
    try:
        with opener.open(f"{board.url}data/logdir", timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it printed nothing"
