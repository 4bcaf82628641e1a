"""The live view of one run. It only reads; closing it changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer

from bert_tui.advice.words import describe
from bert_tui.exit_status import ExitStatus, status_of_run
from bert_tui.invocation import program
from bert_tui.metrics.chart_picture import Line
from bert_tui.metrics.charts import CHANCE
from bert_tui.metrics.sentences import duration, gpu_speed
from bert_tui.metrics.series import Axis, step_axis
from bert_tui.runs.state import RunState
from bert_tui.screens.curves import CurvesScreen
from bert_tui.screens.glossary import LIVE_VIEW, explained
from bert_tui.screens.help import HelpScreen
from bert_tui.screens.keys import Key, told
from bert_tui.screens.log import LogScreen
from bert_tui.screens.run_dialogs import KillQuestion, ResumeQuestion, StopQuestion
from bert_tui.screens.watch import Broke, Looked, LookFailed, Watch, in_background
from bert_tui.widgets.curve import Curve
from bert_tui.widgets.device_table import DeviceTable
from bert_tui.widgets.glyphs import glyphs
from bert_tui.widgets.log_view import LogView
from bert_tui.widgets.run_header import RunHeader
from trainer.spec.problem import SpecError
from trainer.spec.run_directory import RunDirectory

if TYPE_CHECKING:
    from bert_tui.app import BertTui
    from bert_tui.metrics.snapshot import Snapshot
    from bert_tui.runs.board import Board

PATIENCE_SECONDS = 5.0
"""Without a look for so long, the screen says that the disk does not answer."""


KEYS = (
    Key("f1,question_mark", "help", "Help", "these words and keys"),
    Key("f2,c", "curves", "Curves", "every curve on the whole screen, to zoom, smooth and compare"),
    Key("f3", "runs", "Runs", "the list of all runs"),
    Key("f4,l", "log", "Log", "the log on the whole screen"),
    Key("f5,r", "resume", "Resume", "when the run has ended: go on from its last checkpoint"),
    Key("f6,s", "stop", "Stop", "save a checkpoint, then end the run; asks first"),
    Key("f7,b", "board", "Board", "start TensorBoard and show its address"),
    Key("f8,k", "kill", "Kill", "end the run at once, without a checkpoint; asks first"),
    Key("w", "recent", "Last steps", "curves of the whole run, or of the last 1,000 steps", shown=False),
    Key("f10,d", "leave", "Leave", "close this view, as Ctrl+Q does; the run goes on"),
)


@dataclass
class Asked(Message, bubble=False):
    """Something asked of the run was passed on."""

    told: str


@dataclass
class Refused(Message, bubble=False):
    """Something asked of the run cannot be done."""

    error: SpecError


@dataclass
class BoardReady(Message, bubble=False):
    """TensorBoard answers."""

    board: Board


class MonitorScreen(Screen[None]):
    """State, losses, devices, log and checkpoints of a run, about once a second."""

    BINDINGS = [
        *(key.binding for key in KEYS),
        Binding("ctrl+q,ctrl+c", "leave", "Leave", show=False),
    ]
    AUTO_FOCUS: ClassVar[str] = ""

    DEFAULT_CSS = """
    MonitorScreen {
        layout: vertical;
        #charts { height: 1fr; min-height: 5; }
        #lm { width: 2fr; }
        #sop { width: 1fr; margin-left: 1; }
        #devices, #log { border-top: solid $faint; border-title-color: $muted; border-title-background: $background; }
        &.-ascii #devices, &.-ascii #log { border-top: ascii $faint; }
        #devices { height: auto; }
        #log { height: 5; }
        LogView { height: 1fr; background: $background; scrollbar-size: 0 0; }
        Footer { background: $surface; }
    }
    """

    def __init__(self, run: RunDirectory) -> None:
        super().__init__()
        self.run = run
        self._snapshot: Snapshot | None = None
        self._looked_at = time.monotonic()
        self._trouble = ""
        self._recent = False
        self._watch = Watch(run, self.post_message)

    @property
    def shows_run(self) -> bool:
        """Whether the first look has come in."""
        return self._snapshot is not None

    def compose(self) -> ComposeResult:
        """From the sentence down to the keys."""
        yield RunHeader()
        with Horizontal(id="charts"):
            yield Curve("MLM loss", empty="the curve begins with the first step", id="lm")
            yield Curve("Sentence order", empty="no step yet", id="sop")
        with Vertical(id="devices"):
            yield DeviceTable()
        with Vertical(id="log"):
            yield LogView(scrollable=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begins to look."""
        self.set_class(glyphs().ascii_only, "-ascii")
        self.query_one("#log").border_title = "log"
        self.query_one(RunHeader).show_rows([((self.run.id, "title"),), (("  looking at the run", "muted"),)])
        self._watch.start()
        self.set_interval(1.0, self._notice_silence)

    def on_unmount(self) -> None:
        """Looks no more."""
        self._watch.stop()

    def on_resize(self) -> None:
        """The header wraps its sentence, the log takes what is left."""
        self.call_after_refresh(self._show)

    def on_screen_resume(self) -> None:
        """Shows what came in while another screen was in front."""
        self._show()

    @on(Looked)
    def _looked(self, message: Looked) -> None:
        before, self._snapshot = self._snapshot, message.snapshot
        self._looked_at, self._trouble = time.monotonic(), ""
        top = self.app.screen
        if isinstance(top, LogScreen):
            top.show(message.snapshot.log)
        elif self.is_current:
            self._show()
        if before is None or before.view.state is not message.snapshot.view.state:
            self.refresh_bindings()

    @on(LookFailed)
    def _look_failed(self, message: LookFailed) -> None:
        self._trouble, self._looked_at = f"The run cannot be looked at: {message.reason}", time.monotonic()
        self._show()

    @on(Broke)
    def _broke(self, message: Broke) -> None:
        raise message.error

    def _notice_silence(self) -> None:
        silent = time.monotonic() - self._looked_at
        if silent > PATIENCE_SECONDS:
            self._trouble = f"No answer from the disk for {duration(silent)}. What is shown is from before."
            self._show()

    def _show(self) -> None:
        """Hands the newest snapshot to the widgets; each refreshes only what changed."""
        if not self.query("#log LogView"):  # a look may come in while the screen is being taken down
            return
        header, snapshot = self.query_one(RunHeader), self._snapshot
        if snapshot is None:
            if self._trouble:
                header.show_rows([((self.run.id, "title"),), ((f"! {self._trouble}", "caution"),)])
            return
        header.show(self.run.id, snapshot, self._trouble)
        self._show_curves(snapshot)
        self._show_devices(snapshot)
        self.query_one("#log").border_title = snapshot.log.path.name
        self._share_height(snapshot)
        self.query_one("#log LogView", LogView).show(snapshot.log)

    def _show_devices(self, snapshot: Snapshot) -> None:
        """Nothing of a run that has ended: its last load would look like a load."""
        view, title = snapshot.view, "devices"
        if view.state is RunState.LOST:
            title = "devices, as last read"
        elif snapshot.facts.uses_gpus and view.progress and (speed := gpu_speed(view.progress)):
            title = f"devices: {speed}"
        devices = self.query_one("#devices")
        devices.display = view.state.active or view.state is RunState.LOST
        devices.border_title = title
        self.query_one(DeviceTable).show(snapshot.nodes, uses_gpus=snapshot.facts.uses_gpus)

    def _show_curves(self, snapshot: Snapshot) -> None:
        losses, progress = snapshot.losses, snapshot.view.progress
        lm, sop = (losses.recent_lm, losses.recent_sop) if self._recent else (losses.lm, losses.sop)
        x = (
            _recent_axis(lm.last_step)
            if self._recent
            else step_axis(max(snapshot.step, losses.lm.last_step), snapshot.total_steps)
        )
        lines = [Line("training", "", lm), Line("validation", "validation", losses.lm_validation)]
        if progress and progress.validation and progress.validation.unigram_loss is not None:
            level = progress.validation.unigram_loss
            lines.append(Line("baseline", f"word frequency {level:.2f}", level=level))
        self.query_one("#lm", Curve).show(lines, x)
        has_order = sop.extent() is not None
        self.query_one("#sop", Curve).show(
            [
                Line("training", "", sop),
                Line("validation", "validation", losses.sop_validation),
                Line("baseline", "chance", level=CHANCE),
            ],
            x,
            empty="no step yet" if has_order or lm.extent() is None else "not trained",
        )

    def _share_height(self, snapshot: Snapshot) -> None:
        """Rows for the log: few beside a curve, more while there is none, and most when it has to tell why."""
        devices = 1 + max(1, len(self.query_one(DeviceTable).text.splitlines()))
        header = len(self.query_one(RunHeader).text.splitlines())
        rest = self.size.height - header - devices * self.query_one("#devices").display - 1
        share = rest // 3
        if snapshot.losses.lm.extent() is None:
            share = rest - 6
        elif snapshot.view.problem is not None:
            share = rest // 2
        height = max(3, share)
        log = self.query_one("#log")
        if log.styles.height is None or log.styles.height.value != height:
            log.styles.height = height

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Stop and kill while the run is active, resume once it has ended."""
        if self._snapshot is None or action not in ("stop", "kill", "resume"):
            return action not in ("stop", "kill", "resume")
        active = self._snapshot.view.state.active
        lost = self._snapshot.view.state is RunState.LOST
        if action == "resume":
            return not active and self._snapshot.view.state is not RunState.FINISHED
        return active or (action == "kill" and lost)

    def action_help(self) -> None:
        """What is shown, and the keys."""
        self.app.push_screen(HelpScreen("What is shown", f"{explained(LIVE_VIEW)}\n\n{told(KEYS)}"))

    def action_runs(self) -> None:
        """The list of runs."""
        cast("BertTui", self.app).show_runs()

    def action_log(self) -> None:
        """The log."""
        if self._snapshot is not None:
            self.app.push_screen(LogScreen(self._snapshot.log))

    def action_curves(self) -> None:
        """The curves."""
        self.app.push_screen(CurvesScreen(self.run))

    def action_recent(self) -> None:
        """Whole run or last steps."""
        self._recent = not self._recent
        self._show()

    def action_stop(self) -> None:
        """Asks, then requests a checkpoint and the end."""

        def stop() -> Message:
            from bert_tui.runs.control import request_stop

            return self._ask(lambda: request_stop(self.run), "The run was asked to save a checkpoint and end.")

        self.app.push_screen(StopQuestion(), lambda yes: in_background(stop, self.post_message) if yes else None)

    def action_kill(self) -> None:
        """Asks, then ends the processes."""

        def kill() -> Message:
            from bert_tui.runs.control import kill_run

            return self._ask(lambda: kill_run(self.run), "The run was ended without a checkpoint.")

        self.app.push_screen(KillQuestion(), lambda yes: in_background(kill, self.post_message) if yes else None)

    def action_resume(self) -> None:
        """Asks, then starts another attempt."""

        def resume() -> Message:
            from bert_tui.runs.create import resume_run

            return self._ask(lambda: resume_run(self.run), "The run is being resumed.")

        self.app.push_screen(ResumeQuestion(), lambda yes: in_background(resume, self.post_message) if yes else None)

    def action_board(self) -> None:
        """Starts TensorBoard, or finds the one that runs."""
        folder = self._snapshot.facts.tensorboard if self._snapshot else None
        if folder is None:
            self.notify("The run's TensorBoard folder is not known yet.")
            return

        def start() -> Message:
            from bert_tui.runs.board import start_board

            try:
                return BoardReady(start_board(folder))
            except SpecError as error:
                return Refused(error)

        self.notify("Starting TensorBoard; its address appears here.")
        in_background(start, self.post_message)

    def action_leave(self) -> None:
        """Ends the view. The words are printed when the terminal is back."""
        state = self._snapshot.view.state if self._snapshot else None
        status = status_of_run(state) if state else ExitStatus.DETACHED
        goes_on = f"The run goes on. See it again: {program()} attach {self.run.id}"
        self.app.exit(int(status), message=goes_on if status is ExitStatus.DETACHED else None)

    def _ask(self, work: Callable[[], object], told: str) -> Message:
        try:
            work()
        except SpecError as error:
            return Refused(error)
        return Asked(told)

    @on(Asked)
    def _asked(self, message: Asked) -> None:
        self.notify(message.told)
        self._watch.look_now()

    @on(Refused)
    def _refused(self, message: Refused) -> None:
        texts = [describe(problem) for problem in message.error.problems]
        self.app.push_screen(
            HelpScreen("That cannot be done", "\n".join(f"{text.what}\n{text.remedy}" for text in texts))
        )

    @on(BoardReady)
    def _board_ready(self, message: BoardReady) -> None:
        board = message.board
        text = (
            f"It runs on this machine at {board.url}\n\n"
            f"From your own computer, type\n  {board.tunnel}\nand open {board.url} there.\n\n"
            f"It goes on when you leave. To end it: kill {board.pid}"
        )
        self.app.push_screen(HelpScreen("TensorBoard", text))


def _recent_axis(last: int) -> Axis:
    """The last thousand steps, with room for a hundred more, so that it moves only now and then."""
    low = max(0, (last - 1000) // 100 * 100)
    return Axis(float(low), float(low + 1100), 275.0)
