"""Room for images on the engine's disk."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bert_tui.launchers.fetching.progress import FetchProgress
from trainer.spec.problem import EnvironmentRefused, Problem
from trainer.spec.sizing import GIB

NVIDIA_IMAGE_BYTES = 25 * GIB
"""Room for an NVIDIA PyTorch image while it is unpacked; unpacked it has about 20 GB."""

CONTAINERD_STORE = "io.containerd.snapshotter.v1"
"""The driver type of an engine that keeps images in containerd: the default of new installations from 29 on."""
CONTAINERD_FOLDER = "/var/lib/containerd"


@dataclass(frozen=True)
class ImageDisk:
    """Where the engine keeps images."""

    folder: str
    free: int | None
    """Bytes; None where the folder is not to be seen from here, as with an engine in a machine of its own."""


def image_disk(info: Mapping[str, Any]) -> ImageDisk:
    """By the engine's answer to ``info``."""
    folder = CONTAINERD_FOLDER if keeps_layers(info) else str(info.get("DockerRootDir", ""))
    try:
        return ImageDisk(folder, shutil.disk_usage(folder).free)
    except OSError:
        return ImageDisk(folder, None)


def keeps_layers(info: Mapping[str, Any]) -> bool:
    """Whether the layers of a pull that was ended are kept for the next one. Engines with containerd's store keep them
    for a day; the older store forgets every layer that belongs to no whole image (seen with Engine 20.10, overlay2)."""
    return any(CONTAINERD_STORE in pair for pair in info.get("DriverStatus") or ())


def needed_bytes(image: str) -> int:
    """What the image takes while it is fetched and unpacked, as far as that is known beforehand: registries tell a
    size only layer by layer. 0 for images of one's own."""
    return NVIDIA_IMAGE_BYTES if image.startswith("nvcr.io/nvidia/pytorch:") else 0


def require_room(needed: int, disk: ImageDisk) -> None:
    """Refuses what surely does not fit.

    Raises:
        EnvironmentRefused: less than ``needed`` bytes are free.
    """
    if disk.free is not None and needed > disk.free:
        facts = {"needed": f"{needed / GIB:.1f}", "free": f"{disk.free / GIB:.1f}"}
        raise EnvironmentRefused(Problem("docker.no_room", disk.folder, "", facts))


def least_bytes(progress: FetchProgress) -> int:
    """What a pull still takes at the least: layers grow when they are unpacked, and their packed form goes then."""
    return progress.total_bytes - progress.done_bytes
