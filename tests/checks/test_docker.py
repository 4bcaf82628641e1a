"""What each condition of an engine is called, and what is to be typed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bert_tui.checks import docker_image, docker_trial, mounts
from bert_tui.checks.check import Check
from bert_tui.checks.docker_answers import answer
from bert_tui.checks.docker_gpus import cuda_version
from bert_tui.checks.runner import Subject
from bert_tui.launchers.container_spec import ContainerSpec
from bert_tui.launchers.engine_facts import facts_of
from bert_tui.machine import Gpu, Machine
from bert_tui.runs.trial import Trial
from tests.checks.fake_engine import INFO, VERSION, Answer, fake_engine
from trainer.spec.preset import Preset
from trainer.spec.preset import replace as replace_settings
from trainer.spec.problem import Problem
from trainer.spec.sizing import GIB
from trainer.spec.trial import TrialReport

IMAGE = "nvcr.io/nvidia/pytorch:26.09-py3"
MACHINE = Machine(
    cores=8,
    memory_total=64 * GIB,
    memory_available=60 * GIB,
    gpus=tuple(Gpu(f"GPU-{index}", index, "NVIDIA A100", 80 * GIB, 80 * GIB) for index in range(2)),
    driver="580.65.06",
)
ANSWERS_HERE: Mapping[str, Any] = {
    "Id": "sha256:abb19bf46a24a5f2",
    "RepoDigests": [f"nvcr.io/nvidia/pytorch@sha256:{'0123456789ab' * 5}0123"],
    "Architecture": "amd64",
    "Size": 20_500_000_000,
    "Config": {"Env": ["PATH=/usr/bin", "CUDA_VERSION=13.4.1", "NVIDIA_REQUIRE_CUDA=cuda>=9.0"]},
}
HERE = {f"/images/{IMAGE}/json": (200, ANSWERS_HERE)}
AT_REGISTRY = f"/distribution/{IMAGE}/json"
CDI = [{"Source": "cdi", "ID": f"nvidia.com/gpu={name}"} for name in ("0", "GPU-0", "all")]


@dataclass(frozen=True)
class Condition:
    """An engine, what is wanted of it, and what is to be told."""

    question: str
    answer: str
    seen: str
    repair: str = ""
    version: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Answer] = field(default_factory=dict)
    gpus: str = "all"
    driver: str = MACHINE.driver


PODMAN = {"Version": "4.9.3", "Components": [{"Name": "Podman Engine", "Version": "4.9.3"}]}
CONTAINERD = {"Driver": "overlayfs", "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}
CONDITIONS = {
    "an engine that is fine": Condition("engine", "pass", "Docker Engine 28.2.2, storage overlay2"),
    "too old": Condition(
        "engine", "fail", "18.09.1 is too old", "docs.docker.com", {"Version": "18.09.1", "ApiVersion": "1.39"}
    ),
    "from snap": Condition(
        "engine", "fail", "snap", "snap remove docker", info={"DockerRootDir": "/var/snap/docker/common/var-lib-docker"}
    ),
    "from snap, on the CPU": Condition(
        "engine", "warn", "snap", "", info={"DockerRootDir": "/var/snap/docker/common"}, gpus="none"
    ),
    "Docker Desktop": Condition("engine", "fail", "Docker Desktop", info={"OperatingSystem": "Docker Desktop"}),
    "Podman and GPUs": Condition("engine", "fail", "Podman answers", "Install Docker Engine", PODMAN),
    "Podman, on the CPU": Condition("engine", "warn", "Podman 4.9.3 in Docker's place", "", PODMAN, gpus="none"),
    "a storage driver that copies": Condition("engine", "warn", "storage vfs", "overlay2", info={"Driver": "vfs"}),
    "open to the network": Condition(
        "settings",
        "warn",
        "without encryption",
        "daemon.json",
        info={"Warnings": ["WARNING: API is accessible on http://0.0.0.0:2375 without encryption."]},
    ),
    "no memory limits": Condition(
        "settings", "warn", "no memory limits", "cgroup_enable=memory", info={"MemoryLimit": False}
    ),
    "in a smaller machine": Condition("settings", "warn", "8.0 of 64.0 GiB", "docker info", info={"MemTotal": 8 * GIB}),
    "live-restore off": Condition("settings", "pass", "end when it is restarted", "live-restore"),
    "live-restore on": Condition("settings", "pass", "outlive", info={"LiveRestoreEnabled": True}),
    "no toolkit": Condition("gpu", "warn", "no NVIDIA runtime", "nvidia-container-toolkit"),
    "toolkit as a runtime": Condition("gpu", "pass", "configured", info={"Runtimes": {"nvidia": {}, "runc": {}}}),
    "a list of GPUs that is out of date": Condition(
        "gpu", "warn", "does not know GPU 1", "nvidia-ctk cdi generate", info={"DiscoveredDevices": CDI}
    ),
    "GPUs as devices": Condition(
        "gpu",
        "pass",
        "known to the engine: 2",
        info={"DiscoveredDevices": [*CDI, {"Source": "cdi", "ID": "nvidia.com/gpu=1"}]},
    ),
    "Podman again": Condition("gpu", "unknown", "cannot be told yet", version=PODMAN),
    "the same user": Condition("user", "pass", f"uid {os.getuid()}"),
    "rootless": Condition(
        "user", "fail", "(rootless)", "launcher 'local'", info={"SecurityOptions": ["name=seccomp", "name=rootless"]}
    ),
    "userns-remap": Condition(
        "user", "fail", "(userns)", "launcher 'local'", info={"SecurityOptions": ["name=userns"]}
    ),
    "the image is here": Condition("image", "pass", f"{IMAGE}, 20.5 GB, 0123456789ab", others=HERE),
    "the image is for others": Condition(
        "image",
        "fail",
        "made for arm64",
        "--platform linux/amd64",
        others={f"/images/{IMAGE}/json": (200, {**ANSWERS_HERE, "Architecture": "arm64"})},
    ),
    "the image is not here": Condition("image", "warn", "not here yet", f"image pull {IMAGE}"),
    "the driver is new enough": Condition("driver", "pass", "CUDA 13.4, driver 580.65.06", others=HERE),
    "the driver is too old": Condition(
        "driver", "fail", "needs driver 580", "Update the driver", others=HERE, driver="550.54.15"
    ),
    "no image to compare with": Condition("driver", "unknown", "not here yet"),
    "nothing to pull": Condition("registry", "pass", "nothing to be pulled", others=HERE),
    "the registry has it": Condition(
        "registry",
        "pass",
        "can be pulled",
        others={AT_REGISTRY: (200, {"Platforms": [{"architecture": "amd64"}, {"architecture": "arm64"}]})},
    ),
    "the registry has it for others": Condition(
        "registry",
        "fail",
        "made for arm64",
        others={AT_REGISTRY: (200, {"Platforms": [{"architecture": "arm64", "os": "linux"}]})},
    ),
    "the registry is out of reach": Condition(
        "registry",
        "warn",
        "cannot be reached",
        "image load FILE",
        others={
            AT_REGISTRY: (
                500,
                {"message": 'Get "https://nvcr.io/v2/": dial tcp: lookup nvcr.io on 10.0.0.53:53: no such host'},
            )
        },
    ),
    "the registry knows no such image": Condition(
        "registry",
        "fail",
        "does not have this image",
        "docker login",
        others={AT_REGISTRY: (404, {"message": f"manifest for {IMAGE} not found: manifest unknown"})},
    ),
    "the registry is slow": Condition(
        "registry", "unknown", "no answer within", "image load FILE", others={AT_REGISTRY: (0, None)}
    ),
    "the disk is not here": Condition(
        "disk", "unknown", "not to be seen here", info={"DockerRootDir": "/no/such/folder"}
    ),
    "no image to try": Condition("trial", "unknown", "not here yet"),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_what_an_engine_tells(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    condition = CONDITIONS[name]
    monkeypatch.setattr(docker_image, "REGISTRY_SECONDS", 0.4)
    check = ask(condition, tmp_path, monkeypatch)
    assert (check.answer, check.name) == (condition.answer, f"docker.{condition.question}")
    assert condition.seen in check.seen
    assert condition.repair in check.repair
    assert check.answer == "pass" or check.meaning


def ask(condition: Condition, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/docker.sock")
    monkeypatch.setenv("PATH", "/nowhere")
    preset = replace_settings(
        Preset(),
        launch__launcher="docker",
        launch__gpus=condition.gpus,
        launch__image=IMAGE,
        checkpoint__path=str(folder / "checkpoints"),
    )
    with fake_engine(folder / "docker.sock", condition.version, condition.info, condition.others):
        return answer(f"docker.{condition.question}", Subject(preset, replace(MACHINE, driver=condition.driver)))


def test_images_that_lie_in_containerd() -> None:
    """As engines from 29 on have them: the room in the engine's own folder says nothing."""
    assert facts_of("", VERSION, {**INFO, **CONTAINERD}).image_folder == "/var/lib/containerd"
    assert facts_of("", VERSION, {**INFO, "DockerRootDir": "/data/docker"}).image_folder == "/data/docker"


def test_a_disk_that_cannot_hold_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_image, "NVIDIA_IMAGE_BYTES", 10**18)
    check = ask(Condition("disk", "fail", ""), tmp_path, monkeypatch)
    assert (check.answer, "docker image prune" in check.repair) == ("fail", True)


COMMANDS = {
    "echo 'Docker version 28.2.2, build e6534b4'": ("pass", "Docker version 28.2.2"),
    "echo 'podman version 4.9.3'": ("warn", "is Podman"),
    "echo broken >&2; exit 3": ("unknown", "broken"),
    "": ("warn", "no command docker"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_docker_command(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if command:
        (tmp_path / "docker").write_text(f"#!/bin/sh\n{command}\n")
        (tmp_path / "docker").chmod(0o755)
    check = answer("docker.command", Subject(Preset(), MACHINE))
    expected, seen = COMMANDS[command]
    assert (check.answer, seen in check.seen) == (expected, True)
    assert expected == "pass" or check.repair


def test_a_toolkit_that_the_engine_was_not_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nvidia-ctk").touch(mode=0o755)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.setenv("PATH", str(tmp_path))
    preset = replace_settings(Preset(), launch__gpus="all")
    with fake_engine(tmp_path / "docker.sock", {}, {}, {}):
        check = answer("docker.gpu", Subject(preset, MACHINE))
    assert (check.answer, check.repair.startswith("sudo nvidia-ctk runtime configure")) == ("warn", True)


MOUNTED = {
    "ext4 rw": ("pass", ""),
    "nfs4 rw,vers=4.2": ("warn", "chmod o+x"),
    "fuse.sshfs rw,user_id=1000,group_id=1000": ("fail", "allow_other"),
    "fuse.sshfs rw,user_id=1000,group_id=1000,allow_other": ("pass", ""),
    "fuse.gvfsd rw,user_id=0": ("pass", ""),
}


@pytest.mark.parametrize("mounted", MOUNTED)
def test_folders_that_root_cannot_enter(mounted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, options = mounted.split()
    disk = tmp_path / "a disk"
    disk.mkdir(mode=0o700)
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        f"40 22 0:35 / {str(disk).replace(' ', chr(92) + '040')} rw,relatime shared:7 - {kind} server:/x {options}\n"
    )
    monkeypatch.setattr(mounts, "MOUNTINFO", table)
    check = ask_about_folder(disk / "not there yet", {}, tmp_path, monkeypatch)
    expected, repair = MOUNTED[mounted]
    assert (check.answer, repair in check.repair) == (expected, True)
    assert expected == "pass" or "a disk" in check.seen


def test_folders_that_selinux_keeps_from_containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    selinux = {"SecurityOptions": ["name=seccomp", "name=selinux"]}
    for label, expected in (("user_home_t", "warn"), ("container_file_t", "pass")):
        context = f"unconfined_u:object_r:{label}:s0\0".encode()
        monkeypatch.setattr(os, "getxattr", lambda path, name, context=context: context)
        check = ask_about_folder(tmp_path, selinux, tmp_path, monkeypatch)
        assert check.answer == expected
    assert ask_about_folder(tmp_path, {}, tmp_path, monkeypatch).answer == "pass"


def ask_about_folder(
    checkpoints: Path, info: Mapping[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Check:
    socket = folder / "docker.sock"
    socket.unlink(missing_ok=True)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
    with fake_engine(socket, {}, info, {}):
        return answer("docker.folders", Subject(replace_settings(Preset(), checkpoint__path=str(checkpoints)), MACHINE))


@pytest.mark.parametrize(
    ("environment", "cuda"),
    [
        ({"CUDA_VERSION": "12.8.0.038"}, (12, 8)),
        ({"NVIDIA_REQUIRE_CUDA": "cuda>=12.6 brand=unknown,driver>=470,driver<471"}, (12, 6)),
        ({"PATH": "/bin"}, None),
    ],
)
def test_the_cuda_of_an_image(environment: Mapping[str, str], cuda: tuple[int, int] | None) -> None:
    assert cuda_version(environment) == cuda


SPEC = ContainerSpec(
    name="bert-tui-trial-x-001",
    image=IMAGE,
    command=(),
    hostname="node7",
    user=(1000, 1000),
    groups=(27, 998),
    working_folder=Path("/ckpt/bert-tui-trial-x/code"),
    environment={},
    labels={},
    mounts=(),
    memory=32 * GIB,
    shared_memory=2 * GIB,
    ulimits={},
    gpus=(),
    stop_seconds=30,
)
REPORT = TrialReport(1000, 1000, (27, 998), "word", "", {}, 2 * GIB, {"nofile": 65536}, "torch 2.14, 2 GPUs", None)
FOUND = {
    "everything": (REPORT, "word", "pass", "torch 2.14, 2 GPUs; sees your files"),
    "other files": (replace(REPORT, nonce=""), "", "fail", "does not see what was written to /ckpt"),
    "no writing": (replace(REPORT, echo_error="Permission denied"), "", "fail", "cannot write to /ckpt"),
    "writes elsewhere": (REPORT, "", "fail", "not seen outside"),
    "another user": (replace(REPORT, uid=100999), "word", "fail", "another user (100999:1000:27:998"),
    "a group is lost": (replace(REPORT, groups=(27,)), "word", "fail", "another user"),
    "data of others": (replace(REPORT, unreadable={"/d/x.bin": "Permission denied"}), "word", "fail", "read /d/x.bin"),
    "fewer GPUs": (
        replace(REPORT, problem=Problem("gpu.fewer", "container", "2", {"seen": 0})),
        "word",
        "fail",
        "2",
    ),
    "small shared memory": (replace(REPORT, shared_memory=64 * 2**20), "word", "warn", "/dev/shm has 0.1 of 2.0 GiB"),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_a_trial_container_finds(name: str) -> None:
    report, echo, expected, seen = FOUND[name]
    check = docker_trial.judge(Trial(SPEC, report, "word", echo, 2.5, ()))
    assert (check.answer, seen in check.seen) == (expected, True), check
    assert expected == "pass" or (check.meaning and check.repair)
