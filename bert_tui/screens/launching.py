"""The moment between the last Enter and the run."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Static

from bert_tui.plan import Plan
from bert_tui.wizard.choices import sentence
from trainer.spec.problem import SpecError
from trainer.spec.run_directory import RunDirectory


class LaunchingScreen(Screen[RunDirectory]):
    """Creates the run in a thread; gives it back, or says why it could not be created."""

    BINDINGS = [("f2,escape", "back", "Back")]

    DEFAULT_CSS = """
    LaunchingScreen {
        background: $background;
        #words { padding: 1 2; }
        #title { text-style: bold; color: $strong; }
        #refusal { color: $error; margin-top: 1; }
    }
    """

    @dataclass
    class Created(Message):
        """The run is there and prepares itself."""

        run: RunDirectory

    @dataclass
    class Refused(Message):
        """It could not be created."""

        reason: str

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def compose(self) -> ComposeResult:
        """One line, and room for a refusal."""
        with Vertical(id="words"):
            yield Static("Creating the training…", id="title")
            yield Static("", id="refusal", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begins."""
        threading.Thread(target=self._create, name="create run", daemon=True).start()

    def _create(self) -> None:
        from bert_tui.runs.create import create_run

        try:
            self.post_message(self.Created(create_run(self._plan)))
        except SpecError as error:
            self.post_message(self.Refused(" ".join(sentence(problem) for problem in error.problems)))
        except OSError as error:
            self.post_message(self.Refused(f"{error.filename or 'The disk'}: {error.strerror}. Choose another folder."))

    def on_launching_screen_created(self, event: Created) -> None:
        """On to the monitor."""
        self.dismiss(event.run)

    def on_launching_screen_refused(self, event: Refused) -> None:
        """Nothing was started; F2 leads back."""
        self.query_one("#title", Static).update("Nothing was started")
        self.query_one("#refusal", Static).update(f"x {event.reason}")

    def action_back(self) -> None:
        """To the review."""
        self.dismiss(None)
