"""A container in the engine: made from its description, and cleared away."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import docker.errors
from docker.types import DeviceRequest, LogConfig, Mount, Ulimit

from bert_tui.launchers.container_spec import LOG_DRIVER, LOG_OPTIONS, TMPFS, ContainerSpec
from bert_tui.launchers.engine import engine_errors, refused_ulimit
from trainer.spec.problem import EnvironmentRefused

Outcome = TypeVar("Outcome")


def create(client: Any, spec: ContainerSpec) -> tuple[str, tuple[str, ...]]:
    """Makes the container; gives its id and what the engine remarked.

    Raises:
        EnvironmentRefused: the engine does not make it.
    """
    host_config = client.create_host_config(
        init=True,
        network_mode="none",
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        read_only=True,
        tmpfs=TMPFS,
        group_add=[str(group) for group in spec.groups],
        mem_limit=spec.memory,
        shm_size=spec.shared_memory,
        ulimits=[Ulimit(name=name, soft=limit, hard=limit) for name, limit in spec.ulimits.items()],
        restart_policy={"Name": "no"},
        log_config=LogConfig(type=LOG_DRIVER, config=LOG_OPTIONS),
        device_requests=[DeviceRequest(device_ids=list(spec.gpus), capabilities=[["gpu"]])] if spec.gpus else None,
        mounts=[
            Mount(str(mount.target), str(mount.source), type="bind", read_only=not mount.writable)
            for mount in spec.mounts
        ],
    )
    with engine_errors():
        created = client.create_container(
            image=spec.image,
            command=list(spec.command),
            name=spec.name,
            hostname=spec.hostname,
            user=f"{spec.user[0]}:{spec.user[1]}",
            working_dir=str(spec.working_folder),
            environment=dict(spec.environment),
            labels=dict(spec.labels),
            stop_timeout=spec.stop_seconds,
            detach=True,
            use_config_proxy=False,  # there is no network, and proxies may carry passwords
            host_config=host_config,
        )
    return str(created["Id"]), tuple(created.get("Warnings") or ())


def without_refused_ulimits(start: Callable[[], Outcome], refused: list[str]) -> Outcome:
    """What ``start`` returns. Each time the engine refuses to raise an ulimit, its name goes into ``refused``, which
    ``start`` is to leave out, and it is called again.

    Raises:
        EnvironmentRefused: as ``start`` does, for any other reason.
    """
    while True:
        try:
            return start()
        except EnvironmentRefused as refusal:
            name = refused_ulimit(refusal)
            if not name or name in refused:
                raise
            refused.append(name)


def last_lines(output: bytes) -> str:
    """One line of text that may be shown on a terminal."""
    lines = output.decode("utf-8", "replace").splitlines()
    return " / ".join("".join(char for char in line if char.isprintable()).strip() for line in lines) or "no output"


@contextlib.contextmanager
def removed_on_error(client: Any, container: str) -> Iterator[None]:
    """Removes the container if what is done with it fails, whatever the reason."""
    try:
        yield
    except BaseException as error:
        try:
            with engine_errors():
                client.remove_container(container, force=True, v=True)
        except EnvironmentRefused as second:
            error.add_note(f"the container {container[:12]} may be left behind: {second}")
        raise


@contextlib.contextmanager
def status_ignored(*statuses: int) -> Iterator[None]:
    """Passes over answers of the engine that say that there is nothing to do."""
    try:
        yield
    except docker.errors.APIError as error:
        if error.status_code not in statuses:
            raise
