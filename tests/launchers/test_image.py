"""Which image a run gets, and how it is fetched or built."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bert_tui.launchers.cpu_image import cpu_image_name
from bert_tui.launchers.engine import connect
from bert_tui.launchers.image import choose_image, expected_image, image_id, prepare_image
from bert_tui.launchers.protocol import Step
from bert_tui.launchers.wheels import BasePython, fetch_wheels, platforms
from tests.launchers.registry import tar_of_one_file
from trainer.spec.problem import EnvironmentRefused

NEW, OLD = "nvcr.io/nvidia/pytorch:26.09-py3", "nvcr.io/nvidia/pytorch:25.02-py3"


@pytest.mark.parametrize(
    ("driver", "image"),
    [("580.65.06", NEW), ("595.10", NEW), ("575.57.08", OLD), ("535.129.03", OLD), ("525.60.13", OLD)],
)
def test_the_driver_decides(driver: str, image: str) -> None:
    assert choose_image(driver, "cuda") == image


@pytest.mark.parametrize(("driver", "code"), [("470.82", "docker.driver_old"), ("", "docker.driver_unknown")])
def test_no_image_for_the_driver(driver: str, code: str) -> None:
    with pytest.raises(EnvironmentRefused) as refusal:
        choose_image(driver, "cuda")
    assert refusal.value.problems[0].code == code


def test_wheels_for_an_older_system_are_taken_too() -> None:
    tags = platforms(BasePython("3.11", "aarch64", "2.36"))
    assert tags[0] == "manylinux_2_36_aarch64"
    assert {"manylinux_2_28_aarch64", "manylinux2014_aarch64", "linux_aarch64"} <= set(tags)
    assert "manylinux_2_37_aarch64" not in tags


def test_packages_that_pip_cannot_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    lines: list[Step] = []
    with pytest.raises(EnvironmentRefused) as refusal:
        fetch_wheels(b"no-such-package-of-ours==1.0\n", BasePython("3.11", "x86_64", "2.36"), lines.append)
    (problem,) = refusal.value.problems
    assert problem.code == "docker.wheels"
    assert "no-such-package-of-ours" in problem.value
    assert lines


@pytest.mark.docker
@pytest.mark.timeout(400)
def test_the_cpu_image_is_built_once(cpu_image: str) -> None:
    assert cpu_image == expected_image("auto", gpus_wanted=False) == cpu_image_name(connect())
    steps: list[Step] = []
    name, identity = prepare_image("auto", False, steps.append)
    assert (name, identity) == (cpu_image, image_id(connect(), cpu_image))
    assert steps == []


@pytest.mark.docker
@pytest.mark.parametrize(
    ("base", "code"),
    [("127.0.0.1:1/no/base:1", "docker.base_absent"), ("", "docker.base_python")],
    ids=["absent", "without python"],
)
def test_a_base_that_cannot_be_built_on(
    base: str, code: str, empty_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERT_TUI_BASE_IMAGE", base or empty_image)
    with pytest.raises(EnvironmentRefused) as refusal:
        prepare_image("auto", False, lambda step: None)
    (problem,) = refusal.value.problems
    assert (problem.code, problem.value) == (code, base or empty_image)


@pytest.fixture
def empty_image() -> Iterator[str]:
    """An image with one empty file."""
    name, client = "bert-tui-test-empty:1", connect(seconds=60)
    client.import_image_from_data(tar_of_one_file(b""), repository=name.split(":")[0], tag="1")
    yield name
    client.remove_image(name)
