"""How the model is split over devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from bert_tui.measured import with_measured
from bert_tui.plan import trial_plan
from bert_tui.runs.calibration import CalibrationView, read_calibration, start_calibration, stop_calibration
from bert_tui.screens.page import Obstacle, WizardPage
from bert_tui.screens.watch import Broke, in_background
from bert_tui.widgets.choice_list import ChoiceList, Line
from bert_tui.widgets.choice_row import ChoiceRow, Option
from bert_tui.widgets.memory_bar import memory_bar
from bert_tui.wizard import choices, defaults, layout
from bert_tui.wizard.fields import HEADINGS
from trainer.spec.problem import SpecError
from trainer.spec.sizing import GIB

GPU_ADVICE = "Tensor parallel lets several GPUs hold one model. It makes room, not speed."
CPU_ADVICE = "Tensor parallel lets several processes hold one model, each on its cores."


SECONDS_BETWEEN = 1.0
"""Looks at a calibration under way."""


@dataclass
class Seen(Message):
    """The calibration was looked at; None where there never was one."""

    view: CalibrationView | None

    def can_replace(self, message: Message) -> bool:
        """Only the newest counts."""
        return isinstance(message, Seen)


@dataclass
class Refused(Message):
    """It could not be started or stopped."""

    reason: str


class TensorParallelPage(WizardPage):
    """Every size from one to the number of devices; impossible ones with the reason; below, what follows."""

    page = "tensor"
    heading = HEADINGS["tensor"]
    BINDINGS = [
        Binding("enter", "next", show=False),
        ("f7", "measure", "Measure"),
        ("f8", "stop", "Stop measuring"),
    ]
    DEFAULT_CSS = """
    TensorParallelPage {
        #columns { color: $muted; }
        #tensors { max-height: 8; }
        #why { color: $foreground; height: auto; margin-top: 1; }
        #follows { color: $muted; height: auto; }
        ChoiceRow Label { width: 18; color: $muted; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._calibration: CalibrationView | None = None
        """The one under way, or else the last."""
        self._asked = False
        """Whether one was started from this page."""

    @property
    def _measuring(self) -> bool:
        return self._calibration is not None and self._calibration.alive

    @property
    def lead(self) -> str:  # type: ignore[override]
        """What tensor parallel is, for the device at hand."""
        return CPU_ADVICE if self._unit == "process" else GPU_ADVICE

    @property
    def _unit(self) -> str:
        return "process" if self.session.preset.launch.gpus == "none" else "GPU"

    def compose_body(self) -> ComposeResult:
        """Table, recommendation, what follows."""
        yield Static(f"   Size Groups  {f'Memory of each {self._unit}':<31}Tokens a second", id="columns")
        yield ChoiceList(field="parallel.tensor", id="tensors")
        yield Static("", id="why", markup=False)
        for setting in layout.settings(self.session.preset, self.session.known_machine):
            yield ChoiceRow(setting.field, setting.label, _options(setting), setting.value)
        yield Static("", id="follows", markup=False)

    def on_mount(self) -> None:
        """The cursor on the size taken."""
        self._show_sizes()
        self.query_one("#tensors", ChoiceList).focus()
        self._show_rest()
        self._look()
        self.set_interval(SECONDS_BETWEEN, self._look)

    def obstacles(self) -> Iterator[Obstacle]:
        """No size can be taken."""
        table = self.query_one("#tensors", ChoiceList)
        if table.value is None:
            yield Obstacle(table, "No size fits this machine. Go back (F2) and choose a smaller model.")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """One calibration at a time."""
        if action in ("measure", "stop"):
            return self._measuring == (action == "stop")
        return super().check_action(action, parameters)

    def action_measure(self) -> None:
        """Trains a few steps at every size that is possible, in the background."""
        preset = self.session.preset
        self._asked = True
        self.notice("Starting to measure…")
        self._aside(lambda: start_calibration(preset))

    def action_stop(self) -> None:
        """Ends that; what was measured is kept."""
        self._aside(stop_calibration)

    def _aside(self, act: Callable[[], None]) -> None:
        """In a thread: a disk may take its time."""

        def run() -> Message:
            try:
                act()
            except SpecError as error:
                return Refused(choices.sentence(error.problems[0]))
            return Seen(read_calibration())

        in_background(run, self.post_message)

    def _look(self) -> None:
        in_background(lambda: Seen(read_calibration()), self.post_message)

    @on(Seen)
    def _seen(self, message: Seen) -> None:
        before, self._calibration = self._calibration, message.view
        if before == message.view:
            return
        self._show_sizes()
        self.refresh_bindings()
        begun_here = before is not None or self._asked
        if message.view is not None and (message.view.alive or begun_here):
            self.notice(message.view.in_words)

    @on(Broke)
    def _broke(self, message: Broke) -> None:
        raise message.error

    @on(Refused)
    def _refused(self, message: Refused) -> None:
        self.notice(f"x {message.reason}", problem=True)

    @on(ChoiceList.Accepted)
    def _accepted(self) -> None:
        self.action_next()

    @on(ChoiceList.Taken, "#tensors")
    def _tensor_taken(self, event: ChoiceList.Taken) -> None:
        tensor = int(event.value)
        if tensor != self.session.preset.parallel.tensor:
            self.session.change(defaults.with_tensor(self.session.preset, tensor))
        self._show_rest()

    @on(ChoiceRow.Taken)
    def _setting_taken(self, event: ChoiceRow.Taken) -> None:
        self.session.change(layout.with_setting(self.session.preset, event.row.words.field, event.value))
        self._show_sizes()
        self._show_rest()

    def _show_sizes(self) -> None:
        preset, machine = self.session.preset, self.session.known_machine
        sizes = choices.tensor_sizes(preset, machine, lambda plan: with_measured(plan, machine))
        table = self.query_one("#tensors", ChoiceList)
        table.show([_tensor_line(size) for size in sizes], str(preset.parallel.tensor))
        best = layout.recommended(sizes, self._unit)
        told = "" if best is None else f"Recommended: {best.tensor}. {best.reason}"
        self.query_one("#why", Static).update(told)

    def _show_rest(self) -> None:
        preset, machine = self.session.preset, self.session.known_machine
        for setting, row in zip(layout.settings(preset, machine), self.query(ChoiceRow), strict=True):
            row.offer(_options(setting), setting.value)
        self.query_one("#follows", Static).update(layout.in_words(trial_plan(preset, machine), self._unit))


def _options(setting: layout.LayoutSetting) -> list[Option]:
    return [Option(value.value, value.title) for value in setting.values]


def _tensor_line(size: choices.TensorChoice) -> Line:
    start = f"{size.tensor:>4}"
    if size.reason:
        return Line(str(size.tensor), Content(f"{start}{'':<9}{size.reason}"), disabled=True)
    bar = memory_bar(size.memory, size.available, 12)
    memory = f"  {size.memory / GIB:.1f} of {size.available / GIB:.0f} GiB"
    parts = Content.assemble(start, f"{size.data:>7}  ", bar, f"{memory:<19}", _speed(size))
    return Line(str(size.tensor), parts, bold=len(start))


def _speed(size: choices.TensorChoice) -> Content:
    if size.tokens_per_second is None:
        return Content.from_markup("[$muted]not known[/]")
    known = ("  measured", "$success") if size.measured else ("  estimated", "$muted")
    return Content.assemble(f"{size.tokens_per_second:>12,.0f}", known)
