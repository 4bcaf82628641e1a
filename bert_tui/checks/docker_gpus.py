"""The checklist's questions about GPUs in containers: whether the engine hands them over, and whether the driver is
new enough for the image."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence

from bert_tui.advice.words import describe
from bert_tui.checks.check import Check
from bert_tui.checks.docker_image import chosen_image
from bert_tui.checks.docker_words import answered, problem_answer
from bert_tui.checks.runner import Subject
from bert_tui.launchers.engine import connect
from bert_tui.launchers.engine_facts import ask_engine
from bert_tui.launchers.fetching.here import ImageHere, look_up
from trainer.spec.problem import EnvironmentRefused, Problem

TOOLKIT = ("nvidia-ctk", "nvidia-container-cli", "nvidia-container-runtime-hook")
"""Commands of NVIDIA's container toolkit; any of them shows that it is installed."""
STALE = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
DRIVER_FOR_CUDA: Mapping[int, int] = {11: 450, 12: 525, 13: 580}
"""Oldest driver, by CUDA's major version: a newer minor version runs on it as well
(docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html)."""


def toolkit(subject: Subject) -> Check:
    """Whether the engine can hand GPUs to containers, as far as it tells; the trial container counts them."""
    name = "docker.gpu"
    if subject.preset.launch.gpus == "none":
        return answered(name, "pass", "not asked for")
    facts = ask_engine()
    if facts.podman:
        raise EnvironmentRefused(Problem("docker.podman", facts.address))
    if facts.nvidia_devices:
        return _known_devices(subject, facts.nvidia_devices)
    if "nvidia" in facts.runtimes:
        return answered(name, "pass", "NVIDIA container toolkit configured")
    if any(shutil.which(command) for command in TOOLKIT):
        seen, meaning = (
            "toolkit installed, not configured",
            "It may still work: the engine finds the toolkit by itself.",
        )
        repair = "sudo nvidia-ctk runtime configure --runtime=docker; sudo systemctl restart docker"
        return answered(name, "warn", seen, f"{meaning} The trial container tells.", repair)
    remedy = describe(Problem("docker.gpu_toolkit")).remedy
    meaning = "Containers will probably get no GPU: NVIDIA's container toolkit is not installed here."
    return answered(name, "warn", "the engine names no NVIDIA runtime", meaning, remedy)


def driver(subject: Subject) -> Check:
    """Whether the driver is new enough for the CUDA in the image."""
    name = "docker.driver"
    if subject.preset.launch.gpus == "none":
        return answered(name, "pass", "no GPU asked for")
    found = look_up(connect(), chosen_image(subject))
    if found is None:
        return answered(name, "unknown", "the image is not here yet", "It can be looked at once the image is here.")
    cuda, driver = cuda_version(found.environment), subject.machine.driver
    if cuda is None:
        meaning = "The image does not tell which CUDA it has, so the trial container has to show whether it works."
        return answered(name, "pass", f"driver {driver or 'unknown'}", meaning)
    if not driver.partition(".")[0].isdigit():
        return answered(name, "unknown", f"CUDA {cuda[0]}.{cuda[1]}, driver unknown", "See the line 'GPU driver'.")
    needed = DRIVER_FOR_CUDA.get(cuda[0])
    seen = f"CUDA {cuda[0]}.{cuda[1]}, driver {driver}"
    if needed is None:
        return answered(name, "unknown", seen, f"Which driver CUDA {cuda[0]} needs is not known to this program.")
    if int(driver.partition(".")[0]) < needed:
        return problem_answer(name, _too_old(found, cuda, driver, needed), meaning="The image finds no usable GPU.")
    return answered(name, "pass", seen)


def cuda_version(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """The CUDA in an image, by what NVIDIA's images say in their environment; None where it is not told."""
    for text in (environment.get("CUDA_VERSION", ""), environment.get("NVIDIA_REQUIRE_CUDA", "")):
        if match := re.search(r"(?:^|cuda>=)(\d+)\.(\d+)", text):
            return int(match[1]), int(match[2])
    return None


def _too_old(image: ImageHere, cuda: tuple[int, int], driver: str, needed: int) -> Problem:
    facts = {"image": image.name, "cuda": f"{cuda[0]}.{cuda[1]}", "needed": needed}
    return Problem("docker.image_driver", "", driver, facts)


def _known_devices(subject: Subject, devices: Sequence[str]) -> Check:
    """By the names under which the engine knows GPUs: by number and, of newer toolkits, by UUID."""
    name = "docker.gpu"
    chosen = subject.preset.launch.gpus
    wanted = [gpu for gpu in subject.machine.gpus if chosen == "all" or gpu.uuid in chosen]
    lacking = [str(gpu.index) for gpu in wanted if not {str(gpu.index), gpu.uuid} & set(devices)]
    if lacking:
        meaning = "The engine's list of GPUs is older than the driver or a GPU: a start with them fails."
        return answered(name, "warn", f"the engine does not know GPU {', '.join(lacking)}", meaning, STALE)
    numbered = sum(device.isdigit() for device in devices)
    return answered(name, "pass", f"NVIDIA devices known to the engine: {numbered or len(devices)}")
