"""The image a run trains in: NVIDIA's for the driver, a small one built for CPUs, or the operator's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

import docker.errors
from docker.utils import parse_repository_tag

from bert_tui.launchers.cpu_image import CPU_IMAGE, build_cpu_image, cpu_image_name
from bert_tui.launchers.engine import connect, engine_errors, explain
from bert_tui.launchers.protocol import Step
from bert_tui.machine import read_machine
from trainer.spec.problem import EnvironmentRefused, Problem

PULL_SILENCE = 900
"""Seconds for which a pull may show nothing: the engine is silent while it unpacks a large layer."""
REPORT_EVERY = 0.25

NVIDIA_IMAGES: tuple[tuple[int, str], ...] = (
    (580, "nvcr.io/nvidia/pytorch:26.09-py3"),
    (525, "nvcr.io/nvidia/pytorch:25.02-py3"),
)
"""Lowest major version of the driver, newest image first.

26.09 has CUDA 13, which needs driver 580; 25.02 has CUDA 12.8, and every CUDA 12 runs on driver 525
(docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html).
"""


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


def expected_image(image: str, gpus_wanted: bool) -> str:
    """The full name that :func:`prepare_image` would give, without building or pulling anything.

    Raises:
        EnvironmentRefused: it cannot be told: no engine, no base image, no driver.
    """
    chosen = _chosen(image, gpus_wanted)
    return cpu_image_name(connect()) if chosen == CPU_IMAGE else chosen


def prepare_image(image: str, gpus_wanted: bool, report: Callable[[Step], None]) -> tuple[str, str]:
    """Builds the CPU image or pulls the image, unless it is there; gives its name and id.

    Raises:
        EnvironmentRefused: it cannot be had.
    """
    chosen = _chosen(image, gpus_wanted)
    client = connect(seconds=PULL_SILENCE)
    if chosen == CPU_IMAGE:
        chosen = build_cpu_image(client, report)
    elif image_id(client, chosen) is None:
        pull(client, chosen, report)
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


def pull(client: Any, image: str, report: Callable[[Step], None]) -> None:
    """Pulls an image, reporting bytes over all layers.

    Raises:
        EnvironmentRefused: the registry cannot be reached or does not give it, or the disk is full.
    """
    repository, tag = parse_repository_tag(image)
    layers: dict[str, tuple[int, int]] = {}
    reported = 0.0
    report(Step(f"pulling {image}"))
    with engine_errors():
        for event in client.pull(repository, tag or "latest", stream=True, decode=True):
            if "error" in event:
                raise EnvironmentRefused(explain(event["error"]))
            _note_layer(layers, event)
            if time.monotonic() - reported >= REPORT_EVERY:
                reported = time.monotonic()
                done, total = (sum(column) for column in zip(*layers.values(), strict=True)) if layers else (0, 0)
                report(Step(f"pulling {image}: {event.get('status', '')}", done, total, "B"))


def _note_layer(layers: dict[str, tuple[int, int]], event: Mapping[str, Any]) -> None:
    """Bytes fetched and bytes in all, a layer. Unpacking counts from nothing again and is left out."""
    layer, progress = event.get("id", ""), event.get("progressDetail") or {}
    if event.get("status") == "Downloading" and "total" in progress:
        layers[layer] = (progress["current"], progress["total"])
    elif event.get("status") in ("Download complete", "Pull complete") and layer in layers:
        layers[layer] = (layers[layer][1], layers[layer][1])


def _chosen(image: str, gpus_wanted: bool) -> str:
    if image.partition(":")[0] == CPU_IMAGE:
        return CPU_IMAGE
    if image != "auto":
        return image
    return choose_image(read_machine().driver, "cuda") if gpus_wanted else CPU_IMAGE
