"""One sitting at the wizard: what is known of the machine, what was answered, and keeping both in step."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from bert_tui.checks.check import Check
from bert_tui.checks.relevance import judged
from bert_tui.checks.runner import Subject
from bert_tui.machine import Machine
from bert_tui.wizard import answers as storage
from bert_tui.wizard import choices, defaults
from bert_tui.wizard.answers import Answers, Page
from trainer.spec.preset import Preset, replace


class Session:
    """The answers and what they rest on. Every change is on disk before the method returns."""

    def __init__(self, path: Path, environment: Mapping[str, str] = os.environ) -> None:
        kept = storage.load(path)
        self._path = path
        self._environment = environment
        self._answers = kept.answers
        self.begun = kept.answers is not None
        """Whether the operator has answered anything, now or in an earlier sitting."""
        self.machine: Machine | None = None
        self.checks: dict[str, Check] = {}
        self.unsaved = ""
        """Why the last answers could not be kept; empty where they are."""
        self.set_aside = kept.set_aside
        """Where damaged answers of an earlier time were moved."""
        self._asked_for: tuple[str, bool, str] | None = None
        self.settled = False
        """Whether the machine is known and every check has been answered once."""

    @property
    def answers(self) -> Answers:
        """What has been answered. Only there once the machine is known."""
        assert self._answers is not None, "asked before the machine was looked at"
        return self._answers

    @property
    def preset(self) -> Preset:
        """The preset in progress."""
        return self.answers.preset

    @property
    def kept_page(self) -> Page | None:
        """The page on which an earlier sitting was left; None where there is nothing to come back to."""
        page = self._answers.page if self._answers else "welcome"
        return None if page == "welcome" else page

    @property
    def known_machine(self) -> Machine:
        """The machine, once it has been looked at."""
        assert self.machine is not None, "asked before the machine was looked at"
        return self.machine

    def subject(self) -> Subject:
        """What the checks are to be asked about. Before anything is answered: the most that might be wanted."""
        machine = self.known_machine
        hopeful = self._answers or defaults.first_answers(machine, docker_usable=True, environment=self._environment)
        self._asked_for = _asked_for(hopeful.preset)
        return Subject(hopeful.preset, machine)

    @property
    def outdated(self) -> bool:
        """Whether the checks of containers were asked about another choice than the present one."""
        return self.preset.launch.launcher == "docker" and _asked_for(self.preset) != self._asked_for

    def settle(self) -> None:
        """To be called when every check is answered: makes first answers, or fits kept ones to this machine."""
        self.settled = True
        if self._answers is None:
            self._answers = self._first()
        else:
            self._answers = self._fitted(self._answers)

    def start_over(self) -> None:
        """Forgets the answers."""
        self._answers = self._first() if self.settled else None
        self.begun = False
        self._path.unlink(missing_ok=True)

    def change(self, preset: Preset) -> None:
        """Takes a new value of the preset."""
        self.take(self.answers.with_preset(preset))

    def turn_to(self, page: Page) -> None:
        """Notes the page the operator is on."""
        if self._answers is not None and self._answers.page != page:
            self.take(self._answers.at(page))

    def take(self, answers: Answers) -> None:
        """Takes new answers and keeps them."""
        self._answers, self.begun = answers, True
        try:
            storage.save(answers, self._path)
        except OSError as error:
            self.unsaved = f"{self._path}: {error.strerror}"
        else:
            self.unsaved = ""

    def judged_checks(self) -> list[Check]:
        """The checks as they matter to the present choice."""
        if self._answers is None:
            return list(self.checks.values())
        return [judged(check, self.preset) for check in self.checks.values()]

    def _first(self) -> Answers:
        return choices.suited_answers(self.known_machine, self.checks, self._environment)

    def _fitted(self, answers: Answers) -> Answers:
        """GPUs that have gone or are busy now are taken out of kept answers."""
        machine, wanted = self.known_machine, answers.preset.launch.gpus
        free = {gpu.uuid for gpu in machine.free_gpus}
        fits = wanted == "none" or (len(free) == len(machine.gpus) > 0 if wanted == "all" else free.issuperset(wanted))
        if fits:
            return answers
        preset = replace(answers.preset, launch__gpus=defaults.all_free(machine))
        return dataclasses.replace(answers, preset=defaults.with_possible_tensor(preset, machine))


def _asked_for(preset: Preset) -> tuple[str, bool, str]:
    """What the checks of containers depend on: the trial, on whether a container was chosen at all."""
    return preset.launch.launcher, preset.launch.gpus != "none", preset.launch.image
