"""A trial container: made by the very rules by which a run's is made, before there is a run, to see what it finds.

It gets a run directory of its own below CHECKPOINT_PATH, with the trainer's code and a word written outside, and runs
``trainer.trial`` instead of the supervisor. Whatever happens, container and folders are removed; what an end of this
program leaves behind is removed by the next trial.
"""

from __future__ import annotations

import atexit
import contextlib
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bert_tui import __version__
from bert_tui.checks.mounts import nearest_folder
from bert_tui.launchers.container import create, last_lines, status_ignored, without_refused_ulimits
from bert_tui.launchers.container_spec import VERSION_LABEL, Caller, ContainerSpec, container_spec
from bert_tui.launchers.docker import require_fit
from bert_tui.launchers.engine import address, connect, engine_errors
from bert_tui.launchers.protocol import Job
from bert_tui.plan import Plan
from bert_tui.runs.job import job_of
from bert_tui.runs.prepare import prepare_code
from trainer.spec.blend import parse_blend
from trainer.spec.preset import replace as replace_settings
from trainer.spec.problem import EnvironmentRefused, Problem
from trainer.spec.records import Request, from_json
from trainer.spec.resolved import Resolved, read_resolved, render_resolved
from trainer.spec.run_directory import AttemptDirectory, RunDirectory, write_whole
from trainer.spec.trial import ECHO, NONCE, SECONDS, TrialReport

TRIAL_LABEL = "bert-tui.trial"
PREFIX = "bert-tui-trial-"
"""Of the folders' and the containers' names. No run's id, so nobody takes a trial for a run."""
START_SECONDS = 30
"""How long the engine may take to start the container."""
EXIT_SECONDS = 0.8
"""How long the end of this program may wait for a trial to be cleared away."""
POLL = 0.1


@dataclass(frozen=True)
class Trial:
    """What was found."""

    spec: ContainerSpec
    report: TrialReport
    nonce: str
    """The word that was written outside."""
    echo: str
    """The word found outside after the container wrote it; empty where there is none."""
    seconds: float
    """From the order to start to the answer."""
    refused_ulimits: tuple[str, ...]


def try_container(plan: Plan, image: str) -> Trial:
    """Starts a trial container for what ``plan`` would run in ``image``, and waits for its answer.

    Raises:
        EnvironmentRefused: the engine cannot start it, or it ended without an answer.
        TimeoutError: it gave none within :data:`~trainer.spec.trial.SECONDS`.
        OSError: the folder of the checkpoints cannot be written.
    """
    client = connect(seconds=START_SECONDS)
    _remove_leftovers(client)
    with _trial_run(plan) as (attempt, nonce):
        job = _job(plan, attempt, image)
        require_fit(client, address(), job)
        refused: list[str] = []

        def start() -> Trial:
            spec = _spec(job, attempt, refused)
            report, seconds = _run(client, spec)
            return Trial(spec, report, nonce, _read_echo(attempt), seconds, tuple(refused))

        return without_refused_ulimits(start, refused)


def _job(plan: Plan, attempt: AttemptDirectory, image: str) -> Job:
    """The job of a run, with those of its datasets that are there."""
    request = Request(plan.name, {}, plan.device, plan.gpus, plan.ranks, plan.threads)
    return job_of(attempt, request, read_resolved(attempt.preset)[0], image, _datasets(plan))


def _spec(job: Job, attempt: AttemptDirectory, refused_ulimits: list[str]) -> ContainerSpec:
    return replace(
        container_spec(job, Caller.current(), refused_ulimits),
        command=("python3", "-m", "trainer.trial", str(attempt.path)),
        labels={TRIAL_LABEL: attempt.run.id, VERSION_LABEL: __version__},
    )


def _run(client: Any, spec: ContainerSpec) -> tuple[TrialReport, float]:
    container, _ = create(client, spec)
    with _removed_afterwards(client, container):
        begin = time.monotonic()
        with engine_errors():
            client.start(container)
            while time.monotonic() - begin < SECONDS:
                if client.inspect_container(container)["State"]["Status"] == "exited":
                    return _report(client, container), time.monotonic() - begin
                time.sleep(POLL)
    raise TimeoutError(f"no answer within {SECONDS} s")


def _report(client: Any, container: str) -> TrialReport:
    """What the ended container has printed."""
    lines = client.logs(container, stdout=True, stderr=False).decode("utf-8", "replace").splitlines()
    report = from_json(TrialReport, lines[-1]) if lines else None
    if report is None:
        status = client.inspect_container(container)["State"]["ExitCode"]
        facts = {"output": last_lines(client.logs(container, tail=5))}
        raise EnvironmentRefused(Problem("docker.died", "", str(status), facts))
    return report


@contextlib.contextmanager
def _trial_run(plan: Plan) -> Iterator[tuple[AttemptDirectory, str]]:
    """A run directory below the folder of the checkpoints, or below the nearest that is there, and the word in it."""
    checkpoints = nearest_folder(plan.preset.checkpoint.path or "/")
    logs = nearest_folder(plan.preset.logs.tensorboard_path or checkpoints)
    for folder in {checkpoints, logs}:
        _remove_old_folders(folder)
    run = RunDirectory(Path(tempfile.mkdtemp(prefix=PREFIX, dir=checkpoints)))
    with _folders_removed_afterwards(run.path, logs / run.id):
        attempt, nonce = run.attempt(1), secrets.token_hex(16)
        (logs / run.id).mkdir(mode=0o700, exist_ok=True)
        for made in (run.cache / "home", attempt.path):
            made.mkdir(parents=True)
        code = prepare_code(run, update=False, show=lambda *progress: None)
        preset = replace_settings(plan.preset, checkpoint__path=str(checkpoints), logs__tensorboard_path=str(logs))
        write_whole(
            attempt.preset, render_resolved(preset, _resolved(plan, run, code), "What a trial container reads.")
        )
        write_whole(attempt.path / NONCE, nonce)
        yield attempt, nonce


def _resolved(plan: Plan, run: RunDirectory, code: str) -> Resolved:
    return Resolved(
        run_id=run.id,
        preset_name=plan.name,
        device=plan.device,
        ranks=plan.ranks,
        threads=plan.threads,
        gpus=plan.gpus,
        data_path=_datasets(plan),
        data_fingerprint="",
        vocab_sha256="",
        image="",
        image_id="",
        code_sha256=code,
        program_version=__version__,
    )


def _datasets(plan: Plan) -> tuple[str, ...]:
    """Those of the run that are there: the others are a matter of the data's own checks."""
    if plan.preset.data.source != "files":
        return ()
    prefixes = parse_blend(plan.preset.data.data_path).prefixes
    return tuple(prefix for prefix in prefixes if all(Path(prefix + end).is_file() for end in (".idx", ".bin")))


def _read_echo(attempt: AttemptDirectory) -> str:
    try:
        return (attempt.path / ECHO).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""


@contextlib.contextmanager
def _removed_afterwards(client: Any, container: str) -> Iterator[None]:
    """Kills and removes the container, also where this program ends meanwhile."""

    def remove() -> None:
        with engine_errors(), status_ignored(404, 409):
            client.remove_container(container, force=True, v=True)

    def at_exit() -> None:
        client.timeout = EXIT_SECONDS
        with contextlib.suppress(EnvironmentRefused):  # the next trial removes it
            remove()

    atexit.register(at_exit)
    try:
        yield
    finally:
        atexit.unregister(at_exit)
        remove()


@contextlib.contextmanager
def _folders_removed_afterwards(*folders: Path) -> Iterator[None]:
    def remove() -> None:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    try:
        yield
    finally:
        atexit.unregister(remove)
        remove()


def _remove_leftovers(client: Any) -> None:
    """Containers of trials whose program was killed."""
    oldest = time.time() - 2 * SECONDS
    with engine_errors():
        for container in client.containers(all=True, filters={"label": TRIAL_LABEL}):
            if container["Created"] < oldest:
                with status_ignored(404, 409):
                    client.remove_container(container["Id"], force=True, v=True)


def _remove_old_folders(parent: Path) -> None:
    """Folders of such trials."""
    oldest = time.time() - 2 * SECONDS
    for folder in parent.glob(f"{PREFIX}*"):
        if folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)
