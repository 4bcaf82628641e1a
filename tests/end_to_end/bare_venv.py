"""A Python with chosen distributions and nothing else, made in a second and without a network."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement


def bare_venv(folder: Path, *distributions: str) -> Path:
    """A Python with these distributions and what they require, linked from this one's; nothing else."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    target = next((folder / "lib").glob("python3*")) / "site-packages"
    here = Path(sysconfig.get_paths()["purelib"])
    for name in closure(distributions):
        for file in metadata.distribution(name).files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (target / top).exists():
                (target / top).symlink_to(here / top)
    return folder / "bin" / "python"


def closure(names: tuple[str, ...]) -> set[str]:
    """Distributions and everything they require here."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found
