"""What a dataset is built from, and how."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from textual import events, on
from textual.app import ComposeResult
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Static

from bert_tui.advice.words import describe
from bert_tui.data.build_folder import BuildFolder
from bert_tui.data.order import BuildOrder
from bert_tui.screens.page import Obstacle, WizardPage
from bert_tui.widgets.choice_row import ChoiceRow, Option
from bert_tui.widgets.field import Field, LineInput
from bert_tui.widgets.path_field import PathField
from bert_tui.wizard.build_answers import BuildForm
from bert_tui.wizard.build_form import TextSeen, look_at_text, order_of, proposed_output, taken_names
from bert_tui.wizard.build_topics import SHORT
from bert_tui.wizard.built import Built
from bert_tui.wizard.choices import sentence
from bert_tui.wizard.look import Look, look_at_field
from trainer.spec.preset import Data
from trainer.spec.problem import DatasetError, SpecError

LOOKED_AT = ("text", "keys", "output", "vocab_file")
"""The fields of the form that name something on a disk."""
PAUSE = 0.3
"""Seconds without a key after which the text is looked at."""


class BuildPage(WizardPage):
    """Asks for the text and the few things that have to be known; starts the build and follows it."""

    page = "data"
    heading = "Build a dataset from text"
    lead = "Done once; every training reads the result. You may leave while it works."
    next_label = "Start building"

    BINDINGS = [("f3", "next", "Start")]

    DEFAULT_CSS = """
    BuildPage {
        ChoiceRow Label { width: 13; }
        Field { & Label { width: 13; } & .below { padding-left: 14; } }
        .-short .below { display: none; }
        #build-words { color: $muted; margin-top: 1; height: auto; }
        #bar #next { min-width: 18; }
    }
    """

    @dataclass
    class TextLooked(Message):
        """The text was looked at."""

        form: BuildForm
        seen: TextSeen
        vocabulary: Look
        taken: list[str]
        """Files that are there already."""

    @dataclass
    class Started(Message):
        """The build works."""

        folder: BuildFolder

    @dataclass
    class Refused(Message):
        """It could not be started."""

        reason: str

    def __init__(self, form: BuildForm) -> None:
        super().__init__()
        self._form = form
        self._seen = TextSeen()
        self._pause: Timer | None = None
        self._starting = False

    def compose_body(self) -> ComposeResult:
        """The fields."""
        form = self._form
        yield PathField(
            "build.text", "Text", form.text, wanted="text", example="/data/corpus/*.jsonl.gz", hint="files or a folder"
        )
        yield _line("build.keys", "JSON key", form.keys)
        yield PathField(
            "build.output",
            "Dataset",
            form.output,
            wanted="prefix",
            example="~/bert-tui/data/corpus",
            hint="where it is put: this name with .bin and .idx",
        )
        yield ChoiceRow(
            "build.vocabulary",
            "Vocabulary",
            [Option("train", "make one from the text"), Option("file", "use a file")],
            form.vocabulary,
        )
        yield _line("build.pieces", "Pieces", form.pieces)
        yield PathField(
            "build.vocab_file",
            "File",
            form.vocab_file,
            wanted="vocabulary",
            example="/data/vocab.txt",
            hint="one piece a line",
        )
        yield ChoiceRow(
            "build.letters", "Letters", [Option("lower", "lower-case"), Option("cased", "as they are")], form.letters
        )
        yield ChoiceRow(
            "build.bad_text",
            "Bad text",
            [Option("refuse", "stop"), Option("replace", "repair"), Option("skip", "leave out")],
            form.bad_text,
        )
        yield Static("", id="build-words", markup=False)

    def on_mount(self) -> None:
        """The cursor on the text."""
        self._show_fields()
        self._input("text").focus()
        self._look()

    # What is typed -------------------------------------------------------------------------------------------------

    def _field(self, name: str) -> Field:
        return self.query_one(f"#field-build-{name}", Field)

    def _input(self, name: str) -> Input:
        return self._field(name).input

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        name = getattr(event.input, "field", "").removeprefix("build.")
        if getattr(self._form, name) == event.value:
            return
        proposed = name == "text" and self._form.output in ("", proposed_output(self._form.text))
        self._change(**{name: event.value})
        if proposed:
            self._change(output=proposed_output(event.value) if event.value.strip() else "")
            self._input("output").value = self._form.output
        if name in LOOKED_AT:
            if self._pause is not None:
                self._pause.stop()
            self._pause = self.set_timer(PAUSE, self._look)

    @on(ChoiceRow.Taken)
    def _taken(self, event: ChoiceRow.Taken) -> None:
        self._change(**{event.row.words.field.removeprefix("build."): event.value})
        self._show_fields()

    def _change(self, **changes: Any) -> None:
        self._form = replace(self._form, **changes)
        self.session.take(self.session.answers.with_build(self._form))
        self.notice("")

    def _show_fields(self) -> None:
        self._field("keys").display = self._seen.json
        self._field("pieces").display = self._form.vocabulary == "train"
        self._field("vocab_file").display = self._form.vocabulary == "file"

    @on(events.DescendantFocus)
    def _explain(self) -> None:
        """What has the cursor, in words; beside the text, how it begins."""
        field = getattr(self.focused, "field", "build.text")
        first = (
            f"It begins: {self._seen.preview}" if self._seen.preview and field in ("build.text", "build.keys") else ""
        )
        self.query_one("#build-words", Static).update(first or SHORT.get(field, ""))

    def _look(self) -> None:
        form = self._form

        def look() -> None:
            own = form.vocabulary == "file" and form.vocab_file.strip()
            vocabulary = look_at_field("data.vocab_file", form.vocab_file, Data()) if own else Look()
            self.post_message(self.TextLooked(form, look_at_text(form), vocabulary, taken_names(form)))

        threading.Thread(target=look, name="look at text", daemon=True).start()

    def on_build_page_text_looked(self, event: TextLooked) -> None:
        """Says what was seen, unless something else has been typed since."""
        typed = self._form
        if any(getattr(event.form, name) != getattr(typed, name) for name in LOOKED_AT):
            return
        self._seen = event.seen
        self._field("text").tell(problem=event.seen.problem, seen=event.seen.words)
        taken = f"{event.taken[0]} is there already. Choose another name." if event.taken else ""
        self._field("output").tell(problem=taken)
        self._field("vocab_file").tell(problem=event.vocabulary.problem, seen=event.vocabulary.seen)
        self._show_fields()
        self._explain()

    # Starting ------------------------------------------------------------------------------------------------------

    def obstacles(self) -> Iterator[Obstacle]:
        """What is missing or wrong, as far as it can be told without the disk."""
        if not self._form.text.strip():
            yield Obstacle(self._input("text"), "Name the text: a file, a folder, or a pattern such as *.txt.")
        if self._seen.problem:
            yield Obstacle(self._input("text"), self._seen.problem)
        if self._field("output").problem:
            yield Obstacle(self._input("output"), self._field("output").problem)
        if self._form.vocabulary == "file" and self._field("vocab_file").problem:
            yield Obstacle(self._input("vocab_file"), self._field("vocab_file").problem)
        try:
            order_of(self._form)
        except DatasetError as error:
            for problem in error.problems:
                yield Obstacle(self._input(problem.where), describe(problem).remedy)

    def go_on(self) -> None:
        """Starts the build, in a thread: the disk is written."""
        if self._starting:
            return
        self._starting = True
        self.notice("Starting…")
        order = order_of(self._form)
        threading.Thread(target=self._start, args=(order,), name="start build", daemon=True).start()

    def _start(self, order: BuildOrder) -> None:
        from bert_tui.data.build_job import start_build

        try:
            self.post_message(self.Started(start_build(order)))
        except SpecError as error:
            self.post_message(self.Refused(" ".join(sentence(problem) for problem in error.problems)))

    def on_build_page_started(self, event: Started) -> None:
        """Follows it."""
        from bert_tui.screens.building import BuildingScreen

        self._starting = False
        self.session.take(self.session.answers.with_build(None))
        self.notice("")
        self.app.push_screen(BuildingScreen(event.folder), self._followed)

    def on_build_page_refused(self, event: Refused) -> None:
        """Nothing was started."""
        self._starting = False
        self.notice(f"x {event.reason}", problem=True)

    def _followed(self, outcome: Built | Literal["another"] | None) -> None:
        """The data page takes the dataset, or shows how far it is."""
        if outcome != "another":
            self.dismiss(outcome)

    def action_back(self) -> None:
        """To the data page; nothing was started."""
        self.dismiss(None)


def _line(field: str, label: str, value: str) -> Field:
    line = Field(field, label, LineInput(value, field=field), hint="")
    line.add_class("-short")
    return line
