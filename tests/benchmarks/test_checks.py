"""How long the checklist takes: the look at the machine, and each question, with GPUs of a fake driver."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bert_tui.checks.checklist import MACHINE_CHECKS
from bert_tui.checks.runner import Subject, answer, ask_all
from bert_tui.machine import read_machine
from bert_tui.wizard import defaults
from tests.conftest import NO_ENGINE
from tests.fake_nvml.library import FakeDriver

GOAL = 2.0
"""Seconds for the whole checklist, where nothing hangs."""
WIDE = 5
"""How many times worse than its goal a figure may be before the test fails: this machine may be busy."""


@pytest.mark.benchmark
@pytest.mark.compiler
def test_time_of_the_checklist(
    fake_nvml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE)
    driver = FakeDriver(fake_nvml, tmp_path, monkeypatch)
    lines, whole = [], 0.0
    for gpus in (0, 1, 8, 64):
        driver.tells(f"gpus {gpus}", "sockets 2")
        machine = read_machine()
        subject = Subject(defaults.first_answers(machine, docker_usable=True, environment={}).preset, machine)
        look, asked = _fastest(read_machine), _fastest(partial(ask_all, MACHINE_CHECKS, subject))
        whole = max(whole, look + asked)
        lines.append(f"{gpus:2} GPUs: look {1e3 * look:6.1f} ms, {len(MACHINE_CHECKS)} questions {1e3 * asked:6.1f} ms")
    each = {question.name: _fastest(lambda question=question: answer(question, subject)) for question in MACHINE_CHECKS}  # type: ignore[misc]
    slowest = sorted(each.items(), key=lambda item: -item[1])[:5]
    lines.append("slowest: " + ", ".join(f"{name} {1e3 * seconds:.1f} ms" for name, seconds in slowest))
    with capsys.disabled():
        print("", *lines, sep="\n")
    assert whole < GOAL * WIDE


def _fastest(function: Callable[[], object]) -> float:
    def seconds() -> float:
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    return min(seconds() for _ in range(3))
