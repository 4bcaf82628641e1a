"""The checklist's questions about the Docker Engine. The docker SDK is imported when the first of them is asked."""

from __future__ import annotations

from bert_tui.checks.check import Check
from bert_tui.checks.runner import Question, Subject, ask_all
from bert_tui.machine import read_machine
from trainer.spec.preset import Preset, replace

TITLES = {
    "docker.engine": "Docker engine",
    "docker.gpu": "GPUs in containers",
    "docker.image": "Container image",
    "docker.disk": "Docker's disk",
}
"""Names and titles, in the order in which they are shown."""

SECONDS = 10.0
"""For one answer: each call to the engine has a shorter end of its own."""


def docker_checks(gpus_wanted: bool, image: str) -> list[Check]:
    """All answers for these settings of a run."""
    gpus = "all" if gpus_wanted else "none"
    preset = replace(Preset(), launch__launcher="docker", launch__gpus=gpus, launch__image=image)
    return ask_all(DOCKER_CHECKS, Subject(preset, read_machine()))


def _question(name: str, title: str) -> Question:
    def ask(subject: Subject) -> Check:
        from bert_tui.checks import docker_answers

        return docker_answers.answer(name, subject)

    return Question(name, title, ask, SECONDS)


DOCKER_CHECKS = tuple(_question(name, title) for name, title in TITLES.items())
