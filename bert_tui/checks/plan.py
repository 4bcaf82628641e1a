"""The checklist's questions about what is to be trained: cautions, since an operator may mean it."""

from __future__ import annotations

from bert_tui.advice.words import describe
from bert_tui.checks.check import Check
from bert_tui.checks.runner import Question, Subject
from bert_tui.forecast import roughly
from bert_tui.plan import Plan, trial_plan


def training_time(subject: Subject) -> Check:
    """How long it will take, roughly."""
    plan = trial_plan(subject.preset, subject.machine)
    seen = "cannot be told for these GPUs" if plan.seconds is None else f"about {roughly(plan.seconds)}"
    return _cautious("plan.time", "Training time", seen, "plan.long", plan)


def learning_rate(subject: Subject) -> Check:
    """Whether it is one that BERT can be trained with."""
    plan = trial_plan(subject.preset, subject.machine)
    seen = f"{plan.preset.train.learning_rate:g}"
    return _cautious("plan.learning_rate", "Learning rate", seen, "plan.learning_rate", plan)


def _cautious(name: str, title: str, seen: str, code: str, plan: Plan) -> Check:
    caution = next((problem for problem in plan.cautions if problem.code == code), None)
    if caution is None:
        return Check(name, title, "pass", seen)
    text = describe(caution)
    return Check(name, title, "warn", seen, text.what, text.remedy)


PLAN_CHECKS = (
    Question("plan.time", "Training time", training_time),
    Question("plan.learning_rate", "Learning rate", learning_rate),
)
"""Every question of this module, in the order in which they are shown."""
