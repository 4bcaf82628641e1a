"""A look around inside a container before any run: ``python -m trainer.trial ATTEMPT_DIR``.

Asks what only the inside can tell (which user, which files, how much shared memory), then what the preflight of every
run asks. Prints a :class:`~trainer.spec.trial.TrialReport` as the last line.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from trainer.preflight import look_around
from trainer.spec.blend import parse_blend
from trainer.spec.problem import SpecError
from trainer.spec.records import to_json
from trainer.spec.resolved import read_resolved
from trainer.spec.run_directory import AttemptDirectory
from trainer.spec.trial import ECHO, SECONDS, TrialReport, nonce_in

SHARED_MEMORY = "/dev/shm"
ULIMITS = {"memlock": resource.RLIMIT_MEMLOCK, "stack": resource.RLIMIT_STACK, "nofile": resource.RLIMIT_NOFILE}


def report(attempt: AttemptDirectory) -> TrialReport:
    """What this container is like.

    Raises:
        PresetError, RunError: the attempt's preset cannot be read.
    """
    preset, resolved = read_resolved(attempt.preset)
    seen, problem = "", None
    try:
        seen = look_around(preset, resolved)
    except SpecError as refusal:
        problem = refusal.problems[0]
    shared = os.statvfs(SHARED_MEMORY)
    nonce = nonce_in(attempt)
    return TrialReport(
        uid=os.getuid(),
        gid=os.getgid(),
        groups=tuple(sorted(set(os.getgroups()) - {os.getgid()})),
        nonce=nonce,
        echo_error=_write_back(attempt, nonce),
        unreadable=_unreadable(resolved.data_path),
        shared_memory=shared.f_frsize * shared.f_blocks,
        ulimits={name: resource.getrlimit(number)[0] for name, number in ULIMITS.items()},
        seen=seen,
        problem=problem,
    )


def _write_back(attempt: AttemptDirectory, nonce: str) -> str:
    try:
        (attempt.path / ECHO).write_text(nonce, encoding="ascii")
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _unreadable(data_path: Iterable[str]) -> Mapping[str, str]:
    """The files of the datasets that do not give their first byte, and why."""
    prefixes = parse_blend(tuple(data_path)).prefixes
    problems = {}
    for path in (Path(prefix + ending) for prefix in prefixes for ending in (".idx", ".bin")):
        try:
            with path.open("rb") as file:
                file.read(1)
        except OSError as error:
            problems[str(path)] = error.strerror or str(error)
    return problems


def main(arguments: list[str]) -> int:
    """0 if there is a report; what the preflight refused is part of it."""
    signal.alarm(SECONDS)
    print(to_json(report(AttemptDirectory(Path(arguments[0])))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
