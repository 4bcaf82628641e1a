"""``bert-tui image`` as lines of text, or as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from bert_tui import diagnostics
from bert_tui.exit_status import ExitStatus
from bert_tui.invocation import program
from bert_tui.launchers.engine import connect, engine_errors
from bert_tui.launchers.fetching.folder import FetchFolder, FetchOrder
from bert_tui.launchers.fetching.here import look_up, names_here
from bert_tui.launchers.fetching.job import (
    FetchView,
    cancel_fetch,
    find_fetches,
    load_order,
    pull_order,
    start_fetch,
    wait_for,
)
from bert_tui.launchers.fetching.progress import FetchProgress
from bert_tui.launchers.fetching.room import keeps_layers
from bert_tui.launchers.image import chosen_image
from bert_tui.machine import Machine, read_machine
from bert_tui.metrics.sentences import size
from bert_tui.paths import expand_path
from bert_tui.plain.dialogue import Dialogue
from bert_tui.wizard.choices import Choice, sentence
from bert_tui.wizard.image_look import ImageLook, facts, loaded_name, look
from bert_tui.wizard.image_words import (
    cancel_words,
    closed_network_lines,
    in_brief,
    progress_line,
    stage,
    unreachable_image,
)
from trainer.spec.problem import EnvironmentRefused, Problem
from trainer.spec.records import to_json

LINE_SECONDS = 2.0
"""Between two lines of one phase."""
STATUS = {
    "finished": ExitStatus.FINISHED,
    "failed": ExitStatus.FAILED,
    "cancelled": ExitStatus.STOPPED,
    "died": ExitStatus.FAILED,
}
WAYS = (
    Choice("run", "With the training", "the run fetches it when it starts"),
    Choice("now", "Now", "and wait for it; it goes on if you leave"),
    Choice("file", "From a file", "that docker save wrote, for machines without internet"),
)


def pull_image(image: str, *, detach: bool, as_json: bool) -> int:
    """Fetches an image, by default the one for this machine, unless it is here; the exit status."""
    machine = read_machine()
    wanted = chosen_image(image or "auto", bool(machine.gpus))
    order = pull_order(wanted)
    if look_up(connect(), wanted) is not None:
        print(json.dumps({"images": [wanted]}) if as_json else f"{wanted} is here already.")
        return ExitStatus.FINISHED
    return _fetch(order, detach=detach, as_json=as_json)


def load_image(file: Path, *, detach: bool, as_json: bool) -> int:
    """Loads images from a file; the exit status."""
    return _fetch(load_order(file), detach=detach, as_json=as_json)


def ask_for_image(dialogue: Dialogue, answer: str, machine: Machine, gpus_wanted: bool) -> str:
    """How an image that is not here comes here: with the run, now, or from a file; gives the answer for
    ``launch.image``, which is another one where a file brought another image. ``answer`` is empty for the proposed one.

    Raises:
        WentBack, Left, Refused: instead of an answer.
    """
    while True:
        seen = look(answer, machine, gpus_wanted)
        for name, value in facts(seen):
            dialogue.say(f"  {name:<9} {value.replace(chr(10), ' ')}", indent=12)
        if seen.next_step == "take" or not seen.image or seen.problem is not None:
            return answer
        way = dialogue.choose("The image", WAYS, "run", "image")
        if way == "run":
            return answer
        try:
            order = pull_order(seen.image) if way == "now" else load_order(_asked_file(dialogue))
            lines = _ProgressLines(lambda progress: dialogue.say(progress_line(progress)))
            view = wait_for(start_fetch(order), lines.show)
        except EnvironmentRefused as refusal:
            dialogue.cannot(way, sentence(refusal.problems[0]))
            continue
        if view.problem is not None:
            dialogue.cannot(way, sentence(view.problem))
        dialogue.say(in_brief(view))
        answer = (loaded_name(view) if view.order.file else "") or answer


def print_fetches(*, as_json: bool) -> int:
    """The jobs of this user, the last begun first."""
    views = find_fetches()
    if as_json:
        print(json.dumps([_facts(view) for view in views], ensure_ascii=False, indent=2))
        return ExitStatus.FINISHED
    if not views:
        print(f"No image was fetched yet. {program()} image pull fetches the one for this machine.")
    for view in views:
        print(in_brief(view))
        if view.state == "running" and view.progress is not None:
            print(f"    {progress_line(view.progress)}")
        if view.problem is not None:
            diagnostics.tell_problems(EnvironmentRefused(view.problem))
    return ExitStatus.FINISHED


def print_images(*, as_json: bool) -> int:
    """The image for this machine, then those that are here."""
    machine, client = read_machine(), connect()
    proposed = look("", machine, bool(machine.gpus))
    here = [image for name in names_here(client) if (image := look_up(client, name)) is not None]
    if as_json:
        facts = {
            "proposed": vars(proposed.proposal) | {"here": proposed.here is not None},
            "here": [vars(image) for image in here],
        }
        print(json.dumps(facts, ensure_ascii=False, indent=2))
        return ExitStatus.FINISHED
    print(_proposal_line(proposed))
    for image in here:
        inside = ", ".join(
            f"{name} {value}" for name, value in (("PyTorch", image.pytorch), ("CUDA", image.cuda)) if value
        )
        print(f"{size(image.size):>8}  {image.name}{f'  ({inside})' if inside else ''}")
    return ExitStatus.FINISHED


def cancel(what: str) -> int:
    """Ends the fetch of an image or a file; without a name, the one that is going on."""
    running = [view for view in find_fetches() if view.state == "running" and (not what or _is_meant(view, what))]
    if len(running) != 1:
        names = ", ".join(view.order.what for view in running) or "none is going on"
        raise EnvironmentRefused(Problem("image.no_job", "", f"{what} ({names})" if what else names))
    cancel_fetch(running[0].folder)
    wait_for(running[0].folder, lambda progress: None)
    client = connect()
    with engine_errors():
        print(f"{running[0].order.what} is no longer fetched. {cancel_words(keeps_layers(client.info()))}")
    return ExitStatus.FINISHED


def _asked_file(dialogue: Dialogue) -> Path:
    def problem(text: str) -> str:
        try:
            load_order(Path(expand_path(text)))
        except EnvironmentRefused as refusal:
            return sentence(refusal.problems[0])
        return ""

    return Path(expand_path(dialogue.ask("File that docker save wrote", "", problem, "image")))


def _fetch(order: FetchOrder, *, detach: bool, as_json: bool) -> int:
    folder = start_fetch(order)
    if not detach:
        return _follow(folder, as_json=as_json)
    words = f"{order.what} is being fetched; see it with: {program()} image status"
    print(json.dumps({"folder": str(folder.path)}) if as_json else words)
    return ExitStatus.FINISHED


def _follow(folder: FetchFolder, *, as_json: bool) -> int:
    """Prints how far it is until it ends; Ctrl-C ends only the printing."""
    try:
        lines = _ProgressLines(lambda progress: print(to_json(progress) if as_json else progress_line(progress)))
        view = wait_for(folder, lines.show)
    except KeyboardInterrupt:
        diagnostics.tell(f"it goes on; see it with: {program()} image status; end it with: {program()} image cancel")
        return ExitStatus.DETACHED
    if as_json:
        print(json.dumps(_facts(view), ensure_ascii=False))
    else:
        print(in_brief(view))
    if view.problem is not None:
        diagnostics.tell_problems(EnvironmentRefused(view.problem))
    if image := unreachable_image(view):
        diagnostics.tell("\n".join(closed_network_lines(image)))
    return STATUS[view.state]


class _ProgressLines:
    """A line now and then, and at each new phase."""

    def __init__(self, say: Callable[[FetchProgress], None]) -> None:
        self._say = say
        self._shown = 0.0
        self._doing = ""

    def show(self, progress: FetchProgress) -> None:
        """Where it is."""
        now, doing = time.monotonic(), stage(progress)
        if doing == self._doing and now - self._shown < LINE_SECONDS:
            return
        self._shown, self._doing = now, doing
        self._say(progress)


def _proposal_line(seen: ImageLook) -> str:
    proposal = seen.proposal
    if not proposal.image:
        return f"{proposal.reason}\n"
    state = "is here" if seen.here is not None else f"is not here yet: {program()} image pull"
    return f"For this machine: {proposal.image} ({proposal.reason.rstrip('.')}); it {state}\n"


def _is_meant(view: FetchView, what: str) -> bool:
    return view.order.image in (what, f"{what}:latest") or view.order.file in (what, str(Path(what).absolute()))


def _facts(view: FetchView) -> dict[str, object]:
    return {
        "what": view.order.what,
        "state": view.state,
        "folder": str(view.folder.path),
        "images": list(view.images),
        "progress": json.loads(to_json(view.progress)) if view.progress else None,
        "problem": view.problem.as_json() if view.problem else None,
    }
