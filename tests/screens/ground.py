"""Machines and checks with known facts, and the application on top of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from textual.css.query import NoMatches
from textual.pilot import Pilot

from bert_tui.app import BertTui
from bert_tui.checks.check import Check
from bert_tui.checks.runner import Question, Subject
from bert_tui.machine import Gpu, Machine
from bert_tui.screens.welcome import FoundRuns
from trainer.spec.preset import Preset
from trainer.spec.sizing import GIB

LAPTOP = Machine(cores=4, memory_total=16 * GIB, memory_available=12 * GIB, gpu_fault="no-driver")
SERVER = Machine(
    cores=64,
    memory_total=512 * GIB,
    memory_available=480 * GIB,
    gpus=tuple(Gpu(f"GPU-{index}", index, "NVIDIA A100-SXM4-80GB", 80 * GIB, 79 * GIB) for index in range(8)),
    driver="570.124.06",
)


def asks(*checks: Check) -> tuple[Question, ...]:
    """Questions with these answers."""

    def question(check: Check) -> Question:
        return Question(check.name, check.title, lambda subject: check)

    return tuple(question(check) for check in checks)


def check_of(question: Question) -> Check:
    """The answer that :func:`asks` put into a question."""
    return question.ask(Subject(Preset(), LAPTOP))


LAPTOP_CHECKS = asks(
    Check("system.os", "Operating system", "pass", "Debian GNU/Linux 12 (bookworm), Python 3.11.7"),
    Check("system.memory", "Memory", "pass", "12.0 GiB free of 16.0 GiB"),
    Check(
        "system.disk", "Disk", "warn", "0.6 GiB free at /data, 0.4 GiB needed", "Little room is left.", "df -h /data"
    ),
    Check("gpu.driver", "GPU driver", "fail", "no NVIDIA driver", "GPUs cannot be used.", "apt install nvidia-driver"),
    Check("local.torch", "PyTorch", "pass", "torch 2.13.0+cpu"),
    Check(
        "docker.engine", "Docker engine", "fail", "no Docker here", "Containers cannot run.", "apt install docker.io"
    ),
)
SERVER_CHECKS = asks(
    Check("system.os", "Operating system", "pass", "Ubuntu 24.04.1 LTS, Python 3.12.3"),
    Check("system.cores", "Processor", "pass", "64 usable cores"),
    Check("system.memory", "Memory", "pass", "480.0 GiB free of 512.0 GiB"),
    Check("system.limits", "Limits", "pass", "1,048,576 open files, 64 MiB of locked memory"),
    Check("gpu.driver", "GPU driver", "pass", "NVIDIA 570.124.06"),
    Check("gpu.devices", "GPUs", "pass", "8 x NVIDIA A100-SXM4-80GB, 80 GiB"),
    Check("gpu.busy", "GPUs in use", "pass", "none"),
    Check(
        "gpu.heat",
        "GPU temperature",
        "warn",
        "GPU 3: slowed down by heat at 91 °C",
        "It computes more slowly, and all others wait for it.",
        "nvidia-smi -q -d TEMPERATURE,PERFORMANCE; then look at fans, filters and power",
    ),
    Check("gpu.links", "Links between GPUs", "pass", "NVLink"),
    Check(
        "local.torch", "PyTorch", "fail", "not installed", "Nothing trains without a container.", "pip install torch"
    ),
    Check("local.shm", "Shared memory", "pass", "256.0 of 256.0 GiB free at /dev/shm"),
    Check("docker.engine", "Docker engine", "pass", "Docker Engine 28.2.2, storage overlay2"),
    Check(
        "docker.shm", "Shared memory", "unknown", "no answer within 5 s", "It could not be looked at.", "Check again."
    ),
    Check("docker.disk", "Docker's disk", "pass", "812 GiB free at /var/lib/docker"),
    Check(
        "session.line",
        "Session",
        "pass",
        "over SSH",
        "If the line drops, the run goes on; bert-tui shows it again.",
        "To come back to this very screen: tmux new -A -s bert",
    ),
    Check("session.terminal", "Terminal", "pass", "80 x 24"),
)


def laptop_app(**borders: Any) -> BertTui:
    """On a machine without GPU and Docker."""
    return app_on(LAPTOP, LAPTOP_CHECKS, **borders)


def server_app(**borders: Any) -> BertTui:
    """On a machine with eight GPUs and Docker."""
    return app_on(SERVER, SERVER_CHECKS, **borders)


def real_app() -> BertTui:
    """On this machine, as it is."""
    return BertTui()


def app_on(machine: Machine, questions: tuple[Question, ...], **borders: Any) -> BertTui:
    """On any machine."""
    defaults: dict[str, Any] = {
        "find_runs": FoundRuns,
        "describe": lambda plan: f"run {plan.name}",
        "last_questions": (),
    }
    return BertTui(machine=machine, questions=questions, **(defaults | borders))


async def settled(pilot: Pilot[int], seconds: float = 20.0) -> BertTui:
    """Waits until the machine was looked at and every check answered."""
    app = pilot.app
    assert isinstance(app, BertTui)
    for _ in range(int(seconds / 0.05)):
        if app.session.settled:
            break
        await pilot.pause(0.05)
    assert app.session.settled
    await pilot.pause()
    return app


async def until(pilot: Pilot[int], condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits for what a slow machine needs time for. What is not mounted yet does not hold yet."""
    for _ in range(int(seconds / 0.05)):
        with contextlib.suppress(NoMatches):
            if condition():
                return
        await pilot.pause(0.05)
    assert condition()


async def reach(pilot: Pilot[int], screen: str, seconds: float = 10.0) -> None:
    """Waits until the screen of this class shows."""
    for _ in range(int(seconds / 0.05)):
        if type(pilot.app.screen).__name__ == screen:
            break
        await pilot.pause(0.05)
    assert type(pilot.app.screen).__name__ == screen
    await pilot.pause(0.1)
