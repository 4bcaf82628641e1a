"""Starts attempts in containers of the local Docker Engine."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker.errors

from bert_tui.checks.check import Check
from bert_tui.checks.docker import docker_checks
from bert_tui.launchers.container import (
    create,
    last_lines,
    removed_on_error,
    status_ignored,
    without_refused_ulimits,
)
from bert_tui.launchers.container_spec import (
    ATTEMPT_LABEL,
    RUN_LABEL,
    Caller,
    ContainerSpec,
    container_spec,
    docker_run,
)
from bert_tui.launchers.engine import WORK_SECONDS, address, connect, engine_errors, is_podman, remapping
from bert_tui.launchers.image import expected_image, prepare_image
from bert_tui.launchers.protocol import Alive, Exited, Handle, Job, Probe, Step, Unknown
from trainer.spec.problem import EnvironmentRefused, Problem
from trainer.spec.run_directory import AttemptDirectory

FIRST_MOMENTS = 2.0
"""Seconds for which a started container is watched: an image without Python ends within them."""


class DockerLauncher:
    """The ``docker`` launcher. Remembers which ulimits the engine has refused."""

    name = "docker"

    def __init__(self) -> None:
        self._refused_ulimits: list[str] = []

    def check(self, gpus_wanted: bool, image: str) -> list[Check]:
        """See :class:`~bert_tui.launchers.protocol.Launcher`."""
        return docker_checks(gpus_wanted, image)

    def prepare_image(self, image: str, gpus_wanted: bool, report: Callable[[Step], None]) -> tuple[str, str]:
        """See :class:`~bert_tui.launchers.protocol.Launcher`."""
        return prepare_image(image, gpus_wanted, report)

    def describe(self, job: Job) -> str:
        """The ``docker run`` line; after :meth:`start`, without the ulimits that the engine refused. The image "auto"
        is shown by the name it will get, or as IMAGE where that cannot be told yet.

        Raises:
            EnvironmentRefused: a path of the job would cover folders of the image.
        """
        named = replace(job, image=_name_to_show(job))
        return docker_run(container_spec(named, Caller.current(), self._refused_ulimits))

    def start(self, job: Job, record: Callable[[Handle, tuple[str, ...]], None]) -> Handle:
        """Creates the container, records it, starts it, and watches its first moments.

        Where the engine may not raise an ulimit, this is done again without it: ``record`` is then called once more,
        with the new container and a notice.
        """
        engine = address()
        client = connect(engine, seconds=WORK_SECONDS)
        require_fit(client, engine, job)
        (job.attempt.run.cache / "home").mkdir(parents=True, exist_ok=True)

        def start_once() -> Handle:
            spec = container_spec(job, Caller.current(), self._refused_ulimits)
            return self._start_once(client, engine, spec, job.attempt, record)

        return without_refused_ulimits(start_once, self._refused_ulimits)

    def _start_once(
        self,
        client: Any,
        engine: str,
        spec: ContainerSpec,
        attempt: AttemptDirectory,
        record: Callable[[Handle, tuple[str, ...]], None],
    ) -> Handle:
        container, warnings = create(client, spec)
        found_by = {"host": spec.hostname, "engine": engine, "container": container, "name": spec.name}
        handle: Handle = {"launcher": self.name, **found_by}
        notices = [Problem("docker.ulimit", "", name).english for name in self._refused_ulimits]
        with removed_on_error(client, container):
            record(handle, (*notices, *warnings))
            with engine_errors():
                client.start(container)
            _watch_first_moments(client, container, attempt)
        return handle

    def probe(self, handle: Handle) -> Probe:
        """Whether the container runs. One that is not there any more has exited."""
        if not all(isinstance(handle.get(name), str) for name in ("host", "engine", "container")):
            return Unknown("launch.json names no container")
        if handle["host"] != socket.gethostname():
            return Unknown(f"it was started on {handle['host']}")
        try:
            with engine_errors():
                state = connect(handle["engine"]).inspect_container(handle["container"])["State"]
        except EnvironmentRefused as refusal:
            gone = isinstance(refusal.__cause__, docker.errors.NotFound)
            return Exited(None) if gone else Unknown(str(refusal))
        if state["Status"] in ("running", "paused", "restarting"):
            return Alive()
        # "created" is a container whose starter died before it could start it.
        code = None if state["Status"] == "created" else int(state["ExitCode"])
        return Exited(code, out_of_memory=bool(state["OOMKilled"]))

    def kill(self, handle: Handle) -> None:
        """Kills every process in the container.

        Raises:
            EnvironmentRefused: the engine cannot be asked.
        """
        with engine_errors():
            client = connect(handle["engine"])
            with status_ignored(404, 409):  # gone, or not running
                client.kill(handle["container"])

    def remove(self, handle: Handle) -> None:
        """Removes the ended container.

        Raises:
            EnvironmentRefused: it runs, or the engine cannot be asked.
        """
        with engine_errors():
            client = connect(handle["engine"], seconds=WORK_SECONDS)
            with status_ignored(404):
                client.remove_container(handle["container"], v=True)


def containers_up_to(attempt: AttemptDirectory) -> list[Handle]:
    """The containers of an attempt and of those before it that are still there, found by their labels: a starter that
    was killed may have left one whose making nobody recorded.

    Raises:
        EnvironmentRefused: the engine cannot be asked.
    """
    engine = address()
    with engine_errors():
        found = connect(engine).containers(all=True, filters={"label": f"{RUN_LABEL}={attempt.run.path}"})
    common = {"launcher": DockerLauncher.name, "host": socket.gethostname(), "engine": engine}
    return [
        {**common, "container": container["Id"]}
        for container in found
        if int(container["Labels"][ATTEMPT_LABEL]) <= attempt.number
    ]


def runs_by_label() -> list[Path]:
    """The run directories of all containers that this program made and that are still there, running or not.

    Raises:
        EnvironmentRefused: the engine cannot be asked.
    """
    with engine_errors():
        containers = connect().containers(all=True, filters={"label": RUN_LABEL})
    return sorted({Path(container["Labels"][RUN_LABEL]) for container in containers})


def _name_to_show(job: Job) -> str:
    try:
        return expected_image(job.image, job.device == "cuda") if job.image == "auto" else job.image
    except EnvironmentRefused:
        return "IMAGE"


def require_fit(client: Any, engine: str, job: Job) -> None:
    """That this engine follows the rules by which runs are started.

    Raises:
        EnvironmentRefused: it is Podman and GPUs are wanted, it makes the caller another user inside, or it is silent.
    """
    with engine_errors():
        version, info = client.version(), client.info()
    if job.gpus and is_podman(version):
        raise EnvironmentRefused(Problem("docker.podman", engine))
    if remapped := remapping(info):
        raise EnvironmentRefused(Problem("docker.remapped", engine, remapped))


def _watch_first_moments(client: Any, container: str, attempt: AttemptDirectory) -> None:
    """Returns as soon as the supervisor has spoken.

    Raises:
        EnvironmentRefused: the container ended without a word of the supervisor.
    """
    deadline = time.monotonic() + FIRST_MOMENTS
    while time.monotonic() < deadline and not attempt.status.exists():
        with engine_errors():
            state = client.inspect_container(container)["State"]
            if state["Status"] == "exited" and not attempt.exit.exists():
                output = last_lines(client.logs(container, tail=5))
                raise EnvironmentRefused(Problem("docker.died", "", str(state["ExitCode"]), {"output": output}))
        time.sleep(0.1)
