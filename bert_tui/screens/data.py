"""Where the text comes from and where the results go."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from textual import events, on
from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Static

from bert_tui.checks.data import typed_data_path
from bert_tui.data.build_job import BuildView
from bert_tui.paths import expand_path
from bert_tui.plan import VARIABLES
from bert_tui.screens.page import Obstacle, WizardPage
from bert_tui.screens.watch import Broke, in_background
from bert_tui.widgets.choice_list import ChoiceList, Line
from bert_tui.widgets.path_field import PathField
from bert_tui.wizard import defaults
from bert_tui.wizard.build_answers import BuildForm
from bert_tui.wizard.build_form import proposed_output
from bert_tui.wizard.build_in_words import in_brief
from bert_tui.wizard.built import Built, offered_build
from bert_tui.wizard.data_topics import SHORT
from bert_tui.wizard.fields import HEADINGS, PATHS
from bert_tui.wizard.look import Look, first_prefix, look_at_field
from trainer.spec.preset import get, replace, setting_of

BUILD_DETAIL = "plain text or JSON lines, compressed or not"
BUILD_SECONDS = 2.0
"""Between two looks at a build that is under way."""
PAUSE = 0.3
"""Seconds without a key after which a path is looked at."""


class DataPage(WizardPage):
    """Sample text, a dataset, or one to be built; the four paths, each looked at while it is typed."""

    page = "data"
    heading = HEADINGS["data"]

    BINDINGS = [("f6", "sample", "Show sample"), ("f7", "build", "Build")]

    DEFAULT_CSS = """
    DataPage {
        ChoiceList { margin-bottom: 1; }
        Field { & Label { width: 13; } & .below { padding-left: 14; } }
        #words { color: $muted; margin-top: 1; height: auto; }
    }
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
        look: Look

    @dataclass
    class AllLooked(Message):
        """All paths were looked at, on the way to the next page."""

        looks: dict[str, Look]

    @dataclass
    class BuildSought(Message):
        """It was looked for builds."""

        view: BuildView | None

    def __init__(self) -> None:
        super().__init__()
        self._pauses: dict[str, Timer] = {}
        self._text = ""
        """What was typed and is text that a dataset could be built from."""
        self._build: BuildView | None = None
        """The build to be offered."""
        self._seeking = False

    def compose_body(self) -> ComposeResult:
        """Source, paths, and what all that is."""
        yield ChoiceList(field="data.source", id="source")
        for name, shown in PATHS.items():
            yield PathField(
                name,
                shown.label,
                self._value(name),
                wanted=shown.wanted,
                example=setting_of(name).example,
                hint=self._hint(name),
            )
        yield Static("", id="words", markup=False)

    def on_mount(self) -> None:
        """The cursor on the source."""
        self._source.show(_source_lines(BUILD_DETAIL), self.session.preset.data.source)
        self._source.focus()
        self._show_fields()
        for name in self._asked():
            self._look(name)
        self._seek_build()
        self.set_interval(BUILD_SECONDS, self._seek_build_under_way)

    def _seek_build_under_way(self) -> None:
        if self._build is not None and self._build.state == "running":
            self._seek_build()

    def action_next(self) -> None:
        """To the build, or on; all paths are looked at in a thread: a disk may take its time."""
        if self._source.value == "build":
            self.action_build()
            return
        self.notice("Looking at the paths…")
        asked, data = self._asked(), self.session.preset.data
        values = {name: self._field(name).value for name in asked}

        def look() -> None:
            self.post_message(self.AllLooked({name: look_at_field(name, values[name], data) for name in asked}))

        threading.Thread(target=look, name="look at all paths", daemon=True).start()

    def on_data_page_all_looked(self, event: AllLooked) -> None:
        """Goes on, or to the first path with a problem."""
        self.notice("")
        for name, look in event.looks.items():
            self._field(name).tell(problem=look.problem, seen=look.seen)
        super().action_next()

    def obstacles(self) -> Iterator[Obstacle]:
        """The paths with a problem."""
        fields = (self._field(name) for name in self._asked())
        yield from (Obstacle(field.input, _first_sentence(field.problem)) for field in fields if field.problem)

    @property
    def _source(self) -> ChoiceList:
        return self.query_one("#source", ChoiceList)

    def _asked(self) -> list[str]:
        return [name for name in PATHS if self._source.value == "files" or not name.startswith("data.")]

    def _field(self, name: str) -> PathField:
        return self.query_one(f"#field-{name.replace('.', '-')}", PathField)

    def _value(self, name: str) -> str:
        value = get(self.session.preset, name)
        return " ".join(value) if isinstance(value, tuple) else value or ""

    def _hint(self, name: str) -> str:
        filled = VARIABLES[name] in self.session.answers.prefilled
        return f"from your {VARIABLES[name]}" if filled else PATHS[name].hint

    def _show_fields(self) -> None:
        asked = self._asked()
        for name in PATHS:
            self._field(name).display = name in asked
        self._explain()
        self.refresh_bindings()

    @on(events.DescendantFocus)
    def _explain(self) -> None:
        """What has the cursor, in words."""
        field = getattr(self.focused, "field", "")
        self.query_one("#words", Static).update(SHORT[field if field in PATHS else self._source.value or "sample"])

    @on(ChoiceList.Taken, "#source")
    def _source_taken(self, event: ChoiceList.Taken) -> None:
        if event.value != "build" and event.value != self.session.preset.data.source:
            source: Literal["sample", "files"] = "sample" if event.value == "sample" else "files"
            self.session.take(defaults.with_source(self.session.answers, source))
            for name in PATHS:
                if not self._field(name).value:
                    self._field(name).input.value = self._value(name)
        self._show_fields()
        self.notice("")

    @on(ChoiceList.Accepted)
    def _accepted(self) -> None:
        self.action_next()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        name = getattr(event.input, "field", "")
        if name not in PATHS or event.value == self._value(name):
            return
        value = event.value.strip()
        if not value.isprintable():  # no preset may hold it; the field says so
            value = ""
        typed = typed_data_path(value) if name == "data.data_path" else value or None
        self.session.change(replace(self.session.preset, **{name.replace(".", "__"): typed}))
        if name in self._pauses:
            self._pauses[name].stop()
        self._pauses[name] = self.set_timer(PAUSE, lambda: self._look(name))

    def _look(self, name: str) -> None:
        value, data = self._field(name).value, self.session.preset.data
        if not value:
            self._field(name).tell()
            return

        def look() -> None:
            self.post_message(self.Looked(name, value, look_at_field(name, value, data)))

        threading.Thread(target=look, name=f"look at {name}", daemon=True).start()

    def on_data_page_looked(self, event: Looked) -> None:
        """Says what was seen, unless something else has been typed since."""
        field = self._field(event.field)
        if field.value != event.value:
            return
        field.tell(problem=event.look.problem, seen=event.look.seen)
        if event.field == "data.data_path":
            self._text = event.look.text
        if event.field == "data.vocab_file" and event.look.seen:
            self._look("data.data_path")  # which it fits, or not, by the vocabulary

    # Building and looking ------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The sample text's dataset is made when training starts: there is nothing to show yet."""
        if action == "sample":
            return self.session.preset.data.source == "files"
        return super().check_action(action, parameters)

    def _seek_build(self) -> None:
        """Looks for a build under way or done, in a thread, one at a time."""
        if self._seeking or not self.is_current:
            return
        self._seeking = True
        data = self.session.preset.data
        in_background(lambda: self.BuildSought(offered_build(data)), self.post_message)

    def on_data_page_build_sought(self, event: BuildSought) -> None:
        """The third source says how far it is."""
        self._seeking = False
        self._build = event.view
        brief = in_brief(event.view) if event.view else BUILD_DETAIL
        self._source.show(_source_lines(brief), self._source.value)

    def on_broke(self, event: Broke) -> None:
        """A mistake of this program."""
        raise event.error

    def action_build(self) -> None:
        """To the build that the third source tells of, or to a new one from the text that was typed."""
        text = self._text if self._source.value == "files" else ""
        if self._build is None or (text and expand_path(text) not in self._build.order.inputs):
            self._build_from(text)
            return
        from bert_tui.screens.building import BuildingScreen

        self.app.push_screen(BuildingScreen(self._build.folder), self._built)

    def _build_from(self, text: str) -> None:
        from bert_tui.screens.build import BuildPage

        form = self.session.answers.build or BuildForm()
        if text and text != form.text:
            form = BuildForm(text, output=proposed_output(text))
        self.app.push_screen(BuildPage(form), self._built)

    def _built(self, outcome: Built | Literal["another"] | None) -> None:
        """The fields get what was built."""
        if outcome == "another":
            self._build_from("")
            return
        if outcome is not None:
            self._text = ""
            self._take(outcome)
        self._seek_build()

    def _take(self, built: Built) -> None:
        answers = defaults.with_source(self.session.answers, "files")
        paths = {"data__data_path": (str(built.prefix),), "data__vocab_file": str(built.vocab_file)}
        self.session.take(answers.with_preset(replace(answers.preset, **paths)))
        self._source.show(_source_lines(BUILD_DETAIL), "files")
        self._source.focus()
        for name in ("data.data_path", "data.vocab_file"):
            self._field(name).input.value = self._value(name)
            self._look(name)
        self._show_fields()
        self.notice("The new dataset and its vocabulary are filled in.")

    def action_sample(self) -> None:
        """What the model will see."""
        data = self.session.preset.data
        fields = [self._field(name) for name in ("data.data_path", "data.vocab_file")]
        if not (data.data_path and data.vocab_file) or any(field.problem for field in fields):
            self.notice("Name a dataset and its vocabulary first.")
            return
        from bert_tui.screens.sample import SampleScreen

        prefix, vocab_file = Path(expand_path(first_prefix(data))), Path(expand_path(data.vocab_file))
        length = self.session.preset.model.sequence_length
        self.app.push_screen(SampleScreen(prefix, vocab_file, data, length))


def _source_lines(build: str) -> list[Line]:
    return [
        _source_line("sample", "Sample text", "English documentation that is on this machine"),
        _source_line("files", "My own dataset", "NAME.bin and NAME.idx, with their vocabulary"),
        _source_line("build", "Build one from text", build),
    ]


def _source_line(value: str, title: str, detail: str) -> Line:
    return Line(value, Content.assemble(title.ljust(22), (detail, "$muted")), bold=len(title))


def _first_sentence(text: str) -> str:
    """What fits the line of notices; the whole stands beside the field."""
    return text.split(". ")[0].rstrip(".") + "."
