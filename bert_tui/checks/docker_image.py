"""The checklist's questions about the image: whether it is here, or how and where it can be had."""

from __future__ import annotations

import shutil
from pathlib import Path

from bert_tui.advice.words import describe
from bert_tui.checks.check import Check
from bert_tui.checks.docker_words import answered, problem_answer
from bert_tui.checks.runner import Subject
from bert_tui.invocation import program
from bert_tui.launchers.cpu_image import CPU_IMAGE, CPU_IMAGE_BYTES, base_image
from bert_tui.launchers.engine import connect, engine_errors
from bert_tui.launchers.engine_facts import ask_engine
from bert_tui.launchers.fetching.here import ImageHere, look_up
from bert_tui.launchers.fetching.room import NVIDIA_IMAGE_BYTES
from bert_tui.launchers.image import expected_image
from trainer.spec.problem import EnvironmentRefused, Problem
from trainer.spec.sizing import GIB

REGISTRY_SECONDS = 8


def image(subject: Subject) -> Check:
    """Whether the image is here and made for this machine, or what the first start has to fetch."""
    name = "docker.image"
    try:
        wanted = chosen_image(subject)
    except EnvironmentRefused as refusal:
        problem = refusal.problems[0]
        if problem.code != "docker.base_absent":
            raise
        seen = f"base image {problem.value} is not here"
        return answered(name, "warn", seen, "The first start tries to pull it.", describe(problem).remedy)
    found = look_up(connect(), wanted)
    if found is not None:
        return _fit(found)
    if _is_built_here(wanted):
        return answered(name, "pass", f"{wanted} is built at the first start, in about two minutes")
    meaning = "The first start pulls it; NVIDIA's images have about 20 GB."
    repair = f"F7 on this page fetches it now; or type: {program()} image pull {wanted}"
    return answered(name, "warn", f"{wanted} is not here yet", meaning, repair)


def registry(subject: Subject) -> Check:
    """Whether the registry gives what is not here. The engine is asked to look, since it is the engine that pulls: it
    has proxies, mirrors and certificates of its own."""
    name = "docker.registry"
    wanted = _to_be_pulled(subject)
    if wanted is None:
        return answered(name, "pass", "nothing to be pulled")
    try:
        platforms = _ask_registry(wanted)
    except EnvironmentRefused as refusal:
        return _refused_by_registry(wanted, refusal.problems[0])
    here = ask_engine().architecture
    if platforms and here not in platforms:
        problem = Problem("docker.architecture", "", wanted, {"made_for": ", ".join(sorted(platforms)), "here": here})
        return problem_answer(name, problem)
    return answered(name, "pass", f"{wanted} can be pulled")


def disk(subject: Subject) -> Check:
    """Room where the engine keeps images, if one has to be fetched."""
    name = "docker.disk"
    wanted = Path(ask_engine().image_folder)
    try:
        folder, free = _room(wanted)
    except FileNotFoundError:
        meaning = "The engine keeps its images elsewhere, or on another machine."
        return answered(name, "unknown", f"{wanted} is not to be seen here", meaning, "docker system df")
    seen = f"{free / GIB:.0f} GiB free at {folder}"
    need = _bytes_to_fetch(subject)
    if free >= need:
        return answered(name, "pass", seen)
    repair = "docker system df; docker image prune; or move data-root in /etc/docker/daemon.json to a larger disk"
    return answered(name, "fail", seen, f"The image may need {need / GIB:.0f} GiB.", repair)


def chosen_image(subject: Subject) -> str:
    """The full name of the image that the run would use.

    Raises:
        EnvironmentRefused: it cannot be told: no engine, no base image, no driver.
    """
    return expected_image(subject.preset.launch.image, subject.preset.launch.gpus != "none")


def _fit(found: ImageHere) -> Check:
    here = ask_engine().architecture
    if found.architecture and here and found.architecture != here:
        facts = {"made_for": found.architecture, "here": here}
        return problem_answer("docker.image", Problem("docker.architecture", "", found.name, facts))
    short = found.identity.removeprefix("sha256:")[:12]
    return answered("docker.image", "pass", f"{found.name}, {found.size / 1e9:.1f} GB, {short}")


def _is_built_here(name: str) -> bool:
    return name.partition(":")[0] == CPU_IMAGE


def _to_be_pulled(subject: Subject) -> str | None:
    """What the first start has to pull."""
    try:
        wanted = chosen_image(subject)
    except EnvironmentRefused as refusal:
        if refusal.problems[0].code != "docker.base_absent":
            raise
        return base_image()
    return None if _is_built_here(wanted) or look_up(connect(), wanted) else wanted


def _ask_registry(name: str) -> set[str]:
    """The architectures for which the registry has the image."""
    client = connect(seconds=REGISTRY_SECONDS)
    with engine_errors():
        answer = client.inspect_distribution(name)
    return {str(platform["architecture"]) for platform in answer.get("Platforms") or () if "architecture" in platform}


def _refused_by_registry(name: str, problem: Problem) -> Check:
    """Not to be had from the registry is a failure; a registry that is out of reach leaves other ways to get it."""
    if problem.code in ("docker.image_unknown", "docker.disk_full"):
        return problem_answer("docker.registry", problem)
    if problem.code == "docker.registry":
        meaning = f"{name} cannot be pulled from here."
        return problem_answer("docker.registry", problem, "warn", meaning)
    if problem.code == "docker.silent":
        seen, meaning = f"no answer within {REGISTRY_SECONDS} s", "The network or the registry may be slow."
        return answered("docker.registry", "unknown", seen, meaning, describe(Problem("docker.registry")).remedy)
    return problem_answer("docker.registry", problem, "unknown", "Whether it can be pulled is not known.")


def _bytes_to_fetch(subject: Subject) -> int:
    """Room that the first start takes; none for what is here."""
    launch = subject.preset.launch
    try:
        if look_up(connect(), chosen_image(subject)):
            return 0
    except EnvironmentRefused as refusal:
        if refusal.problems[0].code != "docker.base_absent":
            raise
    on_cpu = launch.image.partition(":")[0] == CPU_IMAGE or (launch.image == "auto" and launch.gpus == "none")
    return CPU_IMAGE_BYTES if on_cpu else NVIDIA_IMAGE_BYTES


def _room(folder: Path) -> tuple[Path, int]:
    """Bytes free at a folder, or at the nearest one above that this user may look at.

    Raises:
        FileNotFoundError: it is not on this machine.
    """
    for candidate in (folder, *folder.parents):
        try:
            return candidate, shutil.disk_usage(candidate).free
        except PermissionError:
            continue
    raise FileNotFoundError(folder)
