"""Reaching the engine: each way it can fail has its own word, and none takes long."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert_tui.checks.docker import docker_checks
from bert_tui.launchers.docker import DockerLauncher, runs_by_label
from bert_tui.launchers.engine import address, connect, explain, is_podman, refused_ulimit, remapping
from bert_tui.launchers.protocol import Unknown
from trainer.spec.problem import EnvironmentRefused


@contextmanager
def listening(path: Path, queue: int = 8) -> Iterator[None]:
    """A socket that takes ``queue`` + 1 connections and never says a word."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(queue)
        yield


def code_of(error: pytest.ExceptionInfo[EnvironmentRefused]) -> str:
    (problem,) = error.value.problems
    return problem.code


def test_no_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *arguments, **options: None)
    with pytest.raises(EnvironmentRefused) as refusal:
        connect(f"unix://{tmp_path}/docker.sock")
    assert code_of(refusal) == "docker.absent"
    assert str(tmp_path / "docker.sock") in str(refusal.value)


def test_an_engine_that_was_never_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dockerd").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentRefused) as refusal:
        connect(f"unix://{tmp_path}/docker.sock")
    assert code_of(refusal) == "docker.down"


def test_a_context_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONTEXT", "no-such-context")
    with pytest.raises(EnvironmentRefused) as refusal:
        connect()
    assert code_of(refusal) == "docker.context"


def test_a_file_in_place_of_the_socket(tmp_path: Path) -> None:
    (tmp_path / "docker.sock").touch()
    with pytest.raises(EnvironmentRefused) as refusal:
        connect(f"unix://{tmp_path}/docker.sock")
    assert code_of(refusal) == "docker.absent"


def test_nobody_listens(tmp_path: Path) -> None:
    with listening(tmp_path / "docker.sock"):
        pass
    with pytest.raises(EnvironmentRefused) as refusal:
        connect(f"unix://{tmp_path}/docker.sock")
    assert code_of(refusal) == "docker.down"


@pytest.mark.skipif(os.getuid() == 0, reason="root may open every socket")
def test_a_socket_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(tmp_path / "docker.sock"):
        (tmp_path / "docker.sock").chmod(0)
        with pytest.raises(EnvironmentRefused) as refusal:
            connect(f"unix://{tmp_path}/docker.sock")
        assert code_of(refusal) == "docker.permission"
        assert grp.getgrgid(os.getgid()).gr_name in str(refusal.value)
        me = pwd.getpwuid(os.getuid()).pw_name
        monkeypatch.setattr(grp, "getgrgid", lambda number: grp.struct_group(("docker", "x", 54321, [me])))
        with pytest.raises(EnvironmentRefused) as refusal:
            connect(f"unix://{tmp_path}/docker.sock")
        assert code_of(refusal) == "docker.group"


def test_an_engine_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = f"unix://{tmp_path}/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", engine)
    with listening(tmp_path / "docker.sock"):
        begin = time.monotonic()
        with pytest.raises(EnvironmentRefused) as refusal:
            runs_by_label()
        assert code_of(refusal) == "docker.silent"
        handle = {"launcher": "docker", "host": socket.gethostname(), "engine": engine, "container": "0"}
        assert isinstance(DockerLauncher().probe(handle), Unknown)
        checks = {check.name: check.answer for check in docker_checks(gpus_wanted=False, image="auto")}
        told = {name for name, answer in checks.items() if answer != "unknown"}
        assert told <= {"docker.command", "docker.gpu", "docker.driver"}, "what needs no engine"
        assert time.monotonic() - begin < 3 * 5 + 2


def test_an_engine_whose_queue_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers before us that gave up stay in the queue: there is room for the knock, and none for the question."""
    engine = f"unix://{tmp_path}/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", engine)
    with listening(tmp_path / "docker.sock", queue=0), pytest.raises(EnvironmentRefused) as refusal:
        connect()
    assert code_of(refusal) == "docker.silent"


@pytest.mark.parametrize("engine", ["tcp://10.1.2.3:2376", "ssh://ada@node7", "npipe:////./pipe/docker"])
def test_an_engine_elsewhere(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine)
    assert address() == engine
    with pytest.raises(EnvironmentRefused) as refusal:
        connect()
    assert code_of(refusal) == "docker.remote"
    assert engine in str(refusal.value)
    (engine_check,) = [
        check for check in docker_checks(gpus_wanted=False, image="auto") if check.name == "docker.engine"
    ]
    assert engine_check.answer == "fail"
    assert "docker context use default" in engine_check.repair


MESSAGES = [
    ('could not select device driver "" with capabilities: [[gpu]]', "docker.gpu_toolkit"),
    ('could not select device driver "nvidia" with capabilities: [[gpu]]', "docker.gpu_toolkit"),
    ("Unknown runtime specified nvidia", "docker.runtime"),
    ("unknown or invalid runtime name: nvidia", "docker.runtime"),
    (
        "OCI runtime create failed: running hook #0: error running hook: exit status 1, stderr: "
        "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch: unknown",
        "docker.gpu_start",
    ),
    (
        "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.8, please update your driver to a "
        "newer version, or use an earlier cuda container: unknown",
        "docker.cuda_requirement",
    ),
    ('invalid mount config for type "bind": stat /home/ada/src: permission denied.', "docker.mount_denied"),
    (
        'Conflict. The container name "/run-001" is already in use by container "0a1b". You have to remove (or rename) '
        "that container to be able to reuse that name.",
        "docker.name_taken",
    ),
    ("No such image: bert-tui-cpu:0a1b", "docker.image_absent"),
    ('invalid mount config for type "bind": bind source path does not exist: /data/x', "docker.mount_absent"),
    ("write /var/lib/docker/tmp/GetImageBlob1: no space left on device", "docker.disk_full"),
    (
        "manifest for nvcr.io/nvidia/pytorch:99.99-py3 not found: manifest unknown: manifest unknown",
        "docker.image_unknown",
    ),
    (
        "pull access denied for private/image, repository does not exist or may require 'docker login': denied: "
        "requested access to the resource is denied",
        "docker.image_unknown",
    ),
    ('Get "https://nvcr.io/v2/": dial tcp: lookup nvcr.io on 10.0.0.53:53: no such host', "docker.registry"),
    ('Get "https://nvcr.io/v2/": net/http: request canceled (Client.Timeout exceeded)', "docker.registry"),
    ('Get "https://r/v2/": x509: certificate signed by unknown authority', "docker.tls"),
    ("something that nobody has seen yet", "docker.refused"),
]


@pytest.mark.parametrize(("message", "code"), MESSAGES)
def test_what_the_engine_means(message: str, code: str) -> None:
    assert explain(message).code == code


@given(st.text())
def test_any_message_becomes_a_problem(message: str) -> None:
    assert explain(message).english


def test_the_refused_ulimit() -> None:
    message = (
        "OCI runtime create failed: error setting rlimits for ready process: error setting rlimit type 8: operation"
    )
    assert refused_ulimit(RuntimeError(message)) == "memlock"
    assert refused_ulimit(RuntimeError("error setting rlimit type 7: operation not permitted")) == "nofile"
    assert refused_ulimit(RuntimeError("disk full")) == ""


def test_engines_of_another_kind() -> None:
    assert is_podman({"Version": "4.9.3", "Components": [{"Name": "Podman Engine", "Version": "4.9.3"}]})
    assert not is_podman({"Version": "28.2.2", "Components": [{"Name": "Engine", "Version": "28.2.2"}]})
    assert remapping({"SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"]}) == "rootless"
    assert remapping({"SecurityOptions": ["name=userns"]}) == "userns"
    assert remapping({"SecurityOptions": ["name=seccomp,profile=default"]}) == ""
