"""The whole checklist of a run, for ``check`` and before every start."""

from __future__ import annotations

from bert_tui.checks.check import Check
from bert_tui.checks.data import DATA_CHECKS
from bert_tui.checks.docker import DOCKER_CHECKS
from bert_tui.checks.environment import ENVIRONMENT_CHECKS
from bert_tui.checks.plan import PLAN_CHECKS
from bert_tui.checks.relevance import judged
from bert_tui.checks.runner import Question, Subject, ask_all
from bert_tui.machine import Machine
from trainer.spec.preset import Preset

MACHINE_CHECKS: tuple[Question, ...] = (*ENVIRONMENT_CHECKS, *DOCKER_CHECKS)


def check_machine(machine: Machine, preset: Preset | None) -> list[Check]:
    """Everything about this machine; with a preset, only what it needs can fail."""
    answers = ask_all(MACHINE_CHECKS, Subject(preset or Preset(), machine))
    return [judged(answer, preset) for answer in answers] if preset else answers


def check_run(machine: Machine, preset: Preset) -> list[Check]:
    """Everything about this machine, the preset's files, and the plan that follows from it."""
    return [*check_machine(machine, preset), *ask_all((*DATA_CHECKS, *PLAN_CHECKS), Subject(preset, machine))]
