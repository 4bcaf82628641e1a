"""One sitting at the wizard: what is known of the machine, what was answered, and keeping both in step.

What fits answers to a machine is imported where it is needed: the first page is drawn before.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bert_tui.checks.check import Check
from bert_tui.checks.relevance import judged
from bert_tui.wizard import answers as storage
from bert_tui.wizard.answers import Answers, Page
from bert_tui.wizard.keeper import Keeper
from trainer.spec.preset import Preset, replace

if TYPE_CHECKING:
    from bert_tui.checks.runner import Subject
    from bert_tui.machine import Machine

CLOSE_SECONDS = 1.0


class Session:
    """The answers and what they rest on. Every change is on disk soon after."""

    def __init__(self, path: Path, environment: Mapping[str, str] = os.environ) -> None:
        kept = storage.load(path)
        self._keeper = Keeper(path)
        self._environment = environment
        self._answers = kept.answers
        self.begun = kept.answers is not None
        """Whether the operator has answered anything, now or in an earlier sitting."""
        self.machine: Machine | None = None
        self.checks: dict[str, Check] = {}
        self.set_aside = _set_aside_words(kept)
        """What became of answers of an earlier time that cannot be gone on from; empty where there are none."""
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
        from bert_tui.checks.runner import Subject
        from bert_tui.wizard import defaults

        machine = self.known_machine
        if self._answers is not None:
            hopeful = self._fitted(self._answers)
        else:
            hopeful = defaults.first_answers(machine, docker_usable=True, environment=self._environment)
        self._asked_for = _asked_for(hopeful.preset)
        return Subject(hopeful.preset, machine)

    @property
    def outdated(self) -> bool:
        """Whether the checks were asked about another choice of launcher, GPUs or image than the present one."""
        return _asked_for(self.preset) != self._asked_for

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
        self._keeper.keep(None)

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
        self._keeper.keep(answers)

    @property
    def unsaved(self) -> str:
        """Why the last answers are not kept; empty where they are."""
        return self._keeper.problem

    def close(self) -> None:
        """Waits for a disk that has not taken the last answers, but not for long."""
        self._keeper.wait(CLOSE_SECONDS)

    def judged_checks(self) -> list[Check]:
        """The checks as they matter to the present choice."""
        if self._answers is None:
            return list(self.checks.values())
        return [judged(check, self.preset) for check in self.checks.values()]

    def _first(self) -> Answers:
        from bert_tui.wizard import choices

        return choices.suited_answers(self.known_machine, self.checks, self._environment)

    def _fitted(self, answers: Answers) -> Answers:
        """GPUs that have gone or are busy now are taken out of kept answers."""
        from bert_tui.wizard import defaults

        machine, wanted = self.known_machine, answers.preset.launch.gpus
        free = {gpu.uuid for gpu in machine.free_gpus}
        fits = wanted == "none" or (len(free) == len(machine.gpus) > 0 if wanted == "all" else free.issuperset(wanted))
        if fits:
            return answers
        preset = replace(answers.preset, launch__gpus=defaults.all_free(machine))
        return dataclasses.replace(answers, preset=defaults.with_possible_tensor(preset, machine))


def _asked_for(preset: Preset) -> tuple[str, bool, str]:
    """What the checks of launchers depend on."""
    launch = preset.launch
    return launch.launcher, launch.gpus != "none", launch.image if launch.launcher == "docker" else ""


def _set_aside_words(kept: storage.Kept) -> str:
    if kept.set_aside is None:
        return ""
    if kept.newer:
        return f"Answers of a newer bert-tui cannot be read by this one; they lie in {kept.set_aside}."
    return f"Answers of an earlier time were damaged; they lie in {kept.set_aside}."
