"""The application: the wizard, the monitor, the keys they share, and how it ends.

Nothing heavy is imported here: pages, and all that asks Docker, disks or drivers, come when they are needed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from textual import on
from textual.app import App
from textual.binding import Binding
from textual.driver import Driver
from textual.message import Message
from textual.screen import Screen

from bert_tui import theme
from bert_tui.checks.check import Check
from bert_tui.deadline import within
from bert_tui.exit_status import ExitStatus, status_of_run
from bert_tui.frame_diff import FrameDifference
from bert_tui.invocation import program
from bert_tui.screens.watch import Broke
from bert_tui.screens.welcome import FoundRuns, OfferedRun, WelcomePage
from bert_tui.terminal import TerminalDriver, TerminalGone
from bert_tui.wizard.answers import Page, answers_file
from bert_tui.wizard.session import Session
from trainer.spec.run_directory import RunDirectory

if TYPE_CHECKING:
    from bert_tui.checks.runner import Question
    from bert_tui.machine import Machine
    from bert_tui.plan import Plan
    from bert_tui.runs.state import RunView
    from bert_tui.screens.page import WizardPage

SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
STATE_SECONDS = 0.8
"""How long leaving may wait to learn what became of the run."""


@dataclass
class MachineRead(Message):
    """The machine was looked at."""

    machine: Machine


@dataclass
class CheckAnswered(Message):
    """One question was answered."""

    check: Check


@dataclass
class ChecksDone(Message):
    """All were."""


@dataclass
class RunsFound(Message):
    """The runs were looked for."""

    runs: FoundRuns


class BertTui(FrameDifference, App[int]):
    """The screens. ``first`` is the wizard or a run to watch; the rest are borders with the outside."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS = [
        Binding("f1", "help", "Help"),
        Binding("ctrl+q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", show=False),
    ]
    CSS = """
    Button {
        border: none; height: 1; min-width: 10; background: $panel; color: $foreground; text-style: none;
        &:hover { border: none; background: $panel; color: $strong; }
        &.-primary { background: $panel; color: $accent; text-style: bold; }
        &.-primary:hover { border: none; background: $panel; }
        &:focus, &.-primary:focus { background: $accent; color: $background; text-style: bold; }
        &:ansi:focus { text-style: bold reverse; }
    }
    Footer { background: $surface; }
    """

    def __init__(
        self,
        first: Literal["wizard"] | RunDirectory = "wizard",
        *,
        machine: Machine | None = None,
        questions: Sequence[Question] | None = None,
        last_questions: Sequence[Question] | None = None,
        find_runs: Callable[[], FoundRuns] | None = None,
        describe: Callable[[Plan], str] | None = None,
    ) -> None:
        colourless = "NO_COLOR" in os.environ
        super().__init__(ansi_color=True if colourless else None)
        self.register_theme(theme.QUIET)
        self.theme = "ansi-dark" if colourless else theme.QUIET.name
        self.session = Session(answers_file())
        self.questions: Sequence[Question] = _machine_questions() if questions is None else questions
        """Asked about the machine, on its page."""
        self.last_questions: Sequence[Question] = _last_questions() if last_questions is None else last_questions
        """Asked about everything that was chosen, before it is started."""
        self.runs = FoundRuns()
        self.describe = describe or _describe
        self._first = first
        self._machine = machine
        self._find_runs = find_runs or _find_runs
        self._watched: RunDirectory | None = None
        self.add_mode("wizard", Screen)  # an empty ground: the lowest screen of a mode cannot be switched

    def get_driver_class(self) -> type[Driver]:
        """A driver that no terminal can hold up."""
        return TerminalDriver

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The theme's own names, where a theme that is not ours lacks them."""
        return theme.ANSI_VARIABLES

    def get_key_display(self, binding: Binding) -> str:
        """F1 and ^Q, as keyboards have it."""
        return super().get_key_display(binding).upper()

    async def on_mount(self) -> None:
        """Shows the first screen, then looks at the machine."""
        if not self.is_headless:
            for number in SIGNALS:
                asyncio.get_running_loop().add_signal_handler(number, self._end_by_signal, number)
        if isinstance(self._first, RunDirectory):
            self.watch_run(self._first)
        else:
            await self.switch_mode("wizard")
            await self.push_screen(WelcomePage())
            self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """What takes time, once the first page is painted."""
        self.look()
        threading.Thread(target=self._seek_runs, name="find runs", daemon=True).start()

    # The machine ---------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Looks at the machine and asks every question of the checklist, in threads."""
        self.session.settled = False
        self.session.checks.clear()
        threading.Thread(target=self._read_machine, name="read machine", daemon=True).start()

    def _read_machine(self) -> None:
        from bert_tui.machine import read_machine

        self.post_message(MachineRead(self._machine or read_machine()))

    def on_machine_read(self, event: MachineRead) -> None:
        """Asks the questions about it."""
        from bert_tui.checks.runner import run_checks, staged

        self.session.machine = event.machine
        first, _ = staged(self.questions)
        threads = run_checks(first, self.session.subject(), self._answered)

        def wait() -> None:
            for thread in threads:
                thread.join()
            self.post_message(ChecksDone())

        threading.Thread(target=wait, name="last check", daemon=True).start()

    def _answered(self, check: Check) -> None:
        self.post_message(CheckAnswered(check))

    def on_check_answered(self, event: CheckAnswered) -> None:
        """Shows it where it is being waited for."""
        self.session.checks[event.check.name] = event.check
        self._redraw()

    def on_checks_done(self) -> None:
        """The first answers can be given now, and what is asked about them. Nobody has to wait for that."""
        from bert_tui.checks.runner import run_checks, staged

        order = [question.name for question in self.questions]
        self.session.checks = dict(sorted(self.session.checks.items(), key=lambda item: order.index(item[0])))
        self.session.settle()
        _, last = staged(self.questions)
        if last:
            run_checks(last, self.session.subject(), self._answered)
        self._redraw()

    def _redraw(self) -> None:
        from bert_tui.screens.page import WizardPage

        for screen in self.screen_stack if self.current_mode == "wizard" else []:
            if isinstance(screen, WizardPage) and screen.is_mounted:
                screen.redraw()

    # Pages ---------------------------------------------------------------------------------------------------------

    def show_page(self, page: Page) -> None:
        """Turns to a page of the wizard."""
        self.session.turn_to(page)
        self.switch_screen(_page_class(page)())

    def action_help(self) -> None:
        """Explains what has the cursor."""
        from bert_tui.screens.help import HelpScreen, explanation

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(*explanation(self.focused or self.screen)))

    # Runs ----------------------------------------------------------------------------------------------------------

    def _seek_runs(self) -> None:
        self.post_message(RunsFound(self._find_runs()))

    def on_runs_found(self, event: RunsFound) -> None:
        """The welcome page offers them."""
        self.runs = event.runs
        self._redraw()

    def launch(self, plan: Plan) -> None:
        """Starts a run and goes to watch it."""
        from bert_tui.screens.launching import LaunchingScreen

        self.push_screen(LaunchingScreen(plan), self._launched)

    def _launched(self, run: RunDirectory | None) -> None:
        if run is not None:
            self.session.turn_to("welcome")
            self.watch_run(run)

    def watch_by_id(self, run_id: str) -> None:
        """Goes to a run that was found."""
        self.watch_run(next(found.run for found in self.runs.live if found.run.id == run_id))

    def watch_run(self, run: RunDirectory) -> None:
        """Goes to the monitor of a run."""
        from bert_tui.screens.monitor import MonitorScreen

        self._watched = run
        mode = f"monitor {run.id}"
        if mode not in self._modes:
            self.add_mode(mode, lambda: MonitorScreen(run))
        self.switch_mode(mode)

    def show_runs(self) -> None:
        """The list of all runs."""
        from bert_tui.screens.runs import RunsScreen

        self.push_screen(RunsScreen(), self._list_left)

    def _list_left(self, deleted: frozenset[str] | None) -> None:
        """Runs that were deleted are offered no more; there is nothing left to watch of one."""
        if not deleted:
            return
        threading.Thread(target=self._seek_runs, name="find runs", daemon=True).start()
        if self._watched is None or self._watched.id not in deleted:
            return
        self._watched = None
        if self._first == "wizard":
            self.switch_mode("wizard")
            self.show_page("welcome")
        else:
            self.exit(ExitStatus.FINISHED)

    # The end -------------------------------------------------------------------------------------------------------

    async def action_quit(self) -> None:
        """Leaves at once, unless answers would be lost. A run never is."""
        if self.session.unsaved and self._watched is None:
            from bert_tui.screens.leave import Leave

            self.push_screen(Leave(self.session.unsaved), lambda leave: self.exit(0) if leave else None)
            return
        if self._watched is None:
            self.exit(ExitStatus.FINISHED)
            return
        status = await asyncio.to_thread(exit_status, self._watched)
        goes_on = f"The run goes on. See it again: {program()} attach {self._watched.id}"
        self.exit(status, message=goes_on if status is ExitStatus.DETACHED else None)

    def _end_by_signal(self, number: signal.Signals) -> None:
        self.exit(128 + number)

    @on(TerminalGone)
    def _end_without_terminal(self) -> None:
        """The kernel tells only the session's leader that the terminal has gone; where that stays (runuser, a shell
        that ignores SIGHUP), nobody sends us a signal."""
        self._end_by_signal(signal.SIGHUP)

    def thread_broke(self, mistake: threading.ExceptHookArgs) -> None:
        """A mistake of ours in a thread is one of the whole program."""
        if isinstance(mistake.exc_value, Exception) and self._running:
            self.post_message(Broke(mistake.exc_value))

    def on_broke(self, event: Broke) -> None:
        """Ends the program."""
        raise event.error

    def _fatal_error(self) -> None:
        """A mistake of ours. The terminal is restored first; ``run_app`` raises it again, to be told in one line."""
        self._close_messages_no_wait()


def run_app(first: Literal["wizard"] | RunDirectory = "wizard") -> int:
    """Runs the screens until they are left; the exit status of the program.

    Raises:
        Exception: a mistake in a screen or a thread of it, once the terminal is restored.
    """
    app = BertTui(first)
    threading.excepthook = app.thread_broke
    status = app.run()
    app.session.close()
    if app._exception is not None:
        raise app._exception
    return ExitStatus.FINISHED if status is None else status


def exit_status(run: RunDirectory) -> ExitStatus:
    """What has become of a run; DETACHED where that cannot be told at once."""
    from bert_tui.runs.state import state_of

    try:
        return status_of_run(within(STATE_SECONDS, lambda: state_of(run).state, name="state of run"))
    except (TimeoutError, OSError):
        return ExitStatus.DETACHED


def _page_class(page: Page) -> type[WizardPage]:
    match page:
        case "welcome":
            return WelcomePage
        case "environment":
            from bert_tui.screens.environment import EnvironmentPage

            return EnvironmentPage
        case "data":
            from bert_tui.screens.data import DataPage

            return DataPage
        case "model":
            from bert_tui.screens.model import ModelPage

            return ModelPage
        case "tensor":
            from bert_tui.screens.tensor_parallel import TensorParallelPage

            return TensorParallelPage
        case "review":
            from bert_tui.screens.review import ReviewPage

            return ReviewPage


def _machine_questions() -> Sequence[Question]:
    from bert_tui.checks.checklist import MACHINE_CHECKS

    return MACHINE_CHECKS


def _last_questions() -> Sequence[Question]:
    from bert_tui.checks.checklist import LAST_CHECKS

    return LAST_CHECKS


def _find_runs() -> FoundRuns:
    from bert_tui.runs.create import resumable
    from bert_tui.runs.registry import find_runs
    from bert_tui.runs.state import state_of

    views = [state_of(run) for run in find_runs()]
    live = tuple(OfferedRun(view.run, _doing(view)) for view in views if view.state.active)
    ended = next(((view, step) for view in views if (step := resumable(view)) is not None), None)
    offered = OfferedRun(ended[0].run, f"{ended[0].state}, step {ended[1]:,}") if ended else None
    return FoundRuns(live, offered, len(views))


def _doing(view: RunView) -> str:
    if view.progress is None:
        return str(view.state)
    return f"{view.state}, step {view.progress.step:,} of {view.progress.total_steps:,}"


def _describe(plan: Plan) -> str:
    from bert_tui.runs.job import describe_plan

    return describe_plan(plan)
