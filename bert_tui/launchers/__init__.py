"""What starts processes: a container or this machine."""

from __future__ import annotations

from bert_tui.launchers.protocol import Launcher


def launcher_named(name: str) -> Launcher:
    """The launcher of a preset's ``launch.launcher``; imports it only now."""
    if name == "docker":
        from bert_tui.launchers.docker import DockerLauncher

        return DockerLauncher()
    if name == "local":
        from bert_tui.launchers.local import LocalLauncher

        return LocalLauncher()
    raise ValueError(f"no such launcher: {name}")
