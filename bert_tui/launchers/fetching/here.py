"""The images that are on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import docker.errors

from bert_tui.launchers.engine import engine_errors


@dataclass(frozen=True)
class ImageHere:
    """One of them."""

    name: str
    size: int
    """Bytes, unpacked."""
    identity: str = ""
    """The digest by which its registry knows it, else the engine's id."""
    architecture: str = ""
    """As "amd64"; empty where it is not told."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What every container of it has in its environment."""

    @property
    def pytorch(self) -> str:
        """Its version of PyTorch, as NVIDIA's images tell it; empty where it is not told."""
        return self.environment.get("PYTORCH_VERSION", "")

    @property
    def cuda(self) -> str:
        """Its version of CUDA, in the same way."""
        return self.environment.get("CUDA_VERSION", "")


def look_up(client: Any, name: str) -> ImageHere | None:
    """The image of this name; None where it is not here.

    Raises:
        EnvironmentRefused: the engine cannot be asked.
    """
    with engine_errors():
        try:
            found = client.inspect_image(name)
        except docker.errors.ImageNotFound:
            return None
    digests = [str(digest).partition("@")[2] for digest in found.get("RepoDigests") or ()]
    pairs = (text.partition("=") for text in (found.get("Config") or {}).get("Env") or ())
    return ImageHere(
        name=name,
        size=int(found.get("Size", 0)),
        identity=digests[0] if digests else str(found["Id"]),
        architecture=str(found.get("Architecture", "")),
        environment={variable: value for variable, _, value in pairs},
    )


def names_here(client: Any) -> list[str]:
    """All names of images, in order.

    Raises:
        EnvironmentRefused: the engine cannot be asked.
    """
    with engine_errors():
        found = client.images()
    return sorted(name for image in found for name in image.get("RepoTags") or () if name != "<none>:<none>")
