"""The terminal, whatever becomes of it: one that stops reading holds up nothing, a line that drops is seen at once, and
bytes that are no UTF-8 end nothing.

Textual's own driver lets the event loop wait for a terminal that does not read, for as long as it does not; and once a
terminal has gone, for ever. Overridden here are its writing and its reading; ``tests/screens/test_lines.py`` tries both
on a real terminal.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
import threading
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TextIO

from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

BEHIND_BYTES = 8192
"""With so much unsent, frames are left out until the terminal has taken it."""
LAST_SECONDS = 0.7
"""How long the end waits for a terminal to take what restores it."""
END_SECONDS = 3.0
"""How long the program has to end by itself once its terminal is gone."""
READ_BYTES = 4096
LOOK_SECONDS = 0.1
"""Between two looks at whether reading is over."""


@dataclass
class TerminalGone(Message):
    """Nobody reads or types any more: the line dropped."""


@dataclass
class TerminalCaughtUp(Message):
    """The terminal has taken everything, after it was behind."""


class Outlet:
    """Writes to the terminal in a thread of its own; whoever gives it something never waits."""

    def __init__(self, file: TextIO, caught_up: Callable[[], object], gone: Callable[[], object]) -> None:
        self._descriptor, self._encoding = file.fileno(), file.encoding
        self._caught_up = caught_up
        self._gone = gone
        self._change = threading.Condition()
        self._unsent = bytearray()
        self._was_behind = self._ended = False
        self._thread = threading.Thread(target=self._send_until_ended, name="terminal output", daemon=True)
        self._thread.start()

    @property
    def behind(self) -> bool:
        """Whether the terminal takes less than is to be shown."""
        return len(self._unsent) > BEHIND_BYTES

    def write(self, text: str) -> None:
        """Takes text to be sent."""
        with self._change:
            if self._ended:
                return
            self._unsent += text.encode(self._encoding, "replace")
            self._was_behind |= self.behind
            self._change.notify()

    def close(self) -> None:
        """Sends the rest, if the terminal takes it in time."""
        with self._change:
            self._ended = True
            self._change.notify()
        self._thread.join(LAST_SECONDS)

    def _send_until_ended(self) -> None:
        while piece := self._next_piece():
            try:
                sent = os.write(self._descriptor, piece)
            except OSError:
                self._end()
                return
            self._forget(sent)

    def _next_piece(self) -> bytes:
        """What is to be sent next, waited for; nothing at the end."""
        with self._change:
            self._change.wait_for(lambda: self._unsent or self._ended)
            return bytes(self._unsent[:READ_BYTES])

    def _forget(self, sent: int) -> None:
        with self._change:
            del self._unsent[:sent]
            caught_up = self._was_behind and not self._unsent
            self._was_behind &= not caught_up
        if caught_up:
            self._caught_up()

    def _end(self) -> None:
        with self._change:
            self._ended = True
            self._unsent.clear()
        self._gone()


class TerminalDriver(LinuxDriver):
    """Textual's driver with this module's reading and writing."""

    _outlet: Outlet | None = None
    _is_gone = False

    def __init__(self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: Any = None) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        assert sys.__stdout__ is not None, "only started where there is a terminal"
        self._file = sys.__stdout__  # Textual draws on stderr, which people send into files
        self._parser = XTermParser(debug)

    @property
    def behind(self) -> bool:
        """Whether frames had better be left out: the terminal has not taken what it was sent."""
        return self._outlet is not None and self._outlet.behind

    def start_application_mode(self) -> None:
        """Takes the terminal over."""
        assert self._file is not None
        self._outlet = Outlet(self._file, lambda: self._tell(TerminalCaughtUp()), self._lose)
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def write(self, data: str) -> None:
        """Takes what is to be sent."""
        if self._outlet is not None:
            self._outlet.write(data)

    def close(self) -> None:
        """Gives the terminal back."""
        super().close()
        if self._outlet is not None:
            self._outlet.close()

    def run_input_thread(self) -> None:
        """Reads keys until the end; what is no UTF-8 becomes a sign that says so."""
        decoder = getincrementaldecoder("utf-8")(errors="replace")
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(LOOK_SECONDS):
                    data = self._read()
                    if not data:
                        self._lose()
                        return
                    if text := decoder.decode(data):  # none, where it ends within a character
                        self._take(text)
                self._pass_on(self._parser.tick())

    def _read(self) -> bytes:
        """Keys that were pressed; nothing once there is no terminal."""
        try:
            return os.read(self.fileno, READ_BYTES)
        except OSError:
            return b""

    def _take(self, text: str) -> None:
        """Passes on the keys in what was read. One that no keyboard has (its number is too large for a character) makes
        Textual's parser fail: it is passed over."""
        try:
            self._pass_on(self._parser.feed(text))
        except (OverflowError, ValueError):
            self._parser = XTermParser(self._debug)

    def _pass_on(self, events: Iterable[Message]) -> None:
        for event in events:
            self.process_message(event)

    def _lose(self) -> None:
        """Ends the program as the kernel would, by its own means first: it might be held up."""
        if self._is_gone:
            return
        self._is_gone = True
        last = threading.Timer(END_SECONDS, os._exit, [128 + signal.SIGHUP])
        last.daemon = True
        last.start()
        self._tell(TerminalGone())

    def _tell(self, message: Message) -> None:
        if not self._loop.is_closed():
            self._app.post_message(message)
