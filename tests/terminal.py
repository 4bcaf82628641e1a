"""A terminal for tests: runs a program on a pseudo-terminal and shows what an operator would see (pyte)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

import pyte

KEYS = {
    "enter": "\r",
    "tab": "\t",
    "escape": "\x1b",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "f1": "\x1bOP",
    "f2": "\x1bOQ",
    "f3": "\x1bOR",
    "f6": "\x1b[17~",
    "f7": "\x1b[18~",
    "ctrl+c": "\x03",
    "ctrl+q": "\x11",
}
ANSWERS = {b"\x1b[c": b"\x1b[?62;c", b"\x1b[6n": b"\x1b[1;1R"}
"""What a terminal says when it is asked for its kind and its cursor."""


class Terminal:
    """A program on a terminal of its own; a context manager that ends both."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        size: tuple[int, int] = (80, 24),
        cwd: str | None = None,
    ) -> None:
        columns, rows = size
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.received = bytearray()
        """Every byte the program sent."""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=cwd,
            env={"TERM": "xterm-256color", **environment},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.hang_up()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        with contextlib.suppress(OSError):
            os.close(self._master)

    @property
    def text(self) -> str:
        """The screen, a line a row."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def press(self, *keys: str) -> None:
        """Presses named keys (``KEYS``) or types text."""
        for key in keys:
            os.write(self._master, KEYS.get(key, key).encode())
            self.read(0.15)

    def read(self, seconds: float) -> None:
        """Takes in what the program sends for this long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self._master], [], [], left)[0]:
                return
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the program has closed its end
                return
            if not data:
                return
            self.received += data
            self._stream.feed(data)
            for question, answer in ANSWERS.items():
                if question in data:
                    os.write(self._master, answer)

    def read_once(self, seconds: float) -> None:
        """Takes in what comes next, without drawing it: for measuring."""
        if select.select([self._master], [], [], seconds)[0]:
            self.received += os.read(self._master, 65536)

    def read_all(self, seconds: float) -> None:
        """Takes in what the program sends for the whole of this time, pauses included."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)

    def wait_for(self, text: str | Callable[[str], bool], seconds: float) -> str:
        """The screen as soon as it shows ``text`` (or satisfies it); fails with the screen if it never does."""
        shown = text if callable(text) else lambda screen: text in screen
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if shown(self.text):
                return self.text
            self.read(0.1)
            if self.process.poll() is not None:
                self.read(0.3)
                break
        assert shown(self.text), f"not seen within {seconds} s: {text}\n{self.text}"
        return self.text

    def wait_exit(self, seconds: float) -> int:
        """The exit status, read to the end."""
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.1)
        self.read(0.2)
        return self.process.wait(max(0.1, end - time.monotonic()))

    def resize(self, columns: int, rows: int) -> None:
        """The window gets another size."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen.resize(rows, columns)

    def send(self, data: bytes) -> None:
        """Types bytes without looking at what comes back: a terminal that reads nothing."""
        os.write(self._master, data)

    def hang_up(self) -> None:
        """The line drops: the terminal goes, and the program gets SIGHUP."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGHUP)

    def vanish(self) -> None:
        """The terminal itself goes, and nobody sends the program a signal but the kernel."""
        os.close(self._master)
        self._master = os.open(os.devnull, os.O_RDWR)
