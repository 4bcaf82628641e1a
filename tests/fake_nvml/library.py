"""The fake of NVIDIA's library, compiled, and put where pynvml looks for the real one."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

import pynvml
import pytest

SOURCE = Path(__file__).with_name("nvml.c")


def compile_library(folder: Path) -> Path:
    """``libnvidia-ml.so.1`` in ``folder``; LD_LIBRARY_PATH may name that folder."""
    library = folder / "libnvidia-ml.so.1"
    command = [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*command, "-o", str(library), str(SOURCE)], check=True, timeout=60)
    return library


class FakeDriver:
    """A driver in this process; the facts of its machine can change between two looks."""

    def __init__(self, library: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.library = library
        self.facts = folder / "nvml.txt"
        monkeypatch.setenv("FAKE_NVML", str(self.facts))
        monkeypatch.setattr(pynvml, "nvmlLib", ctypes.CDLL(str(library)))
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})

    def tells(self, *facts: str) -> None:
        """What the driver answers from its next initialisation on; nvml.c lists the facts."""
        self.facts.write_text("\n".join(facts) + "\n", encoding="ascii")
