"""Who answers which question about containers, and what a problem on the way to an answer means for it."""

from __future__ import annotations

from collections.abc import Callable

from bert_tui.checks import docker_engine, docker_gpus, docker_image, docker_sharing, docker_trial
from bert_tui.checks.check import Check
from bert_tui.checks.docker import TITLES
from bert_tui.checks.docker_words import answered, problem_answer
from bert_tui.checks.runner import Subject
from trainer.spec.problem import EnvironmentRefused

ANSWERS: dict[str, Callable[[Subject], Check]] = {
    "docker.command": docker_engine.command,
    "docker.engine": docker_engine.engine,
    "docker.settings": docker_engine.settings,
    "docker.gpu": docker_gpus.toolkit,
    "docker.user": docker_sharing.user,
    "docker.folders": docker_sharing.folders,
    "docker.image": docker_image.image,
    "docker.driver": docker_gpus.driver,
    "docker.registry": docker_image.registry,
    "docker.disk": docker_image.disk,
    "docker.trial": docker_trial.trial,
}
EXPLAINED_BY = {
    **{
        f"docker.{case}": "docker.engine"
        for case in ("absent", "down", "permission", "group", "remote", "context", "silent", "lost", "podman")
    },
    "docker.remapped": "docker.user",
    **{f"docker.{case}": "docker.image" for case in ("driver_old", "driver_unknown", "base_absent")},
}
"""Problems that one line of the checklist explains; other lines point to it."""


def answer(name: str, subject: Subject) -> Check:
    """The answer to one question."""
    try:
        return ANSWERS[name](subject)
    except EnvironmentRefused as refusal:
        problem = refusal.problems[0]
    owner = EXPLAINED_BY.get(problem.code, name)
    if owner != name:
        meaning = f"It could not be looked at: see the line '{TITLES[owner]}'."
        return answered(name, "unknown", "cannot be told yet", meaning)
    return problem_answer(name, problem)
