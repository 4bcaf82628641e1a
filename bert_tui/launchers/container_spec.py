"""What the container of an attempt is: one description, from which both the engine's call (``docker.py``) and the
``docker run`` line that an operator reads and copies are made.

The container runs as the caller, without capabilities and without network, on a read-only root. Host path and path
inside are the same, so every path in a preset, a log or an error means the same on both sides.
"""

from __future__ import annotations

import csv
import io
import os
import pwd
import shlex
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bert_tui import __version__
from bert_tui.launchers.protocol import Job
from trainer.spec.problem import EnvironmentRefused, Problem
from trainer.spec.run_directory import AttemptDirectory, RunDirectory

MIB, GIB = 2**20, 2**30

RUN_LABEL, ATTEMPT_LABEL, VERSION_LABEL = "bert-tui.run", "bert-tui.attempt", "bert-tui.version"

TMPFS = {"/tmp": "rw,exec,nosuid,nodev,size=4g,mode=1777"}
"""With ``exec``, which Docker leaves out by default: compilers run what they have built there."""

LOG_DRIVER, LOG_OPTIONS = "json-file", {"max-size": "10m", "max-file": "2"}
"""Training logs to a file in the run directory; this bounds what else a program may print."""

ULIMITS = {"memlock": -1, "stack": 64 * MIB, "nofile": 65536}
"""As the banner of NVIDIA's images asks, and open files for data loaders: Engine 29 gives only 1,024."""

SYSTEM_FOLDERS = (
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/proc",
    "/sbin",
    "/sys",
    "/usr",
)
"""Nothing may be mounted on them or inside them: the image's programs, or the kernel's own file systems."""
SHARED_FOLDERS = ("/", "/home", "/opt", "/root", "/run", "/tmp", "/var")
"""Nothing may be mounted on them; folders inside them may be."""


@dataclass(frozen=True)
class Caller:
    """Who starts the container, and where."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    """Supplementary groups, without ``gid``: folders shared with a group stay usable inside."""
    name: str
    host: str
    memory: int
    """Bytes of memory of this machine."""

    @classmethod
    def current(cls) -> Caller:
        """The user of this process."""
        uid, gid = os.getuid(), os.getgid()
        return cls(
            uid=uid,
            gid=gid,
            groups=tuple(sorted(set(os.getgroups()) - {gid})),
            name=_user_name(uid),
            host=socket.gethostname(),
            memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        )


@dataclass(frozen=True)
class BindMount:
    """A file or folder of the host, seen inside at ``target``."""

    source: Path
    """Without symbolic links."""
    target: Path
    writable: bool


@dataclass(frozen=True)
class ContainerSpec:
    """A container, before it exists. What is the same for every run stands in this module's constants."""

    name: str
    image: str
    command: tuple[str, ...]
    hostname: str
    """That of the host, so that locks and telemetry name the machine and not the container."""
    user: tuple[int, int]
    """uid, gid."""
    groups: tuple[int, ...]
    working_folder: Path
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    mounts: tuple[BindMount, ...]
    """Outer folders before those inside them."""
    memory: int
    """Bytes, /dev/shm and /tmp included."""
    shared_memory: int
    """Bytes of /dev/shm."""
    ulimits: Mapping[str, int]
    gpus: tuple[str, ...]
    stop_seconds: int


def container_name(attempt: AttemptDirectory) -> str:
    """An attempt has one container, and its name says whose it is."""
    return f"{attempt.run.id}-{attempt.number:03d}"


def container_spec(job: Job, caller: Caller, without_ulimits: Iterable[str] = ()) -> ContainerSpec:
    """The container for a job. ``without_ulimits`` names limits that the engine is known to refuse.

    Raises:
        EnvironmentRefused: a path of the job would cover folders of the image; all such paths are named.
    """
    run = job.attempt.run
    return ContainerSpec(
        name=container_name(job.attempt),
        image=job.image,
        command=("python3", "-m", "trainer.supervise", str(job.attempt.path)),
        hostname=caller.host,
        user=(caller.uid, caller.gid),
        groups=caller.groups,
        working_folder=run.code,
        environment=_environment(run, caller),
        labels={RUN_LABEL: str(run.path), ATTEMPT_LABEL: str(job.attempt.number), VERSION_LABEL: __version__},
        mounts=_mounts(job),
        memory=memory_limit(caller.memory),
        shared_memory=min(job.ranks * GIB, caller.memory // 2) // MIB * MIB,
        ulimits={name: value for name, value in ULIMITS.items() if name not in set(without_ulimits)},
        gpus=job.gpus,
        stop_seconds=job.stop_seconds,
    )


def memory_limit(total: int) -> int:
    """Bytes a container may use on a machine with ``total``: a sixteenth, at least 1 GiB, is left to the host, so that
    a run that grows is ended by its own limit and not with half of the machine."""
    return max(total - max(total // 16, GIB), total // 2) // MIB * MIB


def docker_run(spec: ContainerSpec) -> str:
    """The ``docker run`` command that makes and starts the same container: a line an option, quoted for a shell."""
    lines = [["docker", "run"]]
    for word in _options(spec):
        if word.startswith("--"):
            lines.append([])
        lines[-1].append(word)
    lines.append([spec.image, *spec.command])
    return " \\\n  ".join(shlex.join(line) for line in lines)


def _options(spec: ContainerSpec) -> Iterator[str]:
    """Options and their values. Only options begin with dashes: values are names, numbers, paths and pairs."""
    yield "--detach"
    yield from ("--name", spec.name, "--hostname", spec.hostname, "--user", f"{spec.user[0]}:{spec.user[1]}")
    for group in spec.groups:
        yield from ("--group-add", str(group))
    yield from ("--init", "--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    yield "--read-only"
    for path, options in TMPFS.items():
        yield from ("--tmpfs", f"{path}:{options}")
    yield from ("--memory", str(spec.memory), "--shm-size", str(spec.shared_memory))
    for name, limit in spec.ulimits.items():
        yield from ("--ulimit", f"{name}={limit}")
    yield from ("--log-driver", LOG_DRIVER)
    for name, option in LOG_OPTIONS.items():
        yield from ("--log-opt", f"{name}={option}")
    yield from ("--stop-timeout", str(spec.stop_seconds))
    if spec.gpus:
        yield from ("--gpus", _csv([f"device={','.join(spec.gpus)}"]))
    for name, value in spec.environment.items():
        yield from ("--env", f"{name}={value}")
    for name, value in spec.labels.items():
        yield from ("--label", f"{name}={value}")
    for mount in spec.mounts:
        fields = ["type=bind", f"source={mount.source}", f"target={mount.target}"]
        yield from ("--mount", _csv(fields if mount.writable else [*fields, "readonly"]))
    yield from ("--workdir", str(spec.working_folder))


def _csv(fields: list[str]) -> str:
    """Docker reads the values of some options as one record of CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(fields)
    return text.getvalue()


def _environment(run: RunDirectory, caller: Caller) -> dict[str, str]:
    return {
        # The uid has no entry in the image's /etc/passwd: whoever asks for the user's name looks here first.
        "USER": caller.name,
        "LOGNAME": caller.name,
        "HOME": str(run.cache / "home"),
        # Not in the run directory: sockets are made here, and their paths may have 107 bytes at most.
        "TMPDIR": "/tmp",
        "TORCHINDUCTOR_CACHE_DIR": str(run.cache / "inductor"),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(run.code),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _mounts(job: Job) -> tuple[BindMount, ...]:
    """Each path as the operator wrote it and as it resolves, so that links inside and outside mean the same."""
    code = job.attempt.run.code
    wanted = {**dict.fromkeys(job.readable, False), **dict.fromkeys(job.writable, True), code: False}
    mounts: dict[Path, BindMount] = {}
    for path, writable in wanted.items():
        source = Path(os.path.realpath(path))
        for target in (Path(os.path.abspath(path)), source):  # noqa: PTH100 (resolve() would follow links)
            mounts[target] = BindMount(source, target, writable)
    _refuse_covering(mounts)
    return tuple(_without_repetition(sorted(mounts.values(), key=lambda mount: mount.target.parts)))


def _without_repetition(mounts: Iterable[BindMount]) -> Iterator[BindMount]:
    """Leaves out what an outer mount already shows at the same place and in the same mode."""
    kept: list[BindMount] = []
    for mount in mounts:
        outer = next((other for other in reversed(kept) if mount.target.is_relative_to(other.target)), None)
        if outer is None or mount != _inside(outer, mount.target):
            kept.append(mount)
            yield mount


def _inside(outer: BindMount, target: Path) -> BindMount:
    """What ``outer`` shows at ``target``, a path below its own, if no link lies between."""
    return BindMount(outer.source / target.relative_to(outer.target), target, outer.writable)


def _refuse_covering(targets: Iterable[Path]) -> None:
    problems = []
    for target in targets:
        covered = next((folder for folder in SYSTEM_FOLDERS if target.is_relative_to(folder)), None)
        if covered is not None or str(target) in SHARED_FOLDERS:
            problems.append(Problem("docker.mount_covers", str(target), str(covered or target)))
    if problems:
        raise EnvironmentRefused(*problems)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
