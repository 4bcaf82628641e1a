"""The whole checklist of a run, for ``check`` and before every start."""

from __future__ import annotations

from collections.abc import Sequence

from bert_tui.checks.check import Check
from bert_tui.checks.data import DATA_CHECKS, WEIGHTS_CHECK
from bert_tui.checks.disk import DISK_CHECKS
from bert_tui.checks.docker import DOCKER_CHECKS, TRIAL
from bert_tui.checks.gpus import GPU_CHECKS
from bert_tui.checks.local import LOCAL_CHECKS
from bert_tui.checks.machine import SYSTEM_CHECKS
from bert_tui.checks.plan import PLAN_CHECKS
from bert_tui.checks.relevance import for_later, judged
from bert_tui.checks.runner import Question, Subject, ask_all, staged
from bert_tui.checks.session import SESSION_CHECKS
from bert_tui.machine import Machine
from bert_tui.wizard import choices, defaults
from bert_tui.wizard.answers import Answers
from trainer.spec.preset import Preset
from trainer.spec.preset_file import override

MACHINE_CHECKS: tuple[Question, ...] = (
    *SYSTEM_CHECKS,
    *GPU_CHECKS,
    *LOCAL_CHECKS,
    *DOCKER_CHECKS,
    TRIAL,
    *SESSION_CHECKS,
)

LAST_CHECKS: tuple[Question, ...] = (*DATA_CHECKS, *DISK_CHECKS, TRIAL)
"""Asked about everything that was chosen, before it is started."""


def check_machine(machine: Machine, changes: Sequence[str] = ()) -> tuple[list[Check], Answers]:
    """Everything about this machine, and the wizard's first answers on it, with ``--set`` texts applied. What these
    need can fail; what else the program can do is at most a caution.

    Raises:
        PresetError: one of the changes cannot be made.
    """
    hopeful = defaults.first_answers(machine, docker_usable=True)
    first, last = staged(MACHINE_CHECKS)
    checks = ask_all(first, Subject(override(hopeful.preset, changes), machine))
    suited = choices.suited_answers(machine, {check.name: check for check in checks})
    suited = suited.with_preset(override(suited.preset, changes))
    checks += ask_all(last, Subject(suited.preset, machine))
    return [for_later(check, suited.preset) for check in checks], suited


def check_run(machine: Machine, preset: Preset, *, trial: bool = True) -> list[Check]:
    """Everything about this machine, the preset's files, and the plan that follows from it; only what the preset needs
    can fail. Without ``trial`` no container is started: a run that follows at once tells the same."""
    weights = () if preset.train.init_from is None else (WEIGHTS_CHECK,)
    questions = (*MACHINE_CHECKS, *DATA_CHECKS, *weights, *PLAN_CHECKS)
    questions = tuple(question for question in questions if trial or question is not TRIAL)
    checks = ask_all(questions, Subject(preset, machine))
    return [judged(check, preset) for check in checks]
