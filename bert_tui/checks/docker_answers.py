"""The answers to the checklist's questions about the Docker Engine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from typing import Any

from bert_tui.advice.words import describe
from bert_tui.checks.check import Answer, Check
from bert_tui.checks.docker import TITLES
from bert_tui.checks.runner import Subject
from bert_tui.launchers.cpu_image import CPU_IMAGE
from bert_tui.launchers.engine import connect, engine_errors, is_podman, remapping
from bert_tui.launchers.image import expected_image, image_id
from trainer.spec.problem import EnvironmentRefused, Problem
from trainer.spec.sizing import GIB

NVIDIA_IMAGE_BYTES = 25 * GIB
"""Room for an NVIDIA PyTorch image while it is unpacked; unpacked it has about 20 GB."""
CPU_IMAGE_BYTES = 3 * GIB
"""Room for the CPU image, its wheels and the layers of its build."""


_UNREACHABLE = {f"docker.{case}" for case in ("absent", "down", "permission", "remote", "silent", "lost", "refused")}


def answer(name: str, subject: Subject) -> Check:
    """The answer to one question. That of the engine tells why it cannot be reached, the others point to it."""
    try:
        return _ANSWERS[name](subject)
    except EnvironmentRefused as refusal:
        problem = refusal.problems[0]
    if name != "docker.engine" and problem.code in _UNREACHABLE:
        return _answer(name, "unknown", "the engine cannot be asked", f"See the line '{TITLES['docker.engine']}'.")
    return _check(name, problem)


def engine(subject: Subject) -> Check:
    """Whether there is an engine that this user may use, and what it is."""
    name = "docker.engine"
    version, info = _ask_engine()
    if is_podman(version):
        return _podman(version, gpus_wanted=_gpus_wanted(subject))
    seen = f"Docker Engine {version['Version']}, storage {info['Driver']}"
    if remapped := remapping(info):
        return _check(name, Problem("docker.remapped", "this address", remapped))
    if info["DockerRootDir"].startswith("/var/snap/"):
        meaning = "Docker from snap has no GPU support and sees only files below /home."
        return _answer(name, "fail" if _gpus_wanted(subject) else "warn", seen, meaning, _DOCKER_CE)
    if any("selinux" in option for option in info.get("SecurityOptions") or ()):
        meaning = "SELinux may forbid containers to read and write your folders."
        return _answer(name, "warn", seen, meaning, "chcon -Rt container_file_t on the folders of the run")
    if info["Driver"] == "vfs":
        meaning = "This storage driver copies each layer as a whole: an image of 20 GB takes several times that."
        return _answer(name, "warn", seen, meaning, "Use overlay2: docs.docker.com/engine/storage/drivers")
    return _answer(name, "pass", seen)


def gpu_toolkit(subject: Subject) -> Check:
    """Whether the engine can hand GPUs to containers, as far as it tells; the preflight inside counts them."""
    name = "docker.gpu"
    if not _gpus_wanted(subject):
        return _answer(name, "pass", "not asked for")
    version, info = _ask_engine()
    if is_podman(version):
        return _podman(version, gpus_wanted=True, name=name)
    devices = [device["ID"] for device in info.get("DiscoveredDevices") or () if "nvidia.com/gpu" in device["ID"]]
    if devices:
        return _answer(name, "pass", f"NVIDIA devices known to the engine: {len(devices)}")
    if "nvidia" in info.get("Runtimes", {}):
        return _answer(name, "pass", "NVIDIA container toolkit configured")
    meaning = "It may still work: the toolkit's hook alone does not show. The start will tell."
    return _answer(name, "warn", "the engine names no NVIDIA runtime", meaning, _toolkit_remedy())


def image(subject: Subject) -> Check:
    """Whether the image is there, or what the first start has to fetch."""
    name = "docker.image"
    try:
        wanted = expected_image(subject.preset.launch.image, _gpus_wanted(subject))
    except EnvironmentRefused as refusal:
        problem = refusal.problems[0]
        if problem.code != "docker.base_absent":
            raise
        seen = f"base image {problem.value} is not here"
        return _answer(name, "warn", seen, "The first start tries to pull it.", describe(problem).remedy)
    if _image_there(wanted):
        return _answer(name, "pass", wanted)
    if _built_here(wanted):
        return _answer(name, "pass", f"{wanted} is built at the first start, in about two minutes")
    meaning = "The first start pulls it; NVIDIA's images have about 20 GB."
    return _answer(name, "warn", f"{wanted} is not here yet", meaning, f"To have it beforehand: docker pull {wanted}")


def disk(subject: Subject) -> Check:
    """Room where the engine keeps images, if one has to be fetched."""
    name = "docker.disk"
    _, info = _ask_engine()
    folder = info["DockerRootDir"]
    free = shutil.disk_usage(folder).free
    seen = f"{free / GIB:.0f} GiB free at {folder}"
    wanted, gpus = subject.preset.launch.image, _gpus_wanted(subject)
    need = CPU_IMAGE_BYTES if wanted == "auto" and not gpus else NVIDIA_IMAGE_BYTES
    if free >= need or _image_there(expected_image(wanted, gpus)):
        return _answer(name, "pass", seen)
    return _answer(
        name, "fail", seen, f"The image may need {need / GIB:.0f} GiB.", "docker system df; docker image prune"
    )


_ANSWERS: dict[str, Callable[[Subject], Check]] = {
    "docker.engine": engine,
    "docker.gpu": gpu_toolkit,
    "docker.image": image,
    "docker.disk": disk,
}

_DOCKER_CE = "Install Docker's own packages: docs.docker.com/engine/install"


def _gpus_wanted(subject: Subject) -> bool:
    return subject.preset.launch.gpus != "none"


def _ask_engine() -> tuple[dict[str, Any], dict[str, Any]]:
    """The engine's answers to ``version`` and ``info``."""
    client = connect()
    with engine_errors():
        return client.version(), client.info()


def _image_there(name: str) -> bool:
    return image_id(connect(), name) is not None


def _built_here(name: str) -> bool:
    return name.partition(":")[0] == CPU_IMAGE


def _podman(version: Mapping[str, Any], *, gpus_wanted: bool, name: str = "docker.engine") -> Check:
    seen = f"Podman {version.get('Version', '')} in Docker's place"
    if gpus_wanted:
        words = describe(Problem("docker.podman", "this address"))
        return _answer(name, "fail", seen, words.what, words.remedy)
    return _answer(name, "warn", seen, "Training on the CPU works with it, GPUs do not.")


def _toolkit_remedy() -> str:
    return describe(Problem("docker.gpu_toolkit")).remedy


def _answer(name: str, answer: Answer, seen: str, meaning: str = "", repair: str = "") -> Check:
    return Check(name, TITLES[name], answer, seen, meaning, repair)


def _check(name: str, problem: Problem) -> Check:
    """A problem as an answer. An engine that is silent leaves its questions open; any other problem is a failure."""
    words = describe(problem)
    answer: Answer = "unknown" if problem.code == "docker.silent" else "fail"
    return _answer(name, answer, words.what, "No container can be started.", words.remedy)
