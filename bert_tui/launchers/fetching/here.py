"""The images that are on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import docker.errors

from bert_tui.launchers.engine import engine_errors


@dataclass(frozen=True)
class ImageHere:
    """One of them."""

    name: str
    size: int
    """Bytes, unpacked."""
    pytorch: str = ""
    """Its version of PyTorch, as NVIDIA's images tell it; empty where it is not told."""
    cuda: str = ""
    """Its version of CUDA, in the same way."""


def look_up(client: Any, image: str) -> ImageHere | None:
    """The image of this name; None where it is not here.

    Raises:
        EnvironmentRefused: the engine cannot be asked.
    """
    with engine_errors():
        try:
            found = client.inspect_image(image)
        except docker.errors.ImageNotFound:
            return None
    pairs = (text.partition("=") for text in (found.get("Config") or {}).get("Env") or ())
    variables = {name: value for name, _, value in pairs}
    return ImageHere(
        image, int(found.get("Size", 0)), variables.get("PYTORCH_VERSION", ""), variables.get("CUDA_VERSION", "")
    )


def names_here(client: Any) -> list[str]:
    """All names of images, in order.

    Raises:
        EnvironmentRefused: the engine cannot be asked.
    """
    with engine_errors():
        found = client.images()
    return sorted(name for image in found for name in image.get("RepoTags") or () if name != "<none>:<none>")
