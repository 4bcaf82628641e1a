"""The image a run trains in: NVIDIA's for the driver, a small one built for CPUs, or the operator's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import docker.errors

from bert_tui.advice.words import describe
from bert_tui.launchers.cpu_image import CPU_IMAGE, build_cpu_image, cpu_image_name
from bert_tui.launchers.engine import connect, engine_errors
from bert_tui.launchers.fetching.job import pull_order, running_fetch, wait_for
from bert_tui.launchers.fetching.progress import as_steps
from bert_tui.launchers.fetching.pulling import PULL_SILENCE, pull
from bert_tui.launchers.protocol import Step
from bert_tui.machine import read_machine
from trainer.spec.problem import EnvironmentRefused, Problem

NVIDIA_IMAGES: tuple[tuple[int, str], ...] = (
    (580, "nvcr.io/nvidia/pytorch:26.09-py3"),
    (525, "nvcr.io/nvidia/pytorch:25.02-py3"),
)
"""Lowest major version of the driver, newest image first.

26.09 has CUDA 13, which needs driver 580; 25.02 has CUDA 12.8, and every CUDA 12 runs on driver 525
(docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html).
"""


@dataclass(frozen=True)
class Proposal:
    """What "auto" stands for here, and why."""

    image: str
    """Its full name; ``bert-tui-cpu`` for the one that is built here; empty where none fits."""
    reason: str
    """A sentence."""


def propose_image(driver: str, gpus_wanted: bool) -> Proposal:
    """The image for this driver, in words."""
    if not gpus_wanted:
        return Proposal(CPU_IMAGE, "It is built here for training on the CPU.")
    try:
        image = choose_image(driver, "cuda")
    except EnvironmentRefused as refusal:
        words = describe(refusal.problems[0])
        return Proposal("", f"{words.what} {words.remedy}")
    if image == NVIDIA_IMAGES[0][1]:
        return Proposal(image, f"The newest that is known here; the driver is {driver}.")
    needed = min(major for major, _ in NVIDIA_IMAGES if int(driver.partition(".")[0]) < major)
    return Proposal(image, f"The newest for driver {driver}: later images need driver {needed}.")


def choose_image(driver: str, device: Literal["cpu", "cuda"]) -> str:
    """What "auto" stands for. ``driver`` is the version of the NVIDIA driver, as "580.65.06".

    Raises:
        EnvironmentRefused: no image fits the driver, or there is none.
    """
    if device == "cpu":
        return CPU_IMAGE
    major = driver.partition(".")[0]
    if not major.isdigit():
        raise EnvironmentRefused(Problem("docker.driver_unknown"))
    for needed, image in NVIDIA_IMAGES:
        if int(major) >= needed:
            return image
    raise EnvironmentRefused(Problem("docker.driver_old", "", driver, {"oldest": NVIDIA_IMAGES[-1][0]}))


def chosen_image(image: str, gpus_wanted: bool) -> str:
    """What a preset's ``launch.image`` stands for on this machine; ``bert-tui-cpu`` for the one that is built here.

    Raises:
        EnvironmentRefused: no image fits the driver, or there is none.
    """
    if image.partition(":")[0] == CPU_IMAGE:
        return CPU_IMAGE
    if image != "auto":
        return image
    return choose_image(read_machine().driver, "cuda") if gpus_wanted else CPU_IMAGE


def expected_image(image: str, gpus_wanted: bool) -> str:
    """The full name that :func:`prepare_image` would give, without building or pulling anything.

    Raises:
        EnvironmentRefused: it cannot be told: no engine, no base image, no driver.
    """
    chosen = chosen_image(image, gpus_wanted)
    return cpu_image_name(connect()) if chosen == CPU_IMAGE else chosen


def prepare_image(image: str, gpus_wanted: bool, report: Callable[[Step], None]) -> tuple[str, str]:
    """Builds the CPU image or pulls the image, unless it is there; gives its name and id.

    Raises:
        EnvironmentRefused: it cannot be had.
    """
    chosen = chosen_image(image, gpus_wanted)
    client = connect(seconds=PULL_SILENCE)
    if chosen == CPU_IMAGE:
        chosen = build_cpu_image(client, report)
    elif image_id(client, chosen) is None:
        _fetch(client, chosen, report)
    found = image_id(client, chosen)
    if found is None:
        raise EnvironmentRefused(Problem("docker.image_absent", "", chosen))
    return chosen, found


def image_id(client: Any, image: str) -> str | None:
    """The id of an image that is there."""
    with engine_errors():
        try:
            return str(client.inspect_image(image)["Id"])
        except docker.errors.ImageNotFound:
            return None


def _fetch(client: Any, image: str, report: Callable[[Step], None]) -> None:
    """Pulls the image; where a job does that already, waits for it, and pulls what it could not."""
    show = as_steps(image, report)
    job = running_fetch(pull_order(image))
    if job is not None:
        wait_for(job.folder, show)
    if image_id(client, image) is None:
        pull(client, image, show)
