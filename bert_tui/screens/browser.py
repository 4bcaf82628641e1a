"""Looking for a path folder by folder. Every folder is read in a thread, and given up where its disk is silent."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from textual import events, on
from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from bert_tui.checks.folder import Listing, list_folder
from bert_tui.deadline import within
from bert_tui.paths import short_path
from bert_tui.screens.dialog import Dialog
from bert_tui.widgets.choice_list import ChoiceList, Line
from bert_tui.wizard.browsing import UP, Wanted, best, first_folder, is_folder, offered, typed
from bert_tui.wizard.choices import Choice

READ_SECONDS = 5.0
"""How long a disk may take for a folder; nothing else waits for it."""
FIND_SECONDS = 1.0
"""Between two letters of one name."""
NAME_COLUMNS = 48

HEADINGS: dict[Wanted, str] = {
    "dataset": "Find a dataset",
    "vocabulary": "Find a vocabulary",
    "text": "Find text",
    "folder": "Find a folder",
    "prefix": "Find a folder for the dataset",
    "file": "Find a file",
}


class FolderList(ChoiceList):
    """Letters go to the next name that begins with them."""

    def __init__(self) -> None:
        super().__init__(field="browse", id="folder-list")
        self._letters = ""
        self._typed_at = 0.0

    def on_key(self, event: events.Key) -> None:
        """A letter."""
        if not (event.is_printable and event.character and event.character != " "):
            return
        event.stop()
        now = time.monotonic()
        self._letters = event.character if now - self._typed_at > FIND_SECONDS else self._letters + event.character
        self._typed_at = now
        self._find(self._letters.lower())

    def _find(self, letters: str) -> None:
        for index, line in enumerate(self.lines):
            if not line.disabled and line.value.lower().startswith(letters):
                self.highlighted = index
                return


class Browser(Dialog[str]):
    """Gives what is to stand in the field."""

    field = "browse"
    accept_label = "Open"

    BINDINGS = [("backspace", "up", "Up")]

    DEFAULT_CSS = """
    Browser { FolderList { height: 12; } #browse-path { height: 1; color: $strong; } }
    """

    @dataclass
    class Read(Message):
        """A folder was read, or could not be."""

        folder: Path | None
        listing: Listing | None = None
        reason: str = ""
        came_from: str = ""

    def __init__(self, text: str, wanted: Wanted) -> None:
        super().__init__()
        self._text = text
        self._wanted: Wanted = wanted
        self._folder: Path | None = None
        self._awaited: Path | None = None

    @property
    def heading(self) -> str:  # type: ignore[override]
        """What is looked for."""
        return HEADINGS[self._wanted]

    def compose_body(self) -> ComposeResult:
        """The folder's path and what is in it."""
        yield Static("…", id="browse-path", markup=False)
        yield FolderList()

    def on_mount(self) -> None:
        """Begins where the typed path leads."""
        self.query_one(FolderList).focus()
        self._read(None)

    def _read(self, folder: Path | None, came_from: str = "") -> None:
        """Reads a folder; without one, that of the text the field had."""
        self._awaited = folder

        def read() -> Browser.Read:
            where = first_folder(self._text) if folder is None else folder
            return self.Read(folder, list_folder(where), came_from=came_from)

        def call() -> None:
            try:
                self.post_message(within(READ_SECONDS, read, name="read folder"))
            except TimeoutError:
                self.post_message(self.Read(folder, reason="The disk does not answer. Is a network disk down (df -h)?"))
            except OSError as error:
                self.post_message(self.Read(folder, reason=f"{error.filename}: {error.strerror}."))

        threading.Thread(target=call, name="browse", daemon=True).start()

    def on_browser_read(self, event: Read) -> None:
        """Shows it, unless another folder was opened since."""
        if event.folder != self._awaited:
            return
        if event.listing is None:
            self.query_one("#dialog-notice", Static).update(f"x {event.reason}")
            return
        self._folder = event.listing.folder
        self.query_one("#browse-path", Static).update(short_path(self._folder))
        more = "! Only a part of this large folder is shown. Type the path instead." if event.listing.cut else ""
        self.query_one("#dialog-notice", Static).update(more)
        choices = offered(event.listing, self._wanted)
        self.query_one(FolderList).show(list(map(_line, choices)), event.came_from or best(choices))

    @property
    def keys(self) -> str:
        """Enter opens folders and takes all else."""
        return super().keys if self._on_cancel else "Enter: open or take  Backspace: up  F1: Help"

    @on(ChoiceList.Accepted)
    def _line_accepted(self) -> None:
        self.action_accept()

    def action_accept(self) -> None:
        """Enter: opens a folder, takes anything else."""
        name = self.query_one(FolderList).value
        if self._on_cancel or self._folder is None or name is None:
            self.action_call_off()
        elif name == UP:
            self.action_up()
        elif is_folder(name):
            self._read(self._folder / name)
        else:
            self.dismiss(typed(self._folder, name, self._wanted, self._text))

    def action_up(self) -> None:
        """To the folder above, the cursor on the one that was left."""
        if self._folder is not None and self._folder.parent != self._folder:
            self._read(self._folder.parent, came_from=f"{self._folder.name}/")


def _line(choice: Choice) -> Line:
    """The name in one column, what it is in the other."""
    name = choice.title if len(choice.title) <= NAME_COLUMNS else f"{choice.title[: NAME_COLUMNS - 1]}…"
    detail = choice.reason or choice.detail
    if choice.reason:
        return Line(choice.value, Content(f"{name:<{NAME_COLUMNS}}  {detail}"), disabled=True)
    return Line(choice.value, Content.assemble(f"{name:<{NAME_COLUMNS}}  ", (detail, "$muted")), bold=len(name))
