"""How the model is split over devices."""

from __future__ import annotations

from collections.abc import Iterator

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from bert_tui.plan import trial_plan
from bert_tui.screens.page import Obstacle, WizardPage
from bert_tui.widgets.choice_list import ChoiceList, Line
from bert_tui.widgets.memory_bar import memory_bar
from bert_tui.wizard import choices, defaults
from bert_tui.wizard.fields import HEADINGS
from bert_tui.wizard.review import memory_parts
from trainer.spec.sizing import GIB

GPU_ADVICE = (
    "Tensor parallel lets several GPUs hold one model. It makes room, not speed: where a smaller "
    "size fits, it trains faster, because the GPUs need not wait for one another."
)
CPU_ADVICE = "Tensor parallel lets several processes hold one model, each with its share of the cores."


class TensorParallelPage(WizardPage):
    """Every size from one to the number of devices; impossible ones with the reason."""

    page = "tensor"
    heading = HEADINGS["tensor"]

    DEFAULT_CSS = """
    TensorParallelPage { #columns { color: $muted; } #note { color: $muted; margin-top: 1; height: auto; } }
    """

    @property
    def lead(self) -> str:  # type: ignore[override]
        """What tensor parallel is, for the device at hand."""
        return CPU_ADVICE if self._cpu else GPU_ADVICE

    @property
    def _cpu(self) -> bool:
        return self.session.preset.launch.gpus == "none"

    def compose_body(self) -> ComposeResult:
        """The table."""
        unit = "process" if self._cpu else "GPU"
        yield Static(f"   Size   Groups   Memory of each {unit}", id="columns")
        yield ChoiceList(field="parallel.tensor", id="tensors")
        yield Static("", id="note", markup=False)

    def on_mount(self) -> None:
        """The cursor on the size taken."""
        preset = self.session.preset
        sizes = choices.tensor_sizes(preset, self.session.known_machine)
        table = self.query_one("#tensors", ChoiceList)
        table.show([_tensor_line(size) for size in sizes], str(preset.parallel.tensor))
        table.focus()
        self._show_note()

    def obstacles(self) -> Iterator[Obstacle]:
        """No size can be taken."""
        table = self.query_one("#tensors", ChoiceList)
        if table.value is None:
            yield Obstacle(table, "No size fits this machine. Go back (F2) and choose a smaller model.")

    @on(ChoiceList.Accepted)
    def _accepted(self) -> None:
        self.action_next()

    @on(ChoiceList.Taken, "#tensors")
    def _tensor_taken(self, event: ChoiceList.Taken) -> None:
        tensor = int(event.value)
        if tensor != self.session.preset.parallel.tensor:
            self.session.change(defaults.with_tensor(self.session.preset, tensor))
        self._show_note()

    def _show_note(self) -> None:
        plan = trial_plan(self.session.preset, self.session.known_machine)
        unit = "process" if self._cpu else "GPU"
        micro = plan.micro_batch
        rounds = "" if plan.accumulation == 1 else f", {plan.accumulation} times a step"
        work = f"Each {unit} works on {micro} rows at once{rounds}."
        parts = f"Memory of each: {memory_parts(plan.memory, plan.device)}."
        self.query_one("#note", Static).update(f"{work}\n{parts}")


def _tensor_line(size: choices.TensorChoice) -> Line:
    start = f"{size.tensor:>4}"
    if size.reason:
        return Line(str(size.tensor), Content(f"{start}{'':<9}{size.reason}"), disabled=True)
    numbers = f"  {size.memory / GIB:.1f} of {size.available / GIB:.0f} GiB"
    bar = memory_bar(size.memory, size.available, 20)
    return Line(str(size.tensor), Content.assemble(start, f"{size.data:>9}   ", bar, numbers), bold=len(start))
