from __future__ import annotations

import resource
import threading
import time
from pathlib import Path

import pytest

from bert_tui import presets
from bert_tui.checks import disk, groups, local
from bert_tui.checks import machine as machine_checks
from bert_tui.checks.check import Answer, Check, Finding
from bert_tui.checks.checklist import check_machine
from bert_tui.checks.gpus import GPU_CHECKS
from bert_tui.checks.local import LOCAL_CHECKS
from bert_tui.checks.plan import PLAN_CHECKS
from bert_tui.checks.relevance import judged
from bert_tui.checks.runner import Question, Subject, ask_all, run_checks
from bert_tui.checks.session import SESSION_CHECKS, describe_line
from bert_tui.machine import Machine, read_machine, usable_cores
from tests.conftest import NO_ENGINE
from trainer.spec import scalar_tags
from trainer.spec.metrics_file import COLUMNS
from trainer.spec.preset import Preset, replace
from trainer.spec.preset_file import read_preset
from trainer.spec.sizing import GIB

EVENT_FRAME = 16
"""Length and checksums around each record of TensorBoard's files."""
TINY = read_preset(presets.find_preset("bert-tiny"), presets.find_preset)
LARGE = replace(TINY, launch__launcher="docker", launch__gpus="all")
CHECKS = (*machine_checks.SYSTEM_CHECKS, *GPU_CHECKS, *LOCAL_CHECKS, *SESSION_CHECKS)
BARE = Machine(cores=4, memory_total=16 * GIB, memory_available=12 * GIB, gpu_fault="no-driver")


def test_this_machine_is_read() -> None:
    machine = read_machine()
    assert machine.cores == usable_cores() >= 1
    assert 0 < machine.memory_available <= machine.memory_total


def test_every_question_is_answered_on_this_machine() -> None:
    answers = ask_all(CHECKS, Subject(TINY, read_machine()))
    assert [answer.name for answer in answers] == [question.name for question in CHECKS]
    assert all(answer.seen for answer in answers)


def test_no_gpu_and_no_docker_are_no_failure_of_a_run_on_the_cpu() -> None:
    driver = next(question for question in GPU_CHECKS if question.name == "gpu.driver").ask(Subject(TINY, BARE))
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


def test_a_disk_that_cannot_hold_the_checkpoints_is_a_failure() -> None:
    huge = replace(TINY, model__layers=10_000, model__hidden=65536, model__heads=64, checkpoint__path="/tmp/not/there")
    check = disk.checkpoint_disk(Subject(huge, BARE))
    assert check.answer == "fail"
    assert "/tmp" in check.seen
    assert check.repair


def test_little_memory_is_a_caution() -> None:
    machine = Machine(cores=1, memory_total=16 * GIB, memory_available=GIB)
    assert machine_checks.memory(Subject(TINY, machine)).answer == "warn"
    assert machine_checks.cores(Subject(TINY, machine)).answer == "warn"


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


def test_the_two_disks_share_what_is_needed_where_they_are_one(tmp_path: Path) -> None:
    steps = replace(TINY, train__steps=10**7, checkpoint__path=str(tmp_path), logs__tensorboard_path=str(tmp_path))
    together, apart = disk.log_disk(Subject(steps, BARE)), disk.log_disk(Subject(over(steps, "/dev/shm"), BARE))
    assert together.seen == "on the disk of the checkpoints"
    assert ("/dev/shm" in apart.seen, "5.6 GiB needed" in apart.seen) == (True, True)
    both, one = (disk.checkpoint_disk(Subject(preset, BARE)).seen for preset in (steps, over(steps, "/dev/shm")))
    assert both != one


def over(preset: Preset, logs: str) -> Preset:
    return replace(preset, logs__tensorboard_path=logs)


def test_a_step_takes_no_more_room_than_the_check_counts() -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    tags = [text for name, text in vars(scalar_tags).items() if name.isupper() and name != "PRESET_TEXT"]
    values = [Summary.Value(tag=tag, simple_value=1 / 3) for tag in tags]
    event = Event(step=10**7, wall_time=1.8e9, summary=Summary(value=values))
    assert len(event.SerializeToString()) + EVENT_FRAME <= disk.EVENT_BYTES
    assert 8 * len(COLUMNS) <= disk.METRICS_BYTES


def test_small_limits_are_cautions_that_say_what_to_type() -> None:
    def under(which: int, soft: int) -> Finding:
        before = resource.getrlimit(which)
        resource.setrlimit(which, (soft, before[1]))
        try:
            return machine_checks.limits(Subject(TINY, BARE))
        finally:
            resource.setrlimit(which, before)

    found = [
        under(resource.RLIMIT_NOFILE, 256), under(resource.RLIMIT_MEMLOCK, 4096), under(resource.RLIMIT_FSIZE, 2**30),
    ]  # fmt: skip
    assert [each.answer for each in found] == ["warn"] * 3
    assert ["256 open files" in found[0].seen, "4 KiB" in found[1].seen, "1,024 MiB" in found[2].seen] == [True] * 3
    assert all(each.meaning and each.repair for each in found)


def test_a_clock_that_was_never_set_is_a_caution(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine_checks.clock(Subject(TINY, BARE)).answer == "pass"
    monkeypatch.setattr(time, "localtime", lambda: time.struct_time((1970, 1, 1, 0, 4, 0, 3, 1, 0)))
    assert machine_checks.clock(Subject(TINY, BARE)).answer == "warn"


def test_little_shared_memory_is_a_caution_for_gpus_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(local, "SHARED_MEMORY", tmp_path / "absent")
    assert local.shared_memory(Subject(LARGE, BARE)).answer == "warn"
    monkeypatch.setattr(local, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(local, "SMALL_SHARED_MEMORY", 2**80)
    assert local.shared_memory(Subject(LARGE, BARE)).answer == "warn"
    assert local.shared_memory(Subject(TINY, BARE)).answer == "pass"


def test_the_line_is_described_and_tmux_advised_over_ssh() -> None:
    over_ssh = {"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}
    assert "tmux new" in describe_line(over_ssh, tmux_installed=True).repair
    assert describe_line(over_ssh, tmux_installed=False).repair == describe_line({}, tmux_installed=True).repair == ""
    held = describe_line(over_ssh | {"STY": "1.pts"}, tmux_installed=True)
    assert (held.seen, held.meaning) == ("over SSH, in screen", "")


def test_what_needs_attention_stands_first_and_the_rest_is_folded_by_subject() -> None:
    questions = [Question(name, name, lambda subject: Check("", "", "pass", "")) for name in NAMES]
    checks = {name: Check(name, name, answer, f"seen {name}") for name, answer in zip(NAMES, ANSWERS, strict=True)}

    def lines(*opened: str) -> list[tuple[str, str | None, bool]]:
        return [(row.key, row.answer, row.group) for row in groups.rows(questions, checks, opened)]

    folded = [
        ("docker.engine", "fail", False), ("system.disk", "warn", False), ("gpu.heat", "unknown", False),
        ("system", "pass", True), ("gpu.driver", "pass", False), ("docker", None, True),
    ]  # fmt: skip
    questions.append(Question("docker.image", "", lambda subject: Check("", "", "pass", "")))
    assert lines() == folded
    opened = lines("system")
    assert opened[3:6] == [("system", "pass", True), ("system.os", "pass", False), ("system.cores", "pass", False)]
    assert groups.rows(questions, checks)[3].text == "the other 2 fine: seen system.os, seen system.cores"


NAMES = ("system.os", "system.cores", "system.disk", "gpu.driver", "gpu.heat", "docker.engine")
ANSWERS: tuple[Answer, ...] = ("pass", "pass", "warn", "pass", "unknown", "fail")
