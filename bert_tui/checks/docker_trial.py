"""The checklist's last question about containers: one is started by the rules of the run and tells what it found."""

from __future__ import annotations

from collections.abc import Iterator

from bert_tui.advice.words import describe
from bert_tui.checks.check import Check
from bert_tui.checks.docker_image import chosen_image
from bert_tui.checks.docker_words import answered, problem_answer
from bert_tui.checks.runner import Subject
from bert_tui.launchers.engine import connect
from bert_tui.launchers.fetching.here import look_up
from bert_tui.plan import trial_plan
from bert_tui.runs.trial import Trial, try_container
from trainer.spec.problem import PresetError, Problem
from trainer.spec.sizing import GIB
from trainer.spec.trial import SECONDS

NAME = "docker.trial"


def trial(subject: Subject) -> Check:
    """Whether a container sees the GPUs and the files that the run needs, as the caller, with the memory it was
    promised, and can import what training imports."""
    if subject.preset.launch.launcher != "docker":
        return answered(NAME, "pass", "not needed without a container")
    image = chosen_image(subject)
    if look_up(connect(), image) is None:
        return answered(NAME, "unknown", f"{image} is not here yet", "It is tried once the image is here.")
    try:
        plan = trial_plan(subject.preset, subject.machine)
    except PresetError as error:
        return answered(NAME, "unknown", "not tried", describe(error.problems[0]).what)
    if plan.device == "cuda" and not plan.gpus:
        return answered(NAME, "unknown", "not tried", "There is no GPU to try it with: see the line 'GPUs'.")
    try:
        found = try_container(plan, image)
    except TimeoutError:
        meaning = "The container was ended and removed. The disk of the image may be slow, or a GPU may hang."
        return answered(NAME, "unknown", f"no answer within {SECONDS} s", meaning, "Check again.")
    except OSError as error:
        meaning = "It writes a file where the checkpoints shall lie, and could not."
        return answered(NAME, "unknown", f"{error.filename}: {error.strerror}", meaning, "Choose another folder.")
    return judge(found)


def judge(found: Trial) -> Check:
    """The answer that follows from what a trial container found."""
    if problem := next(problems_of(found), None):
        return problem_answer(NAME, problem, meaning="A run would fail, or train on other files than you mean.")
    report, spec = found.report, found.spec
    if report.shared_memory < spec.shared_memory:
        seen = f"/dev/shm has {report.shared_memory / GIB:.1f} of {spec.shared_memory / GIB:.1f} GiB"
        meaning = "The engine gives containers less shared memory than it was asked for: GPUs exchange data through it."
        return answered(NAME, "warn", seen, meaning, "df -h /dev/shm; docker info")
    seen = f"{report.seen}; sees your files; {found.seconds:.1f} s"
    refused = " ".join(describe(Problem("docker.ulimit", "", name)).what for name in found.refused_ulimits)
    return answered(NAME, "pass", seen, refused)


def problems_of(found: Trial) -> Iterator[Problem]:
    """What stands in the way of a run, the most telling first."""
    report, spec = found.report, found.spec
    folder = str(spec.working_folder.parent.parent)
    if report.nonce != found.nonce:
        yield Problem("docker.trial_unseen", folder)
    elif report.echo_error or found.echo != found.nonce:
        yield Problem("docker.trial_unwritable", folder, "", {"reason": report.echo_error or "it is not seen outside"})
    if (report.uid, report.gid) != spec.user or set(report.groups) != set(spec.groups):
        facts = {"wanted": _who(*spec.user, spec.groups)}
        yield Problem("docker.trial_user", "", _who(report.uid, report.gid, report.groups), facts)
    for path, reason in report.unreadable.items():
        yield Problem("docker.trial_unreadable", path, "", {"reason": reason})
    if report.problem is not None:
        yield report.problem


def _who(uid: int, gid: int, groups: tuple[int, ...]) -> str:
    return ":".join(map(str, (uid, gid, *groups)))
