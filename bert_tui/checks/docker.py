"""The checklist's questions about the Docker Engine. The docker SDK is imported when the first of them is asked."""

from __future__ import annotations

from bert_tui.checks.check import Check
from bert_tui.checks.runner import Question, Subject, ask_all
from bert_tui.machine import read_machine
from trainer.spec.preset import Preset, replace

TITLES = {
    "docker.command": "Docker command",
    "docker.engine": "Docker engine",
    "docker.settings": "Engine settings",
    "docker.gpu": "GPUs in containers",
    "docker.user": "User in containers",
    "docker.folders": "Shared folders",
    "docker.image": "Container image",
    "docker.driver": "Driver for image",
    "docker.registry": "Image registry",
    "docker.disk": "Docker's disk",
    "docker.trial": "Trial container",
}
"""Names and titles, in the order in which they are shown."""

SECONDS = 10.0
"""For one answer: each call to the engine has a shorter end of its own."""
SLOW = {"docker.registry": 12.0, "docker.trial": 70.0}
"""Answers that a registry or a container has to give; these too have a shorter end of their own."""


def docker_checks(gpus_wanted: bool, image: str) -> list[Check]:
    """All answers for these settings of a run, without the trial."""
    gpus = "all" if gpus_wanted else "none"
    preset = replace(Preset(), launch__launcher="docker", launch__gpus=gpus, launch__image=image)
    return ask_all(DOCKER_CHECKS, Subject(preset, read_machine()))


def _question(name: str) -> Question:
    def ask(subject: Subject) -> Check:
        from bert_tui.checks import docker_answers

        return docker_answers.answer(name, subject)

    return Question(name, TITLES[name], ask, SLOW.get(name, SECONDS), last=name == "docker.trial")


DOCKER_CHECKS = tuple(_question(name) for name in TITLES if name != "docker.trial")
"""The answers to the checklist's questions about the Docker Engine that need no container."""
TRIAL = _question("docker.trial")
"""Whether a container by the rules of the run finds there what the run needs."""
