"""Is the machine fit, and what on it should train?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Button, Input, Label, OptionList, Static

from bert_tui.checks.check import Check
from bert_tui.checks.groups import Row
from bert_tui.screens.page import Obstacle, WizardPage
from bert_tui.widgets.check_list import CheckList
from bert_tui.widgets.choice_list import ChoiceList, Line
from bert_tui.widgets.field import LineInput
from bert_tui.wizard import choices, defaults
from bert_tui.wizard.fields import HEADINGS
from trainer.spec.preset import replace


class GpuButton(Button):
    """Opens the list of GPUs."""

    field = "launch.gpus"


class EnvironmentPage(WizardPage):
    """The checklist, filled in as it is answered; below it launcher, GPUs and image."""

    page = "environment"
    heading = HEADINGS["environment"]
    lead = "Looking…"

    BINDINGS = [("f5,r", "look_again", "Check again"), ("f7", "image", "Image")]

    DEFAULT_CSS = """
    EnvironmentPage {
        #body { overflow-y: hidden; }
        #lead { height: 1; }
        CheckList { height: 1fr; min-height: 4; }
        #explained { height: auto; min-height: 2; max-height: 4; color: $muted; padding: 0 4; margin: 1 0; }
        .row { height: auto; }
        .row Label { width: 12; }
        .row ChoiceList, .row LineInput { width: 1fr; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._go_when_ready = False
        self._pointed = False

    def compose_body(self) -> ComposeResult:
        """Checks above, choices below."""
        yield CheckList(self.wizard.questions, id="checks")
        yield Static("", id="explained", markup=False)
        with Horizontal(classes="row"):
            yield Label("Train")
            yield ChoiceList(field="launch.launcher", id="launchers")
        with Horizontal(classes="row", id="gpu-row"):
            yield Label("GPUs")
            yield GpuButton("", id="gpus", compact=True)
        with Horizontal(classes="row", id="image-row"):
            yield Label("Image")
            yield LineInput("", field="launch.image", placeholder="auto", id="image")

    def on_mount(self) -> None:
        """The cursor where Enter goes on."""
        self.redraw()
        self.query_one("#launchers").focus()

    def redraw(self) -> None:
        """Fills in what is known by now."""
        shown = self.query_one(CheckList)
        checks = self.session.judged_checks()
        shown.show(checks)
        self.query_one("#lead", Static).update(_summary(checks, len(self.wizard.questions)))
        if self.session.settled:
            self.refresh_bindings()
            self._show_choices()
            if not self._pointed:
                self._pointed = True
                shown.point_out()
        self._explain()
        if self._go_when_ready and self.session.settled:
            self._go_when_ready = False
            self.action_next()

    def _show_choices(self) -> None:
        session, launch = self.session, self.session.preset.launch
        lines = [_launcher_line(choice) for choice in choices.launchers(session.checks)]
        self.query_one("#launchers", ChoiceList).show(lines, launch.launcher)
        self.query_one("#gpu-row").display = bool(session.known_machine.gpus)
        self.query_one("#gpus", Button).label = _gpu_words(launch.gpus, len(session.known_machine.gpus))
        self.query_one("#image-row").display = launch.launcher == "docker"
        image = self.query_one("#image", LineInput)
        if not image.has_focus:
            image.value = "" if launch.image == "auto" else launch.image

    def _explain(self) -> None:
        shown = self.query_one(CheckList)
        row = shown.current
        text = "" if row is None else _explained(row, self.session.checks, cut_off=shown.current_is_cut_off)
        self.query_one("#explained", Static).update(text)

    def obstacles(self) -> Iterator[Obstacle]:
        """A launcher that cannot be used, and failed checks that the run needs."""
        launchers = self.query_one("#launchers", ChoiceList)
        if launchers.value is None:
            yield Obstacle(self.query_one("#checks"), "Nothing can train here yet. Repair one of the lines marked x.")
        for check in self.session.judged_checks():
            if check.answer == "fail":
                yield Obstacle(self.query_one("#checks"), f"{check.title}: {check.repair or check.meaning}")

    def action_next(self) -> None:
        """Waits for the last answers where they are still out."""
        session = self.session
        if session.settled and not session.outdated:
            super().action_next()
            return
        self._go_when_ready = True
        if session.settled:
            self.action_look_again()
        self.notice("Going on as soon as the last answer is there…")

    def action_look_again(self) -> None:
        """Asks everything anew."""
        self.query_one(CheckList).clear_answers()
        self._pointed = False
        self.notice("")
        self.wizard.look()

    @on(OptionList.OptionHighlighted, "#checks")
    def _highlighted(self) -> None:
        self._explain()

    @on(OptionList.OptionSelected, "#checks")
    @on(ChoiceList.Accepted)
    def _accepted(self) -> None:
        self.action_next()

    @on(ChoiceList.Taken, "#launchers")
    def _launcher_taken(self, event: ChoiceList.Taken) -> None:
        if event.value != self.session.preset.launch.launcher:
            self._pointed = False
            self.session.change(replace(self.session.preset, launch__launcher=event.value))
            self.redraw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """An image is of use only in a container."""
        if action == "image":
            return self.session.settled and self.session.preset.launch.launcher == "docker"
        return super().check_action(action, parameters)

    def action_image(self) -> None:
        """To the page of the image, and back with its name; what was fetched there is seen by the checks."""
        from bert_tui.screens.image import ImageScreen

        launch = self.session.preset.launch
        answer = "" if launch.image == "auto" else launch.image
        self.app.push_screen(ImageScreen(answer, launch.gpus != "none"), self._image_chosen)

    def _image_chosen(self, image: str | None) -> None:
        self.session.change(replace(self.session.preset, launch__image=image or "auto"))
        self.redraw()
        self.action_look_again()

    @on(Input.Changed, "#image")
    def _image_typed(self, event: Input.Changed) -> None:
        image = event.value.strip() or "auto"
        if self.session.settled and image.isprintable() and image != self.session.preset.launch.image:
            self.session.change(replace(self.session.preset, launch__image=image))

    @on(Button.Pressed, "#gpus")
    def _choose_gpus(self) -> None:
        from bert_tui.screens.gpus import GpuDialog

        dialog = GpuDialog(choices.gpus(self.session.known_machine), self.session.preset.launch.gpus)
        self.app.push_screen(dialog, self._gpus_chosen)

    def _gpus_chosen(self, chosen: tuple[str, ...] | None) -> None:
        if chosen is None:
            return
        machine = self.session.known_machine
        everything = len(chosen) == len(machine.gpus)
        preset = replace(self.session.preset, launch__gpus="all" if everything else chosen or "none")
        self.session.change(defaults.with_possible_tensor(preset, machine))
        self.redraw()


def _explained(row: Row, asked: Mapping[str, Check], *, cut_off: bool) -> str:
    """What an answer means, and what to type, also where what was asked for is not needed now; last the whole answer
    where its line is cut off. Of a group: which questions it holds, and its advice."""
    if row.group:
        titles = ", ".join(check.title for check in row.checks)
        advice = [check.repair for check in row.checks if check.repair]
        return "\n".join([f"Space shows or hides: {titles}." if titles else "", *advice])
    (check,) = row.checks
    repair = asked.get(check.name, check).repair
    if not check.meaning and not repair and not cut_off:
        return ""
    told = [f"{check.title}: {check.meaning or check.seen}", repair, check.seen if check.meaning and cut_off else ""]
    return "\n".join(part for part in told if part)


def _launcher_line(choice: choices.Choice) -> Line:
    detail = choice.reason or choice.detail
    text = Content.assemble(choice.title.ljust(24), (detail, "$muted"))
    return Line(choice.value, text, bold=len(choice.title), disabled=bool(choice.reason))


def _gpu_words(gpus: str | tuple[str, ...], there: int) -> str:
    if gpus == "none":
        return f" none of {there}: train on the CPU "
    return f" all {there} " if gpus == "all" else f" {len(gpus)} of {there} "


def _summary(checks: list[Check], asked: int) -> Content:
    if len(checks) < asked:
        return Content.assemble((f"Looking… {len(checks)} of {asked} answered", "$muted"))
    counts = {answer: sum(check.answer == answer for check in checks) for answer in ("pass", "warn", "fail", "unknown")}
    cautions = counts["warn"] + counts["unknown"]
    parts: list[Content | tuple[str, str]] = [(f"{counts['pass']} ok", "$success")]
    if cautions:
        parts.append((f"   {cautions} to be careful about", "$warning"))
    if counts["fail"]:
        parts.append((f"   {counts['fail']} to repair", "$error"))
    return Content.assemble(*parts)
