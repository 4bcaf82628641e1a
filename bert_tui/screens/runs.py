"""The list of runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.message import Message
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Static

from bert_tui.advice.words import describe
from bert_tui.metrics.sentences import count
from bert_tui.runs.delete import Belongings
from bert_tui.runs.state import RunState, RunView, state_of
from bert_tui.screens.help import HelpScreen
from bert_tui.screens.run_dialogs import DeleteQuestion, ResumeQuestion, StopQuestion
from bert_tui.screens.watch import Broke, in_background
from trainer.spec.problem import SpecError

if TYPE_CHECKING:
    from bert_tui.app import BertTui

SECONDS_BETWEEN = 5.0
COLUMNS = (("Run", 33), ("State", 10), ("Step", 17), ("Loss", 7), ("Since", 11))
"""Titles and widths; together they fit 80 columns."""


@dataclass
class Listed(Message, bubble=False):
    """The runs as they are now, newest first."""

    views: list[RunView]

    def can_replace(self, message: Message) -> bool:
        """Only the newest counts."""
        return isinstance(message, Listed)


@dataclass
class Answered(Message, bubble=False):
    """What came of something asked of a run; empty where all is well."""

    refusal: str


@dataclass
class Weighed(Message, bubble=False):
    """What deleting a run would free."""

    owned: Belongings


class RunsScreen(Screen[frozenset[str]]):
    """State, step, loss and age of every run that can be found. Enter watches one. Gives the ids of the runs that were
    deleted."""

    field: ClassVar[str] = "runs"
    """What F1 explains."""

    BINDINGS = [
        Binding("f1,question_mark", "app.help", "Help", key_display="F1"),
        Binding("f5,r", "resume", "Resume", key_display="F5"),
        Binding("f6,s", "stop", "Stop", key_display="F6"),
        Binding("f8,d", "delete", "Delete", key_display="F8"),
        Binding("f2,escape", "back", "Back", key_display="F2"),
    ]

    DEFAULT_CSS = """
    RunsScreen {
        #heading { text-style: bold; padding: 1 2 0 2; }
        #lead { color: $muted; padding: 0 2; }
        #none { color: $muted; padding: 0 2; height: 1; }
        DataTable { height: 1fr; margin: 1 1 0 2; background: $background; scrollbar-size-horizontal: 0; }
        Footer { background: $surface; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._views: dict[str, RunView] = {}
        self._deleted: frozenset[str] = frozenset()
        self._done = threading.Event()
        self._look = threading.Event()
        """Set to look at once, without waiting for the next turn."""

    def compose(self) -> ComposeResult:
        """Heading, table, keys."""
        yield Static("Runs", id="heading")
        yield Static("Enter watches the run under the cursor.", id="lead")
        yield Static("looking for runs", id="none", markup=False)
        yield DataTable(cursor_type="row", cell_padding=0)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begins to look."""
        table = self._table
        for title, width in COLUMNS:
            table.add_column(title, key=title, width=width)
        table.focus()
        threading.Thread(target=self._list_until_done, name="list runs", daemon=True).start()

    def on_unmount(self) -> None:
        """Looks no more."""
        self._done.set()
        self._look.set()

    @property
    def _table(self) -> DataTable[str]:
        return cast("DataTable[str]", self.query_one(DataTable))

    def _list_until_done(self) -> None:
        from bert_tui.metrics.probing import PatientProbe
        from bert_tui.runs.heartbeat import HeartbeatWatch
        from bert_tui.runs.registry import find_runs

        probes: dict[str, PatientProbe] = {}
        heartbeats = HeartbeatWatch()
        try:
            while not self._done.is_set():
                views = [state_of(run, probes.setdefault(run.id, PatientProbe()), heartbeats) for run in find_runs()]
                self.post_message(Listed(views))
                self._look.wait(SECONDS_BETWEEN)
                self._look.clear()
        except Exception as error:
            self.post_message(Broke(error))

    @on(Listed)
    def _listed(self, message: Listed) -> None:
        """Changes the cells that differ; rows come and go only when runs do."""
        table, ids = self._table, [view.run.id for view in message.views]
        if ids != list(self._views):
            table.clear()
            for run_id in ids:
                table.add_row(run_id, *[""] * (len(COLUMNS) - 1), key=run_id)
        before, self._views = self._views, {view.run.id: view for view in message.views}
        for run_id, view in self._views.items():
            for (title, _), cell in zip(COLUMNS, _cells(view), strict=True):
                if table.get_cell(run_id, title) != cell:
                    table.update_cell(run_id, title, cell)
        self.query_one("#none", Static).update("" if ids else "There are no runs yet.")
        if {key: view.state for key, view in before.items()} != {key: view.state for key, view in self._views.items()}:
            self.refresh_bindings()

    @on(Broke)
    def _broke(self, message: Broke) -> None:
        raise message.error

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what the run under the cursor allows."""
        view = self._under_cursor() if action in ("resume", "stop", "delete") else None
        if action == "stop":
            return view is not None and view.state.active
        if action == "resume":
            return view is not None and view.state in (RunState.STOPPED, RunState.FAILED, RunState.LOST)
        if action == "delete":
            return view is not None and not view.state.active
        return True

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        self.action_watch()

    @on(DataTable.RowHighlighted)
    def _moved(self) -> None:
        self.refresh_bindings()

    def action_watch(self) -> None:
        """To the live view of the run under the cursor."""
        view = self._under_cursor()
        if view is not None:
            app = cast("BertTui", self.app)
            self.dismiss(self._deleted)
            app.watch_run(view.run)

    def action_stop(self) -> None:
        """Asks, then requests a checkpoint and the end."""
        view = self._under_cursor()
        if view is None:
            return
        from bert_tui.runs.control import request_stop

        self.app.push_screen(StopQuestion(), lambda yes: self._do(lambda: request_stop(view.run)) if yes else None)

    def action_resume(self) -> None:
        """Asks, then starts another attempt."""
        view = self._under_cursor()
        if view is None:
            return
        from bert_tui.runs.create import resume_run

        self.app.push_screen(ResumeQuestion(), lambda yes: self._do(lambda: resume_run(view.run)) if yes else None)

    def action_delete(self) -> None:
        """Looks what that would free, in a thread, then asks."""
        view = self._under_cursor()
        if view is None:
            return
        from bert_tui.runs.delete import belongings_of

        def look() -> Message:
            try:
                return Weighed(belongings_of(view.run))
            except SpecError as error:
                return Answered(_told(error))

        in_background(look, self.post_message)

    @on(Weighed)
    def _ask_to_delete(self, message: Weighed) -> None:
        from bert_tui.runs.delete import delete_run

        run = message.owned.run

        def answer(yes: bool | None) -> None:
            if yes:
                self._deleted |= {run.id}
                self._do(lambda: delete_run(run))

        self.app.push_screen(DeleteQuestion(message.owned), answer)

    def action_back(self) -> None:
        """To where it was opened."""
        self.dismiss(self._deleted)

    @on(Answered)
    def _answered(self, message: Answered) -> None:
        self._look.set()
        if message.refusal:
            self.app.push_screen(HelpScreen("That cannot be done", message.refusal))

    def _do(self, work: Callable[[], object]) -> None:
        def attempt() -> Message:
            try:
                work()
            except SpecError as error:
                return Answered(_told(error))
            return Answered("")

        in_background(attempt, self.post_message)

    def _under_cursor(self) -> RunView | None:
        if not self.is_mounted or not self._views:
            return None
        row = self._table.cursor_row
        ids = list(self._views)
        return self._views[ids[row]] if 0 <= row < len(ids) else None


def _told(error: SpecError) -> str:
    texts = [describe(problem) for problem in error.problems]
    return "\n".join(f"{text.what} {text.remedy}" for text in texts)


def _cells(view: RunView) -> tuple[str, ...]:
    progress = view.progress
    step = f"{count(progress.step)} of {count(progress.total_steps)}" if progress else "-"
    loss = f"{progress.lm_loss:.3f}" if progress and progress.lm_loss is not None else "-"
    return view.run.id, view.state.value, step, loss, _age(view)


def _age(view: RunView) -> str:
    """Since the phase began or the run ended; roughly, so that the list stays still."""
    if view.since is None:
        return "-"
    minutes = int(max(0.0, time.time() - view.since) // 60)
    for size, unit in ((1440, "days"), (60, "h"), (1, "min")):
        if minutes >= size:
            return f"{minutes // size} {unit} ago"
    return "just now"
