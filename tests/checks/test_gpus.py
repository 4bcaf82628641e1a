"""What the checklist says of GPUs, asked of a driver that is told what to answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from bert_tui import machine as machine_module
from bert_tui import presets
from bert_tui.checks import gpus
from bert_tui.checks.check import Check
from bert_tui.checks.checklist import check_machine
from bert_tui.checks.runner import Subject, ask_all
from bert_tui.launchers.local import torch_version
from bert_tui.machine import Machine, read_machine
from bert_tui.plan import trial_plan
from bert_tui.runs.registry import link_run
from bert_tui.wizard import choices, defaults
from bert_tui.wizard.session import Session
from tests.conftest import NO_ENGINE
from tests.fake_nvml.library import FakeDriver
from tests.staged_run import StagedRun
from trainer.spec.devices import GpuTrouble, list_gpus, read_gpus
from trainer.spec.preset import Preset, replace
from trainer.spec.preset_file import read_preset
from trainer.spec.records import Request, to_json
from trainer.spec.run_directory import write_whole
from trainer.spec.sizing import GIB

LARGE = replace(
    read_preset(presets.find_preset("bert-340m"), presets.find_preset),
    launch__launcher="docker",
    launch__gpus="all",
    parallel__tensor=1,
)

pytestmark = pytest.mark.compiler


@pytest.fixture
def driver(fake_nvml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE)
    return FakeDriver(fake_nvml, tmp_path, monkeypatch)


def answers(machine: Machine, preset: Preset = LARGE) -> dict[str, Check]:
    return {check.name: check for check in ask_all(gpus.GPU_CHECKS, Subject(preset, machine))}


def troubles(machine: Machine, preset: Preset = LARGE) -> dict[str, str]:
    return {name: check.answer for name, check in answers(machine, preset).items() if check.answer != "pass"}


def uuid(index: int) -> str:
    return f"GPU-00000000-0000-0000-0000-{index:012}"


@pytest.mark.parametrize(
    ("facts", "fault", "answer", "repair"),
    [
        ("init 9", "not-loaded", "fail", "modprobe nvidia"),
        ("init 18", "mismatch", "fail", "reboot"),
        ("init 4", "not-allowed", "fail", "usermod"),
        ("init 12", "no-driver", "fail", "apt install nvidia-driver"),
        ("init 15", "lost", "warn", "reboot"),
        ("init 999", "other", "unknown", "nvidia-smi"),
        ("gpus 1\n0.hang 1", "silent", "unknown", "reboot"),
    ],
)
def test_each_way_in_which_the_driver_fails_is_told_apart(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, facts: str, fault: str, answer: str, repair: str
) -> None:
    monkeypatch.setattr(machine_module, "DRIVER_SECONDS", 0.2)
    driver.tells(facts)
    machine = read_machine()
    check = answers(machine)["gpu.driver"]
    assert (machine.gpu_fault, check.answer) == (fault, answer)
    assert check.meaning
    assert repair in check.repair
    assert troubles(machine).keys() == {"gpu.driver", "gpu.devices"}


@pytest.mark.parametrize("fault", [*(fault for fault in get_args(GpuTrouble) if fault), "silent"])
def test_each_fault_of_the_driver_has_words_of_its_own(fault: str) -> None:
    def seen(fault: str) -> str:
        return gpus.driver(Subject(LARGE, Machine(4, GIB, GIB, gpu_fault=fault))).seen  # type: ignore[arg-type]

    assert seen(fault) not in {seen(other) for other in get_args(GpuTrouble) if other not in ("", fault)}


@pytest.mark.parametrize(
    ("version", "launcher", "answer"),
    [("580.65.06", "docker", "pass"), ("535.1", "docker", "pass"), ("470.82.01", "docker", "fail"),
     ("470.82.01", "local", "pass")],
)  # fmt: skip
def test_a_driver_that_no_image_runs_with_is_a_failure_in_a_container(
    driver: FakeDriver, version: str, launcher: str, answer: str
) -> None:
    driver.tells("gpus 2", f"driver {version}")
    check = answers(read_machine(), replace(LARGE, launch__launcher=launcher))["gpu.driver"]
    assert (check.answer, version in check.seen) == (answer, True)
    assert bool(check.repair) == (answer == "fail")


@pytest.mark.parametrize("facts", ["gpus 1", "gpus 8\nnvlink 1", "gpus 64\nsockets 2\nold 1", "gpus 2\nconsumer 1"])
def test_healthy_gpus_are_one_line_and_no_trouble(driver: FakeDriver, facts: str) -> None:
    driver.tells(facts)
    machine, count = read_machine(), int(facts.split()[1])
    assert troubles(machine) == {}
    assert len(machine.free_gpus) == count
    assert answers(machine)["gpu.devices"].seen.startswith(f"{count} x NVIDIA ")
    assert len(machine.links) == (0 if "consumer" in facts else count * (count - 1) // 2)
    readings, problem = read_gpus()
    assert (len(readings), problem) == (count, "")


def test_no_gpu_behind_a_driver_that_works(driver: FakeDriver) -> None:
    driver.tells("gpus 0")
    assert troubles(read_machine()) == {"gpu.devices": "fail"}


SEEN: list[tuple[str, str, str, str, str]] = [
    # facts, question, answer where GPU 3 is chosen, what is seen, what to type
    ("3.process {pid}", "gpu.busy", "warn", "GPU 3: {pid} python", "nvidia-smi"),
    ("old 1\n3.process 4194999", "gpu.busy", "warn", "GPU 3: 4194999", "nvidia-smi"),
    ("3.process 4194999", "gpu.busy", "warn", "GPU 3: 4194999", "nvidia-smi"),
    ("3.used 60", "gpu.busy", "warn", "GPU 3: 60 GiB taken by what does not show", "nvidia-smi"),
    ("3.mig 1", "gpu.mode", "fail", "GPU 3: split into instances (MIG)", "sudo nvidia-smi -i 3 -mig 0"),
    ("3.mode 2", "gpu.mode", "fail", "GPU 3: closed to programs", "sudo nvidia-smi -i 3 -c DEFAULT"),
    ("3.mode 3", "gpu.mode", "pass", "GPU 3: one program at a time", ""),
    ("3.errors 5", "gpu.errors", "warn", "GPU 3: 5 uncorrected errors", "-d ECC"),
    ("3.remap 1", "gpu.errors", "warn", "GPU 3: repairs itself at its next reset", "--gpu-reset -i 3"),
    ("3.remap 2", "gpu.errors", "warn", "GPU 3: can no longer repair itself", "ROW_REMAPPER"),
    ("3.slow 64\n3.celsius 91", "gpu.heat", "warn", "GPU 3: slowed down by heat at 91 °C", "TEMPERATURE"),
    ("3.slow 128", "gpu.heat", "warn", "GPU 3: slowed down for want of power", "power"),
    ("3.slow 4", "gpu.heat", "pass", "41 °C at most", ""),
    ("3.lost 15", "gpu.lost", "warn", "GPU 3: GPU is lost", "reboot"),
    ("3.lost 16", "gpu.lost", "warn", "GPU 3: GPU requires restart", "--gpu-reset"),
]


@pytest.mark.parametrize(("facts", "name", "answer", "seen", "repair"), SEEN)
def test_one_gpu_in_trouble_is_one_line_that_names_it(
    driver: FakeDriver, facts: str, name: str, answer: str, seen: str, repair: str
) -> None:
    driver.tells("gpus 8", facts.format(pid=os.getpid()))
    machine = read_machine()
    check = answers(machine)[name]
    assert troubles(machine) == ({name: answer} if answer != "pass" else {})
    assert (check.answer, bool(check.meaning)) == (answer, answer != "pass")
    assert seen.format(pid=os.getpid()) in check.seen
    assert repair in check.repair


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ("3.lost 15", "GPU is lost"),
        ("3.mig 1", "MIG"),
        ("3.mode 2", "prohibited"),
        (f"3.process {os.getpid()}", "in use by"),
    ],
)
def test_a_gpu_that_cannot_be_used_cannot_be_chosen_and_says_why(driver: FakeDriver, facts: str, reason: str) -> None:
    driver.tells("gpus 4", facts)
    machine = read_machine()
    offered = choices.gpus(machine)
    assert [choice.title for choice in offered] == [f"GPU {index}" for index in range(4)]
    assert [bool(choice.reason) for choice in offered] == [False, False, False, True]
    assert reason in offered[3].reason
    first = defaults.first_answers(machine, docker_usable=True, environment={})
    assert first.preset.launch.gpus == (uuid(0), uuid(1))
    assert "fail" not in troubles(machine, first.preset).values()


@pytest.mark.parametrize(
    ("facts", "tensor", "answer", "seen"),
    [
        ("nvlink 1\nsockets 2", 8, "pass", "NVLink"),
        ("sockets 1", 8, "pass", "PCIe"),
        ("sockets 2", 4, "pass", "PCIe (12 of 28 pairs), PCIe across processors (16 of 28 pairs)"),
        ("sockets 2", 8, "warn", "PCIe across processors"),
    ],
)
def test_tensor_parallel_across_processors_is_a_caution(
    driver: FakeDriver, facts: str, tensor: int, answer: str, seen: str
) -> None:
    driver.tells("gpus 8", facts)
    check = answers(read_machine(), replace(LARGE, parallel__tensor=tensor))["gpu.links"]
    assert (check.answer, seen in check.seen) == (answer, True)
    assert bool(check.repair) == (answer == "warn")


def test_the_order_in_which_gpus_are_chosen_decides_who_talks_to_whom(driver: FakeDriver) -> None:
    driver.tells("gpus 4", "sockets 2")
    across = replace(LARGE, parallel__tensor=2, launch__gpus=tuple(uuid(index) for index in (0, 2, 1, 3)))
    check = answers(read_machine(), across)["gpu.links"]
    assert check.answer == "warn"
    assert "GPU 0, 2; GPU 1, 3" in check.meaning


def test_the_plan_warns_of_tensor_parallel_across_processors(driver: FakeDriver) -> None:
    driver.tells("gpus 8", "sockets 2")
    machine = read_machine()
    codes = [[problem.code for problem in trial_plan(replace(LARGE, parallel__tensor=size), machine).cautions]
             for size in (4, 8)]  # fmt: skip
    assert ["plan.sockets" in each for each in codes] == [False, True]


def test_answers_kept_from_before_give_up_gpus_that_cannot_be_used_now(driver: FakeDriver, tmp_path: Path) -> None:
    kept = Session(tmp_path / "answers.json")
    driver.tells("gpus 4")
    kept.machine = read_machine()
    kept.settle()
    kept.change(replace(LARGE, launch__gpus="all"))
    driver.tells("gpus 4", "1.mig 1")
    kept.machine = read_machine()
    assert kept.subject().preset.launch.gpus == (uuid(0), uuid(2))
    assert "fail" not in troubles(kept.machine, kept.subject().preset).values()


def test_a_torch_without_gpus_holds_back_gpus_without_a_container_and_nothing_else(driver: FakeDriver) -> None:
    if not (torch_version() or "").endswith("+cpu"):
        pytest.skip("torch here knows GPUs")
    driver.tells("gpus 2")
    checks, suited = check_machine(read_machine())
    assert (suited.preset.launch.launcher, suited.preset.launch.gpus) == ("local", "none")
    assert "fail" not in {check.answer for check in checks}
    wanted, _ = check_machine(read_machine(), ['launch.launcher="local"', 'launch.gpus="all"'])
    assert [check.name for check in wanted if check.answer == "fail"] == ["local.torch"]


def test_gpus_of_a_live_run_are_in_use_by_that_run_until_it_ends(driver: FakeDriver, tmp_path: Path) -> None:
    driver.tells("gpus 2")
    run = StagedRun(tmp_path / "runs")
    write_whole(run.attempt.request, to_json(Request("bert-tiny", {}, "cuda", (uuid(1),), 1, 1)))
    run.prepare("image")
    link_run(run.directory)
    machine = read_machine()
    assert [gpu.run for gpu in machine.gpus] == ["", run.directory.id]
    assert choices.gpus(machine)[1].reason == f"in use by run {run.directory.id}"
    assert f"GPU 1: run {run.directory.id}" in answers(machine)["gpu.busy"].seen
    run.end("finished")
    assert len(read_machine().free_gpus) == 2


def test_a_lost_gpu_is_left_out_of_the_readings_of_a_run_and_named(driver: FakeDriver) -> None:
    driver.tells("gpus 8", "5.lost 15")
    readings, problem = read_gpus()
    assert [reading.index for reading in readings] == [0, 1, 2, 3, 4, 6, 7]
    assert problem == "GPU 5: GPU is lost"


def test_the_verb_check_tells_of_the_gpus_there_are(driver: FakeDriver) -> None:
    driver.tells("gpus 8", "2.lost 15", "3.mig 1")
    environment = {**os.environ, "LD_LIBRARY_PATH": str(driver.library.parent)}
    command = [sys.executable, "-m", "bert_tui", "check", "--json", "--set", 'launch.gpus="all"']
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    checks = {check["name"]: check for check in json.loads(told.stdout)}
    assert checks["gpu.driver"]["seen"] == "NVIDIA 580.65.06"
    assert checks["gpu.devices"]["seen"] == "7 x NVIDIA H100 80GB HBM3, 80 GiB; 6 can be taken"
    assert checks["gpu.lost"]["seen"] == "GPU 2: GPU is lost"
    assert checks["gpu.mode"]["answer"] == "fail"


def test_the_same_trouble_of_several_gpus_is_told_once(driver: FakeDriver) -> None:
    driver.tells("gpus 8", *(f"{index}.mig 1" for index in (0, 2, 5)), "7.mode 2")
    seen = answers(read_machine())["gpu.mode"].seen
    assert seen.startswith("GPU 0, 2, 5: split into instances (MIG); GPU 7: closed")


def test_a_look_at_64_gpus_is_quick(driver: FakeDriver) -> None:
    driver.tells("gpus 64", "sockets 2")
    assert _fastest(list_gpus) < 1.0
    machine = read_machine()
    assert _fastest(lambda: answers(machine)) < 1.0


def _fastest(function: Callable[[], object]) -> float:
    def seconds() -> float:
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    return min(seconds() for _ in range(3))
