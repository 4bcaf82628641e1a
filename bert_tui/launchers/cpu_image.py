"""Builds the CPU image from ``trainer/Dockerfile``, once for each version of what goes into it.

The build itself has no network: the packages are fetched on the host, with the operator's own settings of pip (proxy,
certificates, mirror), for the Python of the base image.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.resources
import io
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import docker.errors

from bert_tui.launchers.engine import engine_errors, explain
from bert_tui.launchers.fetching.progress import as_steps
from bert_tui.launchers.fetching.pulling import pull
from bert_tui.launchers.protocol import Step
from bert_tui.launchers.wheels import BasePython, fetch_wheels
from bert_tui.places import cache_folder
from trainer.spec.problem import EnvironmentRefused, Problem

CPU_IMAGE = "bert-tui-cpu"
CPU_IMAGE_BYTES = 3 << 30
"""Room for the image, its wheels and the layers of its build."""
DEFAULT_BASE = "python:3.11-slim"

_ASK_PYTHON = (
    "import ensurepip, platform, sys, venv; "
    "print(*sys.version_info[:2], platform.machine(), platform.libc_ver()[1] or '-')"
)


def base_image() -> str:
    """What the CPU image is built on: $BERT_TUI_BASE_IMAGE, else Python's own small image."""
    return os.environ.get("BERT_TUI_BASE_IMAGE") or DEFAULT_BASE


def cpu_image_name(client: Any) -> str:
    """Name and tag; the tag changes with the Dockerfile, the pinned packages and the base image.

    Raises:
        EnvironmentRefused: the base image is not there.
    """
    base = base_image()
    with engine_errors():
        try:
            base_id = client.inspect_image(base)["Id"]
        except docker.errors.ImageNotFound as error:
            raise EnvironmentRefused(Problem("docker.base_absent", "", base, {"reason": "not pulled yet"})) from error
    content = b"\0".join([_dockerfile(), _requirements(), base_id.encode()])
    return f"{CPU_IMAGE}:{hashlib.sha256(content).hexdigest()[:12]}"


def build_cpu_image(client: Any, report: Callable[[Step], None]) -> str:
    """Builds the image unless it is there; gives its name.

    Raises:
        EnvironmentRefused: no base image, its Python is unfit, packages cannot be fetched, or the build failed.
    """
    _require_base(client, report)
    name = cpu_image_name(client)
    with _one_builder(report):
        if not _there(client, name):
            wheels = fetch_wheels(_requirements(), _ask_python(client), report)
            _build(client, name, wheels, report)
    return name


def _build(client: Any, name: str, wheels: Path, report: Callable[[Step], None]) -> None:
    report(Step(f"building {name}"))
    with _context(wheels) as context, engine_errors():
        events = client.build(
            fileobj=context,
            custom_context=True,
            tag=name,
            buildargs={"BASE": base_image()},
            network_mode="none",
            rm=True,
            forcerm=True,
            decode=True,
        )
        for event in events:
            if "error" in event:
                raise EnvironmentRefused(_build_problem(event["error"]))
            if line := event.get("stream", "").strip():
                report(Step(line))


def _build_problem(message: str) -> Problem:
    known = explain(message)
    return known if known.code == "docker.disk_full" else Problem("docker.build", "", message.strip())


@contextmanager
def _context(wheels: Path) -> Iterator[IO[bytes]]:
    """What the Dockerfile copies from, as a tar archive."""
    with tempfile.TemporaryFile(dir=wheels.parent) as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for name, content in (("Dockerfile", _dockerfile()), ("requirements.txt", _requirements())):
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
            archive.add(wheels, "wheels")
        file.seek(0)
        yield file


def _require_base(client: Any, report: Callable[[Step], None]) -> None:
    base = base_image()
    if _there(client, base):
        return
    try:
        pull(client, base, as_steps(base, report))
    except EnvironmentRefused as refusal:
        reason = refusal.problems[0].value or refusal.problems[0].english
        raise EnvironmentRefused(Problem("docker.base_absent", "", base, {"reason": reason})) from refusal


def _ask_python(client: Any) -> BasePython:
    """Which Python the base image has, told by itself."""
    status, output = _run_in_base(client, ["python3", "-c", _ASK_PYTHON])
    last = output.splitlines()[-1] if output else f"status {status}"
    if status != 0:
        raise _unfit_base(last)
    major, minor, machine, glibc = last.split()
    if (int(major), int(minor)) < (3, 11):
        raise _unfit_base(f"it is Python {major}.{minor}")
    if not glibc.startswith("2."):
        raise _unfit_base("its C library is not glibc, for which torch is built")
    return BasePython(f"{major}.{minor}", machine, glibc)


def _run_in_base(client: Any, command: list[str]) -> tuple[int, str]:
    """Exit status and output of a command in a container of its own."""
    with engine_errors():
        container = client.create_container(
            base_image(),
            command,
            entrypoint=[],
            host_config=client.create_host_config(network_mode="none"),
            use_config_proxy=False,
        )["Id"]
        try:
            client.start(container)
            status = client.wait(container)["StatusCode"]
            return int(status), client.logs(container).decode("utf-8", "replace").strip()
        except docker.errors.APIError as error:
            raise _unfit_base(str(error.explanation)) from error
        finally:
            client.remove_container(container, force=True)


def _unfit_base(reason: str) -> EnvironmentRefused:
    return EnvironmentRefused(Problem("docker.base_python", "", base_image(), {"reason": reason}))


def _there(client: Any, image: str) -> bool:
    with engine_errors():
        try:
            client.inspect_image(image)
        except docker.errors.ImageNotFound:
            return False
    return True


@contextmanager
def _one_builder(report: Callable[[Step], None]) -> Iterator[None]:
    """Two runs that start together build once."""
    folder = cache_folder()
    with (folder / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(Step("waiting for another run that builds the image"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _dockerfile() -> bytes:
    return importlib.resources.files("trainer").joinpath("Dockerfile").read_bytes()


def _requirements() -> bytes:
    return importlib.resources.files("trainer").joinpath("requirements.txt").read_bytes()
