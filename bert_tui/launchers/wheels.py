"""Fetches the packages of the CPU image with pip, for a Python that is not this one."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bert_tui.launchers.protocol import Step
from bert_tui.places import cache_folder
from trainer.spec.problem import EnvironmentRefused, Problem

TORCH_INDEX = "BERT_TUI_TORCH_INDEX"
"""Environment variable: an extra package index, such as PyTorch's own with the small builds of torch for CPUs."""


@dataclass(frozen=True)
class BasePython:
    """The Python that the packages are for."""

    version: str
    """As "3.11"."""
    machine: str
    """As "x86_64"."""
    glibc: str
    """Version of its C library, as "2.36"."""


def _wheels_folder() -> Path:
    """Where wheels are kept between builds; made if need be."""
    folder = cache_folder() / "wheels"
    folder.mkdir(exist_ok=True)
    return folder


def fetch_wheels(requirements: bytes, python: BasePython, report: Callable[[Step], None]) -> Path:
    """A folder with wheels of everything that ``requirements`` (the text of a requirements file) needs.

    Raises:
        EnvironmentRefused: pip could not fetch them.
    """
    index = os.environ.get(TORCH_INDEX, "")
    key = hashlib.sha256(b"\0".join([requirements, repr(python).encode(), index.encode()])).hexdigest()[:12]
    folder = _wheels_folder() / key
    if folder.is_dir():
        return folder
    with tempfile.TemporaryDirectory(dir=_wheels_folder(), prefix=".fetching-") as name:
        beside = Path(name)
        listed = beside / "requirements.txt"
        listed.write_bytes(requirements)
        _run_pip([*_download(python, index), "--dest", str(beside / "wheels"), "--requirement", str(listed)], report)
        (beside / "wheels").rename(folder)
    return folder


def platforms(python: BasePython) -> list[str]:
    """The platform tags of wheels that run there, newest first (PEP 600)."""
    newest = int(python.glibc.split(".")[1])
    names = [f"manylinux_2_{minor}_{python.machine}" for minor in range(newest, 4, -1)]
    return [*names, f"manylinux2014_{python.machine}", f"linux_{python.machine}"]


def _download(python: BasePython, index: str) -> Iterator[str]:
    yield from ("download", "--disable-pip-version-check", "--no-input", "--progress-bar", "off")
    yield from ("--only-binary", ":all:", "--implementation", "cp", "--python-version", python.version)
    for platform in platforms(python):
        yield from ("--platform", platform)
    if index:
        yield from ("--extra-index-url", index)


def _run_pip(arguments: list[str], report: Callable[[Step], None]) -> None:
    command = [sys.executable, "-m", "pip", *arguments]
    last = error = ""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        assert pip.stdout is not None
        try:
            for line in map(str.strip, pip.stdout):
                last = line or last
                error = line if line.startswith("ERROR:") else error
                report(Step(line))
        except BaseException:
            pip.kill()
            raise
    if pip.returncode != 0:
        raise EnvironmentRefused(Problem("docker.wheels", "", error or last or f"pip ended with {pip.returncode}"))
