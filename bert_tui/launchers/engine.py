"""The Docker Engine: where it is, how it is reached, and what its errors mean.

Every call has an end: an engine that accepts a connection and never answers is a problem, not a wait. This module
imports the docker SDK; a screen imports it only when it needs the engine.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests.exceptions
from docker.context import ContextAPI
from docker.context.config import get_current_context_name

from trainer.spec.problem import EnvironmentRefused, Problem

ANSWER_SECONDS = 4
"""How long the engine may take to answer a question about itself or about a container."""
WORK_SECONDS = 120
"""How long it may take to create or start a container; a driver that was unloaded is slow with many GPUs."""


def address() -> str:
    """Where the engine is, found as the docker command line finds it: DOCKER_HOST, DOCKER_CONTEXT, the current
    context, the default socket.

    Raises:
        EnvironmentRefused: there is no context of that name, which the command line refuses as well.
    """
    if host := os.environ.get("DOCKER_HOST"):
        return host
    name = os.environ.get("DOCKER_CONTEXT") or get_current_context_name()
    context = ContextAPI.get_context(name)
    if context is None:
        raise EnvironmentRefused(Problem("docker.context", "", name))
    return str(context.Host) if context.Host else "unix:///var/run/docker.sock"


def connect(engine: str = "", *, seconds: float = ANSWER_SECONDS) -> Any:
    """A ``docker.APIClient`` of the engine at ``engine`` (default: :func:`address`), which has answered once. Each of
    its calls may take ``seconds``.

    Raises:
        EnvironmentRefused: it is remote, absent, down, silent, or not for this user; or no such context.
    """
    engine = engine or address()
    if not engine.startswith(("unix://", "/")):
        raise EnvironmentRefused(Problem("docker.remote", engine))
    _knock(Path(engine.removeprefix("unix://")))
    with engine_errors():
        client = docker.APIClient(base_url=engine, version="auto", timeout=ANSWER_SECONDS)
    if seconds != ANSWER_SECONDS:
        client.timeout = seconds
    return client


def is_podman(version: dict[str, Any]) -> bool:
    """Whether the answer to ``version()`` comes from Podman."""
    return any("podman" in part.get("Name", "").lower() for part in version.get("Components") or ())


def remapping(info: dict[str, Any]) -> str:
    """Why users are others inside containers than outside, by the answer to ``info()``: "rootless", "userns" (the
    daemon's userns-remap), or empty where they are the same."""
    options = {option.partition(",")[0] for option in info.get("SecurityOptions") or ()}
    return next((kind for kind in ("rootless", "userns") if f"name={kind}" in options), "")


@contextmanager
def engine_errors() -> Iterator[None]:
    """Turns the SDK's errors into :class:`EnvironmentRefused`.

    "Not found" and "conflict" that a caller expects it catches inside.
    """
    try:
        yield
    except requests.exceptions.Timeout as error:
        raise EnvironmentRefused(Problem("docker.silent", address())) from error
    except requests.exceptions.ConnectionError as error:
        code = "docker.silent" if _nobody_answers(error) else "docker.lost"
        raise EnvironmentRefused(Problem(code, address(), "", {"reason": str(error)})) from error
    except docker.errors.APIError as error:
        raise EnvironmentRefused(explain(_text(error))) from error
    except docker.errors.DockerException as error:
        code = "docker.silent" if _nobody_answers(error) else "docker.refused"
        raise EnvironmentRefused(Problem(code, address(), str(error))) from error


def explain(message: str) -> Problem:
    """What the engine means by an error message. One that is not known is passed on in its own words."""
    for pattern, problem in _MEANINGS:
        if match := re.search(pattern, message, re.IGNORECASE):
            return problem(match)
    return Problem("docker.refused", "", message)


def refused_ulimit(error: BaseException) -> str:
    """The name of the ulimit for which the engine refused to start a container; empty if that was not the reason."""
    match = re.search(r"rlimit type (\d+)", str(error))
    return _RLIMITS.get(int(match.group(1)), "") if match else ""


_RLIMITS = {3: "stack", 7: "nofile", 8: "memlock"}
"""Numbers of getrlimit(2) on Linux, as runc prints them."""

_FULL_QUEUE = "resource temporarily unavailable"
"""The kernel's word for a socket whose queue is full: whoever should take the connections does not."""

_MEANINGS: tuple[tuple[str, Callable[[re.Match[str]], Problem]], ...] = (
    (r"could not select device driver", lambda m: Problem("docker.gpu_toolkit", "", m.string)),
    (
        r"requirement error: unsatisfied condition: ([^,]+)",
        lambda m: Problem("docker.cuda_requirement", "", m.group(1).strip()),
    ),
    (r"nvidia-container-cli: (.*)", lambda m: Problem("docker.gpu_start", "", m.group(1))),
    (
        r"unknown(?: or invalid)? runtime(?: name| specified)?:? (\S+)",
        lambda m: Problem("docker.runtime", "", m.group(1)),
    ),
    (r"container name \"?/?([^\" ]+)\"? is already in use", lambda m: Problem("docker.name_taken", "", m.group(1))),
    (r"no such image: (\S+)", lambda m: Problem("docker.image_absent", "", m.group(1))),
    (r"bind source path does not exist: (\S+)", lambda m: Problem("docker.mount_absent", m.group(1))),
    (
        r"invalid mount config for type \"bind\": stat (.+?): permission denied",
        lambda m: Problem("docker.mount_denied", m.group(1)),
    ),
    (_FULL_QUEUE, lambda m: Problem("docker.silent", address())),
    (r"no space left on device", lambda m: Problem("docker.disk_full", "", m.string)),
    (
        r"no basic auth credentials|authentication required|unauthorized|incorrect username or password",
        lambda m: Problem("docker.unauthorised", "", m.string),
    ),
    (r"toomanyrequests|unexpected HTTP status", lambda m: Problem("docker.registry_refused", "", m.string)),
    (
        r"x509|server gave HTTP response to HTTPS client|tls: |certificate",
        lambda m: Problem("docker.tls", "", m.string),
    ),
    (
        r"(?:manifest|tag|repository|name).{0,80}(?:unknown|not found|does not exist)|pull access denied"
        r"|denied: ",
        lambda m: Problem("docker.image_unknown", "", m.string),
    ),
    (
        r"dial (?:tcp|udp)|lookup .* on |no such host|connection re(?:fused|set)|i/o timeout|TLS handshake"
        r"|proxyconnect|Client\.Timeout|context deadline exceeded|network is unreachable|unexpected EOF",
        lambda m: Problem("docker.registry", "", m.string),
    ),
)
"""Messages of Docker Engine 20.10 to 29 and of runc, the special before the general."""


def _nobody_answers(error: Exception) -> bool:
    """Whether an error of the SDK, which calls it a broken connection, means an engine that is silent."""
    return re.search(f"timed out|{_FULL_QUEUE}", str(error), re.IGNORECASE) is not None


def _knock(path: Path) -> None:
    """Opens the socket once: the kernel's errors tell apart what the SDK reports as one."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise EnvironmentRefused(Problem("docker.absent", str(path)))
        with socket.socket(socket.AF_UNIX) as knock:
            knock.settimeout(ANSWER_SECONDS)
            knock.connect(str(path))
    except FileNotFoundError as error:
        raise EnvironmentRefused(Problem("docker.down" if _is_installed() else "docker.absent", str(path))) from error
    except ConnectionRefusedError as error:
        raise EnvironmentRefused(Problem("docker.down", str(path))) from error
    except PermissionError as error:
        raise EnvironmentRefused(_no_permission(path)) from error
    except (TimeoutError, BlockingIOError) as error:
        raise EnvironmentRefused(Problem("docker.silent", str(path))) from error
    except OSError as error:
        raise EnvironmentRefused(Problem("docker.lost", str(path), "", {"reason": str(error)})) from error


def _is_installed() -> bool:
    """Whether this machine has an engine, running or not. Where it lies, ordinary users often do not search."""
    folders = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))
    return shutil.which("dockerd", path=folders) is not None


def _no_permission(path: Path) -> Problem:
    """Which group opens the socket, and whether the caller is in it: groups are counted when a session begins, so who
    has just joined has to log in again."""
    try:
        group = grp.getgrgid(path.stat().st_gid)
        user = pwd.getpwuid(os.geteuid()).pw_name
    except (KeyError, OSError):
        return Problem("docker.permission", str(path), "docker")
    joined = user in group.gr_mem and group.gr_gid not in os.getgroups()
    return Problem("docker.group" if joined else "docker.permission", str(path), group.gr_name)


def _text(error: Any) -> str:
    """What the engine said, without the SDK's preamble."""
    return str(error.explanation or error)
