"""Trial containers on a real engine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bert_tui import presets
from bert_tui.checks.check import Check
from bert_tui.checks.docker import TRIAL
from bert_tui.checks.runner import Subject, ask_all
from bert_tui.launchers.cpu_image import base_image
from bert_tui.launchers.engine import connect
from bert_tui.machine import Gpu, Machine, read_machine
from bert_tui.runs import trial
from bert_tui.runs.trial import TRIAL_LABEL
from tests.trainer.small_run import write_dataset
from trainer.spec.preset import Preset, replace
from trainer.spec.preset_file import read_preset
from trainer.spec.sizing import GIB

pytestmark = [pytest.mark.docker, pytest.mark.timeout(400)]


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """Neither containers nor folders."""
    yield
    assert not connect().containers(all=True, filters={"label": TRIAL_LABEL})
    assert not list(tmp_path.rglob("bert-tui-trial-*"))


def tiny(folder: Path, **settings: object) -> Preset:
    preset = read_preset(presets.find_preset("bert-tiny"), presets.find_preset)
    folders = {"checkpoint__path": str(folder / "checkpoints"), "logs__tensorboard_path": str(folder / "logs")}
    return replace(preset, launch__launcher="docker", launch__gpus="none", **folders, **settings)


def ask(preset: Preset, machine: Machine) -> Check:
    (check,) = ask_all([TRIAL], Subject(preset, machine))
    return check


def test_a_container_that_finds_everything(cpu_image: str, tmp_path: Path) -> None:
    write_dataset(tmp_path)
    prefix = str(next(tmp_path.rglob("*.idx")).with_suffix(""))
    check = ask(tiny(tmp_path, data__source="files", data__data_path=(prefix,)), read_machine())
    assert check.answer == "pass", check
    assert "torch 2." in check.seen
    assert "sees your files" in check.seen


def test_gpus_that_are_not_inside(cpu_image: str, tmp_path: Path) -> None:
    gpus = tuple(Gpu(f"GPU-{number:08d}", number, "NVIDIA A100", 80 * GIB, 80 * GIB) for number in range(2))
    machine = Machine(cores=2, memory_total=8 * GIB, memory_available=8 * GIB, gpus=gpus, driver="580.65.06")
    check = ask(replace(tiny(tmp_path, launch__image=cpu_image), launch__gpus="all"), machine)
    assert check.answer == "fail", check
    assert "0" in check.seen and "2" in check.seen, "asked for, and seen"


def test_an_image_without_torch_and_one_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preset = tiny(tmp_path, launch__image=base_image())
    check = ask(preset, read_machine())
    assert (check.answer, "torch" in check.seen) == ("fail", True), check
    monkeypatch.setattr(trial, "SECONDS", 0.01)
    check = ask(preset, read_machine())
    assert (check.answer, "no answer" in check.seen) == ("unknown", True), check


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    if os.getuid() == 0:
        pytest.skip("root may write everywhere")
    (tmp_path / "checkpoints").mkdir(mode=0o500)
    check = ask(tiny(tmp_path, launch__image=base_image()), read_machine())
    assert (check.answer, str(tmp_path) in check.seen) == ("unknown", True), check
