"""What the Docker Engine tells of itself, as facts: its answers to ``version`` and ``info``, read in one place.

Field names as in the Engine API (docs.docker.com/reference/api/engine). Older engines and Podman leave some of them
out; what is not told counts as absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bert_tui.launchers.engine import address, connect, engine_errors, is_podman, remapping

CONTAINERD_STORE = "io.containerd.snapshotter.v1"
"""The driver type of an engine that keeps images in containerd: the default of new installations from 29 on."""
CONTAINERD_FOLDER = "/var/lib/containerd"
"""Where containerd keeps them; the engine's own root then holds only containers' files."""


@dataclass(frozen=True)
class EngineFacts:
    """One engine."""

    address: str
    version: str
    """As "28.2.2"."""
    api: tuple[int, int]
    """Newest version of its interface, as (1, 50)."""
    architecture: str
    """As images name it: "amd64", "arm64"."""
    podman: bool
    system: str
    """The operating system it runs on, as "Debian GNU/Linux 12 (bookworm)" or "Docker Desktop"."""
    storage: str
    """The storage driver."""
    root: str
    """The engine's own folder."""
    image_folder: str
    """Where the layers of images lie."""
    remapped: str
    """As :func:`~bert_tui.launchers.engine.remapping`."""
    selinux: bool
    """Whether it labels containers for SELinux."""
    runtimes: frozenset[str]
    nvidia_devices: tuple[str, ...]
    """CDI names of GPUs without the vendor's prefix, as "0", "GPU-8f7a..." and "all"; empty before 28.2."""
    memory: int
    """Bytes of the machine it runs on."""
    memory_limit: bool
    """Whether it can limit the memory of a container."""
    live_restore: bool
    """Whether containers go on while it is restarted."""
    warnings: tuple[str, ...]
    """What it has to remark on itself."""


def ask_engine() -> EngineFacts:
    """Asks the engine at the usual address.

    Raises:
        EnvironmentRefused: it cannot be reached; see :func:`~bert_tui.launchers.engine.connect`.
    """
    client = connect()
    with engine_errors():
        return facts_of(address(), client.version(), client.info())


def facts_of(engine: str, version: Mapping[str, Any], info: Mapping[str, Any]) -> EngineFacts:
    """The facts in an engine's answers."""
    prefix = "nvidia.com/gpu="
    devices = (str(device.get("ID", "")) for device in info.get("DiscoveredDevices") or ())
    root = str(info.get("DockerRootDir", ""))
    options = _names(info.get("SecurityOptions") or ())
    return EngineFacts(
        address=engine,
        version=str(version.get("Version", "")),
        api=_api(str(version.get("ApiVersion", ""))),
        architecture=str(version.get("Arch", "")),
        podman=is_podman(dict(version)),
        system=str(info.get("OperatingSystem", "")),
        storage=str(info.get("Driver", "")),
        root=root,
        image_folder=CONTAINERD_FOLDER if _keeps_images_in_containerd(info) else root,
        remapped=remapping(dict(info)),
        selinux="selinux" in options,
        runtimes=frozenset(info.get("Runtimes") or ()),
        nvidia_devices=tuple(device.removeprefix(prefix) for device in devices if device.startswith(prefix)),
        memory=int(info.get("MemTotal", 0)),
        memory_limit=bool(info.get("MemoryLimit", True)),
        live_restore=bool(info.get("LiveRestoreEnabled", False)),
        warnings=tuple(str(warning).removeprefix("WARNING: ") for warning in info.get("Warnings") or ()),
    )


def _api(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)


def _names(options: Any) -> set[str]:
    """Of security options, which are written "name=NAME,key=value"."""
    return {str(option).partition(",")[0].removeprefix("name=") for option in options}


def _keeps_images_in_containerd(info: Mapping[str, Any]) -> bool:
    return ["driver-type", CONTAINERD_STORE] in [list(pair) for pair in info.get("DriverStatus") or ()]
