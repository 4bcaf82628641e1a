"""The container's description: what it grants, what it refuses, and that the printed line says the same."""

from __future__ import annotations

import csv
import os
import shlex
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert_tui.launchers.container_spec import (
    BindMount,
    Caller,
    ContainerSpec,
    container_spec,
    docker_run,
    memory_limit,
)
from bert_tui.launchers.protocol import Job
from trainer.spec.problem import EnvironmentRefused
from trainer.spec.run_directory import RunDirectory

GIB = 2**30
CALLER = Caller(uid=1000, gid=1001, groups=(27, 105), name="ada", host="node7", memory=64 * GIB)


def job(run: Path, *, readable: tuple[Path, ...] = (), writable: tuple[Path, ...] = (), gpus: int = 0) -> Job:
    uuids = tuple(f"GPU-{number}" for number in range(gpus))
    attempt = RunDirectory(run).attempt(2)
    return Job(attempt, "cuda" if gpus else "cpu", uuids, max(1, gpus), 4, "an/image:1", readable, (run, *writable), 90)


def mounts(spec: ContainerSpec) -> dict[str, bool]:
    return {str(mount.target): mount.writable for mount in spec.mounts}


def test_the_run_is_writable_but_its_code_is_not(tmp_path: Path) -> None:
    run, data, logs = tmp_path / "ckpt" / "run-1", tmp_path / "data", tmp_path / "tb" / "run-1"
    spec = container_spec(job(run, readable=(data, run / "code"), writable=(logs,)), CALLER)
    assert mounts(spec) == {str(run): True, str(run / "code"): False, str(data): False, str(logs): True}
    assert spec.command == ("python3", "-m", "trainer.supervise", str(run / "attempts" / "002"))
    assert spec.name == "run-1-002"
    assert spec.environment["PYTHONPATH"] == str(run / "code")


def test_a_linked_path_is_there_under_both_names(tmp_path: Path) -> None:
    (tmp_path / "disk" / "run-1" / "code").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.bin").touch()
    (tmp_path / "ckpt").symlink_to(tmp_path / "disk")
    (tmp_path / "b.bin").symlink_to(tmp_path / "data" / "a.bin")
    spec = container_spec(job(tmp_path / "ckpt" / "run-1", readable=(tmp_path / "b.bin",)), CALLER)
    assert mounts(spec) == {
        str(tmp_path / "ckpt" / "run-1"): True,
        str(tmp_path / "ckpt" / "run-1" / "code"): False,
        str(tmp_path / "disk" / "run-1"): True,
        str(tmp_path / "disk" / "run-1" / "code"): False,
        str(tmp_path / "b.bin"): False,
        str(tmp_path / "data" / "a.bin"): False,
    }


def test_what_an_outer_mount_shows_already_is_not_mounted_again(tmp_path: Path) -> None:
    run, data = tmp_path / "run-1", tmp_path / "data"
    spec = container_spec(job(run, readable=(data, data / "a.bin"), writable=(run / "tb",)), CALLER)
    assert mounts(spec) == {str(run): True, str(run / "code"): False, str(data): False}


@pytest.mark.parametrize(
    "path", ["/", "/usr", "/usr/share/dict/words", "/etc/passwd", "/opt", "/tmp", "/proc/1", "/home"]
)
def test_paths_that_cover_the_image_are_refused_by_name(tmp_path: Path, path: str) -> None:
    with pytest.raises(EnvironmentRefused) as refusal:
        container_spec(job(tmp_path / "run", readable=(Path(path),)), CALLER)
    assert {problem.code for problem in refusal.value.problems} == {"docker.mount_covers"}
    assert path in {problem.where for problem in refusal.value.problems}


def test_a_link_into_the_system_is_refused_as_well(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to("/usr/share")
    with pytest.raises(EnvironmentRefused, match="/usr/share"):
        container_spec(job(tmp_path / "run", readable=(tmp_path / "data",)), CALLER)


@pytest.mark.parametrize("total", [GIB, 2 * GIB, 24 * GIB, 2048 * GIB])
def test_the_host_keeps_some_memory(total: int) -> None:
    assert total // 2 <= memory_limit(total) < total


def test_the_caller_is_this_process() -> None:
    caller = Caller.current()
    assert (caller.uid, caller.gid) == (os.getuid(), os.getgid())
    assert set(caller.groups) | {caller.gid} == {*os.getgroups(), caller.gid}


words = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
names = words.filter(lambda name: "/" not in name and name not in (".", ".."))
paths = st.lists(names, min_size=1, max_size=4).map(lambda parts: Path("/data", *parts))
specs = st.builds(
    ContainerSpec,
    name=st.from_regex(r"[a-z0-9][a-z0-9_.-]{1,30}", fullmatch=True),
    image=st.just("registry.example:5000/a/b:c"),
    command=st.lists(words, min_size=1, max_size=4).map(tuple),
    hostname=st.just("node7"),
    user=st.tuples(st.integers(0, 2**31), st.integers(0, 2**31)),
    groups=st.lists(st.integers(0, 2**31), max_size=4, unique=True).map(tuple),
    working_folder=paths,
    environment=st.dictionaries(st.from_regex(r"[A-Z_]{1,10}", fullmatch=True), words, max_size=4),
    labels=st.dictionaries(st.from_regex(r"[a-z.-]{1,10}", fullmatch=True), words, max_size=3),
    mounts=st.lists(st.builds(BindMount, paths, paths, st.booleans()), max_size=5).map(tuple),
    memory=st.integers(1, 2**45),
    shared_memory=st.integers(1, 2**45),
    ulimits=st.dictionaries(st.sampled_from(["memlock", "stack", "nofile"]), st.integers(-1, 2**40)),
    gpus=st.lists(st.from_regex(r"GPU-[0-9a-f]{8}", fullmatch=True), max_size=8, unique=True).map(tuple),
    stop_seconds=st.integers(1, 10**5),
)
SWITCHES = {"--detach", "--init", "--read-only"}


@given(specs)
def test_the_printed_line_read_back_holds_the_same_facts(spec: ContainerSpec) -> None:
    docker, run, *arguments = shlex.split(docker_run(spec).replace("\\\n", ""))
    options = defaultdict(list)
    while arguments[0] != spec.image:
        option = arguments.pop(0)
        assert option.startswith("--")
        options[option].append("" if option in SWITCHES else arguments.pop(0))

    assert (docker, run) == ("docker", "run")
    assert arguments[1:] == list(spec.command)
    assert {option: options[option] for option in SWITCHES} == {option: [""] for option in SWITCHES}
    assert options["--network"] == ["none"]
    assert options["--cap-drop"] == ["ALL"]
    assert options["--security-opt"] == ["no-new-privileges"]
    assert options["--name"] == [spec.name]
    assert options["--user"] == [f"{spec.user[0]}:{spec.user[1]}"]
    assert options["--group-add"] == [str(group) for group in spec.groups]
    assert options["--workdir"] == [str(spec.working_folder)]
    assert dict(pair.split("=", 1) for pair in options["--env"]) == spec.environment
    assert dict(pair.split("=", 1) for pair in options["--label"]) == spec.labels
    assert {k: int(v) for k, v in (pair.split("=") for pair in options["--ulimit"])} == spec.ulimits
    assert options["--memory"] == [str(spec.memory)]
    assert options["--shm-size"] == [str(spec.shared_memory)]
    assert options["--stop-timeout"] == [str(spec.stop_seconds)]
    assert [_csv(value) for value in options["--gpus"]] == ([["device=" + ",".join(spec.gpus)]] if spec.gpus else [])
    assert tuple(_mount(_csv(value)) for value in options["--mount"]) == spec.mounts
    assert not {"--rm", "--privileged", "--restart", "--cap-add"} & set(options)


def _csv(value: str) -> list[str]:
    (record,) = csv.reader([value], strict=True)
    return record


def _mount(fields: list[str]) -> BindMount:
    kind, source, target, *rest = fields
    assert kind == "type=bind"
    assert rest in ([], ["readonly"])
    return BindMount(Path(source.removeprefix("source=")), Path(target.removeprefix("target=")), not rest)
