"""What some tests stand on: a Docker Engine, a test sshd, a C compiler.

A test marked ``docker``, ``ssh`` or ``compiler`` is skipped with the reason where its ground is absent. CI forbids
that: there BERT_TUI_FORBID_SKIPS=docker,ssh,compiler turns the skip into a failure.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from trainer.spec.problem import EnvironmentRefused

SSH_CONFIG = "BERT_TUI_TEST_SSH_CONFIG"
SSH_HOST = "bert-tui-test"

NO_ENGINE = "unix:///nowhere/docker.sock"
"""DOCKER_HOST of tests that no run in somebody's container may disturb: containers are found by their labels."""

_not_run: Counter[tuple[str, str]] = Counter()
"""Tests that were skipped, by ground and reason; for the last lines of the report."""


def _lacking_docker() -> str:
    """Why tests on the engine cannot run; empty if they can."""
    from bert_tui.launchers.cpu_image import base_image
    from bert_tui.launchers.engine import connect
    from bert_tui.launchers.image import image_id

    try:
        there = image_id(connect(), base_image()) is not None
    except EnvironmentRefused as refusal:
        return str(refusal)
    return "" if there else f"no base image {base_image()} (BERT_TUI_BASE_IMAGE names another)"


def _lacking_ssh() -> str:
    """Why tests over ssh cannot run; empty if they can."""
    config = os.environ.get(SSH_CONFIG, "")
    if not config:
        return f"{SSH_CONFIG} names no ssh configuration with a host {SSH_HOST}"
    try:
        result = subprocess.run(
            ["ssh", "-F", config, SSH_HOST, "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return result.stderr.strip() if result.returncode else ""


def _lacking_compiler() -> str:
    """Why nothing can be compiled; empty if it can."""
    compiler = os.environ.get("CC", "cc")
    return "" if shutil.which(compiler) else f"no C compiler {compiler} (CC names another)"


_GROUNDS: dict[str, Callable[[], str]] = {
    "docker": functools.cache(_lacking_docker),
    "ssh": functools.cache(_lacking_ssh),
    "compiler": functools.cache(_lacking_compiler),
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    forbidden = os.environ.get("BERT_TUI_FORBID_SKIPS", "").split(",")
    for ground, lacking in _GROUNDS.items():
        if item.get_closest_marker(ground) is None or not (reason := lacking()):
            continue
        if ground in forbidden:
            pytest.fail(f"{ground} may not be skipped here, but: {reason}", pytrace=False)
        _not_run[ground, reason] += 1
        pytest.skip(f"{ground}: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for (ground, reason), count in sorted(_not_run.items()):
        terminalreporter.write_line(f"{count} tests that need {ground} were not run: {reason}", yellow=True)


@pytest.fixture(scope="session")
def ssh_command() -> list[str]:
    """The beginning of a command line that logs in to the test sshd; for tests marked ``ssh``."""
    return ["ssh", "-F", os.environ[SSH_CONFIG], SSH_HOST]


@pytest.fixture(scope="session")
def fake_nvml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fake of NVIDIA's ``libnvidia-ml.so.1``, alone in its folder; for tests marked ``compiler``."""
    from tests.fake_nvml.library import compile_library

    return compile_library(tmp_path_factory.mktemp("nvml"))


@pytest.fixture(scope="session")
def cpu_image() -> str:
    """The CPU image, built if this machine has not got it yet (about a minute); for tests marked ``docker``."""
    from bert_tui.launchers.image import prepare_image

    name, _ = prepare_image("auto", False, lambda step: None)
    return name
