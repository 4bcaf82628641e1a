"""Where the text comes from and where the results go."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input

from bert_tui.advice.words import describe
from bert_tui.checks.data import check_path_field
from bert_tui.plan import VARIABLES
from bert_tui.screens.page import Obstacle, WizardPage
from bert_tui.widgets.choice_list import ChoiceList, Line
from bert_tui.widgets.field import Field
from bert_tui.widgets.path_suggester import PathSuggester
from bert_tui.wizard import defaults
from bert_tui.wizard.choices import sentence
from trainer.spec.preset import Data, get, replace, setting_of


@dataclass(frozen=True)
class _Shown:
    """How one of the four paths is asked for."""

    label: str
    hint: str


FIELDS = {
    "data.data_path": _Shown("Dataset", "DATA_PATH: the path without .bin and .idx"),
    "data.vocab_file": _Shown("Vocabulary", "VOCAB_FILE: WordPiece, one piece a line"),
    "checkpoint.path": _Shown("Checkpoints", "CHECKPOINT_PATH: gets a folder for each training"),
    "logs.tensorboard_path": _Shown("TensorBoard", "TENSORBOARD_LOGS_PATH: gets the curves"),
}
"""The four paths of Megatron-LM's examples/bert, in the order of the page."""
PAUSE = 0.3
"""Seconds without a key after which a path is looked at."""


class DataPage(WizardPage):
    """Sample text or files; the four paths, each looked at while it is typed."""

    page = "data"
    heading = "Which text, and where do the results go?"

    DEFAULT_CSS = """
    DataPage { ChoiceList, Field { margin-bottom: 1; } }
    """

    @property
    def lead(self) -> str:  # type: ignore[override]
        """Which variables were used, or that some may be."""
        prefilled = self.session.answers.prefilled
        if prefilled:
            return f"Filled in from your environment: {', '.join(prefilled)}."
        return "Paths may begin with ~ or contain $VARIABLES; right arrow completes them."

    @dataclass
    class Looked(Message):
        """A path was looked at."""

        field: str
        value: str
        problem: str

    @dataclass
    class AllLooked(Message):
        """All paths were looked at, on the way to the next page."""

        problems: dict[str, str]

    def __init__(self) -> None:
        super().__init__()
        self._pauses: dict[str, Timer] = {}

    def compose_body(self) -> ComposeResult:
        """Source and paths."""
        yield ChoiceList(field="data.source", id="source")
        for name, shown in FIELDS.items():
            yield Field(
                name,
                shown.label,
                self._value(name),
                example=setting_of(name).example,
                hint=self._hint(name),
                suggester=PathSuggester(dataset=name == "data.data_path"),
            )

    def on_mount(self) -> None:
        """The cursor on the source."""
        lines = [
            _source_line("sample", "Sample text", "English documentation that is on this machine"),
            _source_line("files", "My own files", "a Megatron-LM dataset with its vocabulary"),
        ]
        source = self.query_one("#source", ChoiceList)
        source.show(lines, self.session.preset.data.source)
        source.focus()
        self._show_source()
        for name in self._asked():
            self._look(name)

    def action_next(self) -> None:
        """Looks at all paths, in a thread: a disk may take its time."""
        self.notice("Looking at the paths…")
        asked, data = self._asked(), self.session.preset.data
        values = {name: self._field(name).value for name in asked}

        def look() -> None:
            self.post_message(self.AllLooked({name: _problem(name, values[name], data) for name in asked}))

        threading.Thread(target=look, name="look at all paths", daemon=True).start()

    def on_data_page_all_looked(self, event: AllLooked) -> None:
        """Goes on, or to the first path with a problem."""
        self.notice("")
        for name, problem in event.problems.items():
            self._field(name).show_problem(problem)
        super().action_next()

    def obstacles(self) -> Iterator[Obstacle]:
        """The paths with a problem."""
        fields = (self._field(name) for name in self._asked())
        yield from (Obstacle(field.input, _first_sentence(field.problem)) for field in fields if field.problem)

    def _asked(self) -> list[str]:
        sample = self.session.preset.data.source == "sample"
        return [name for name in FIELDS if not (sample and name.startswith("data."))]

    def _field(self, name: str) -> Field:
        return self.query_one(f"#field-{name.replace('.', '-')}", Field)

    def _value(self, name: str) -> str:
        value = get(self.session.preset, name)
        return (value[0] if value else "") if isinstance(value, tuple) else value or ""

    def _hint(self, name: str) -> str:
        filled = VARIABLES[name] in self.session.answers.prefilled
        return f"from your {VARIABLES[name]}" if filled else FIELDS[name].hint

    def _show_source(self) -> None:
        asked = self._asked()
        for name in FIELDS:
            self._field(name).display = name in asked

    @on(ChoiceList.Taken, "#source")
    def _source_taken(self, event: ChoiceList.Taken) -> None:
        source: Literal["sample", "files"] = "sample" if event.value == "sample" else "files"
        if source == self.session.preset.data.source:
            return
        self.session.take(defaults.with_source(self.session.answers, source))
        for name in FIELDS:
            if not self._field(name).value:
                self._field(name).input.value = self._value(name)
        self._show_source()
        self.notice("")

    @on(ChoiceList.Accepted)
    def _accepted(self) -> None:
        self.action_next()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        name = getattr(event.input, "field", "")
        if name not in FIELDS or event.value == self._value(name):
            return
        value = event.value.strip()
        if not value.isprintable():  # no preset may hold it; the field says so
            value = ""
        typed = ((value,) if value else ()) if name == "data.data_path" else value or None
        self.session.change(replace(self.session.preset, **{name.replace(".", "__"): typed}))
        if name in self._pauses:
            self._pauses[name].stop()
        self._pauses[name] = self.set_timer(PAUSE, lambda: self._look(name))

    def _look(self, name: str) -> None:
        value, data = self._field(name).value, self.session.preset.data
        if not value:
            self._field(name).show_problem("")
            return

        def look() -> None:
            self.post_message(self.Looked(name, value, _problem(name, value, data)))

        threading.Thread(target=look, name=f"look at {name}", daemon=True).start()

    def on_data_page_looked(self, event: Looked) -> None:
        """Says what is wrong, unless something else has been typed since."""
        field = self._field(event.field)
        if field.value == event.value:
            field.show_problem(event.problem)


def _source_line(value: str, title: str, detail: str) -> Line:
    return Line(value, Content.assemble(title.ljust(22), (detail, "$muted")), bold=len(title))


def _problem(name: str, text: str, data: Data) -> str:
    problem = check_path_field(name, text, data)
    if problem is None:
        return ""
    return describe(problem).remedy if problem.where == name else sentence(problem)


def _first_sentence(text: str) -> str:
    """What fits the line of notices; the whole stands beside the field."""
    return text.split(". ")[0].rstrip(".") + "."
