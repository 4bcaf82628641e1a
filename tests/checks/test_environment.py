from __future__ import annotations

import threading
import time
from typing import get_args

import pytest

from bert_tui import presets
from bert_tui.checks import environment
from bert_tui.checks.check import Check
from bert_tui.checks.checklist import check_machine
from bert_tui.checks.plan import PLAN_CHECKS
from bert_tui.checks.relevance import judged
from bert_tui.checks.runner import Question, Subject, ask_all, run_checks
from bert_tui.machine import Gpu, Machine, read_machine, usable_cores
from tests.conftest import NO_ENGINE
from trainer.spec.devices import GpuTrouble
from trainer.spec.preset import replace
from trainer.spec.preset_file import read_preset
from trainer.spec.sizing import GIB

TINY = read_preset(presets.find_preset("bert-tiny"), presets.find_preset)
LARGE = replace(TINY, launch__launcher="docker", launch__gpus="all")
BARE = Machine(cores=4, memory_total=16 * GIB, memory_available=12 * GIB, gpu_fault="no-driver")


def test_this_machine_is_read() -> None:
    machine = read_machine()
    assert machine.cores == usable_cores() >= 1
    assert 0 < machine.memory_available <= machine.memory_total


def test_every_question_is_answered_on_this_machine() -> None:
    answers = ask_all(environment.ENVIRONMENT_CHECKS, Subject(TINY, read_machine()))
    assert [answer.name for answer in answers] == [question.name for question in environment.ENVIRONMENT_CHECKS]
    assert all(answer.seen for answer in answers)


def test_no_gpu_and_no_docker_are_no_failure_of_a_run_on_the_cpu() -> None:
    driver = environment.gpu_driver(Subject(TINY, BARE))
    engine = Check("docker.engine", "Docker engine", "fail", "no Docker here", "Containers cannot run.")
    assert driver.answer == "fail"
    assert [judged(check, TINY).answer for check in (driver, engine)] == ["pass", "pass"]
    assert [judged(check, LARGE).answer for check in (driver, engine)] == ["fail", "fail"]


def test_without_a_preset_only_what_suits_the_machine_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE)
    checks, suited = check_machine(BARE)
    answers = {check.name: check for check in checks}
    assert (suited.size, suited.preset.launch.launcher) == ("bert-tiny", "local")
    assert answers["local.torch"].answer == "pass"
    assert answers["gpu.driver"].answer == answers["docker.engine"].answer == "warn"
    assert "only to train in a container" in answers["docker.engine"].meaning
    assert "larger than bert-tiny" in answers["gpu.driver"].meaning
    assert answers["docker.engine"].repair

    in_container, _ = check_machine(BARE, ['launch.launcher="docker"'])
    assert next(check for check in in_container if check.name == "docker.engine").answer == "fail"


@pytest.mark.parametrize("fault", [*(fault for fault in get_args(GpuTrouble) if fault), "silent"])
def test_each_fault_of_the_driver_has_its_own_words_and_a_repair(fault: str) -> None:
    machine = Machine(4, GIB, GIB, gpu_problem="in the driver's words", gpu_fault=fault)  # type: ignore[arg-type]
    check = environment.gpu_driver(Subject(LARGE, machine))
    others = {
        environment.gpu_driver(Subject(LARGE, Machine(4, GIB, GIB, gpu_fault=other))).seen
        for other in get_args(GpuTrouble)
        if other and other != fault
    }
    assert check.answer != "pass"
    assert check.meaning
    assert check.repair
    assert "in the driver's words" in check.seen
    assert check.seen.removesuffix(" (in the driver's words)") not in others


def test_busy_gpus_are_a_caution_and_a_failure_when_all_are() -> None:
    def machine(*busy: bool) -> Machine:
        gpus = (
            Gpu(f"GPU-{i}", i, "NVIDIA A100", 80 * GIB, 80 * GIB, ("4711 python",) if used else ())
            for i, used in enumerate(busy)
        )
        return Machine(4, GIB, GIB, tuple(gpus), "570.1")

    assert environment.gpus(Subject(LARGE, machine(False, False))).answer == "pass"
    some = environment.gpus(Subject(LARGE, machine(False, True)))
    assert (some.answer, "4711 python" in some.meaning) == ("warn", True)
    assert environment.gpus(Subject(LARGE, machine(True, True))).answer == "fail"


def test_a_disk_that_cannot_hold_the_checkpoints_is_a_failure() -> None:
    huge = replace(TINY, model__layers=10_000, model__hidden=65536, model__heads=64, checkpoint__path="/tmp/not/there")
    check = environment.disk(Subject(huge, BARE))
    assert check.answer == "fail"
    assert "/tmp" in check.seen
    assert check.repair


def test_little_memory_is_a_caution() -> None:
    machine = Machine(cores=1, memory_total=16 * GIB, memory_available=GIB)
    assert environment.memory(Subject(TINY, machine)).answer == "warn"
    assert environment.cores(Subject(TINY, machine)).answer == "warn"


def test_answers_come_as_they_are_found_and_a_hanging_question_holds_up_nothing() -> None:
    release = threading.Event()

    def hang(subject: Subject) -> Check:
        release.wait(30)
        return quick(subject)

    def quick(subject: Subject) -> Check:
        return Check("quick", "Quick", "pass", "seen")

    def broken(subject: Subject) -> Check:
        raise OSError("the disk is gone")

    got: list[tuple[str, str, float]] = []
    start = time.monotonic()
    questions = [Question("slow", "Slow", hang, 0.3), Question("quick", "Quick", quick), Question("bad", "Bad", broken)]
    threads = run_checks(
        questions, Subject(TINY, BARE), lambda c: got.append((c.name, c.answer, time.monotonic() - start))
    )
    for thread in threads:
        thread.join(10)
    release.set()
    assert {(name, answer) for name, answer, _ in got} == {("quick", "pass"), ("bad", "unknown"), ("slow", "unknown")}
    assert got[-1][0] == "slow"
    assert all(thread.daemon for thread in threads)


def test_what_is_hardly_meant_is_a_caution_of_the_checklist() -> None:
    slow = replace(TINY, train__steps=10**8, train__learning_rate=5.0)
    answers = ask_all(PLAN_CHECKS, Subject(slow, BARE))
    assert [answer.answer for answer in answers] == ["warn", "warn"]
    assert all(answer.meaning and answer.repair for answer in answers)
    assert [answer.answer for answer in ask_all(PLAN_CHECKS, Subject(TINY, BARE))] == ["pass", "pass"]
