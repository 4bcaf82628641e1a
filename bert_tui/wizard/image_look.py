"""What the page of the image shows: which image is meant, whether it is here, and how far it is being fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bert_tui.advice.words import describe
from bert_tui.launchers.cpu_image import CPU_IMAGE, CPU_IMAGE_BYTES, cpu_image_name
from bert_tui.launchers.engine import connect, engine_errors
from bert_tui.launchers.fetching.folder import FetchOrder
from bert_tui.launchers.fetching.here import ImageHere, look_up
from bert_tui.launchers.fetching.job import FetchView, find_fetches, pull_order
from bert_tui.launchers.fetching.room import ImageDisk, image_disk, keeps_layers, needed_bytes
from bert_tui.launchers.image import Proposal, propose_image
from bert_tui.machine import Machine
from bert_tui.metrics.sentences import Tone, size
from bert_tui.wizard.image_words import (
    amount,
    closed_network_lines,
    headline,
    layer_line,
    rate,
    silence,
    time_left,
    unreachable_image,
)
from trainer.spec.problem import EnvironmentRefused, Problem
from trainer.spec.sizing import GIB

LAYERS_SHOWN = 5
NextStep = Literal["fetch", "wait", "take"]
"""What going on means: fetching the image, waiting for it, or taking it."""


@dataclass(frozen=True)
class ImageLook:
    """One look."""

    proposal: Proposal
    image: str = ""
    """What the answer stands for, with its tag; empty where nothing fits or it is no name."""
    here: ImageHere | None = None
    disk: ImageDisk | None = None
    needed: int = 0
    """Bytes that it takes while it is fetched; 0 where that is not known beforehand."""
    keeps_layers: bool = False
    fetch: FetchView | None = None
    """The job that matters: one that is going on, else the last for this image."""
    problem: Problem | None = None
    """Why the image cannot be told, or the engine cannot be asked."""

    @property
    def next_step(self) -> NextStep:
        """By what is here and what is going on."""
        if self.fetch is not None and self.fetch.state == "running":
            return "wait"
        return "take" if self.here is not None else "fetch"


@dataclass(frozen=True)
class FetchWords:
    """A job as the page shows it."""

    headline: str
    tone: Tone
    share: float | None = None
    """Of what is to be fetched, 0 to 1; None where nothing can be counted."""
    left: str = ""
    amount: str = ""
    lines: tuple[str, ...] = ()
    """Layers, or what to do."""


def look(answer: str, machine: Machine, gpus_wanted: bool) -> ImageLook:
    """Asks the engine; takes as long as that takes. ``answer`` is a name, or empty for the proposed image."""
    seen = ImageLook(propose_image(machine.driver, gpus_wanted))
    image = answer.strip() or seen.proposal.image
    try:
        if not image:
            return seen
        order = pull_order(image)
        seen = replace(seen, image=order.image, fetch=_that_matters(order, find_fetches()))
        return _ask_engine(seen)
    except EnvironmentRefused as refusal:
        return replace(seen, problem=refusal.problems[0])


def with_fetch(seen: ImageLook, view: FetchView) -> ImageLook:
    """The same, with its job as it is now."""
    return replace(seen, fetch=view)


def facts(seen: ImageLook) -> tuple[tuple[str, str], ...]:
    """Names and values, for a table."""
    rows = [("Proposed", f"{seen.proposal.image}\n{seen.proposal.reason}".strip())]
    if seen.problem is not None:
        words = describe(seen.problem)
        return (*rows, ("", f"{words.what}\n{words.remedy}"))
    if seen.here is not None:
        return (*rows, ("Here", _inside(seen.here)))
    if seen.image:
        rows.append(("Here", "not yet"))
    if seen.disk is not None:
        rows.append(("Room", _room(seen, seen.disk)))
    return tuple(rows)


def fetch_words(seen: ImageLook, now: float | None = None) -> FetchWords | None:
    """The job that matters, in words; None where there is none worth telling of. ``now`` is a Unix time."""
    view = seen.fetch
    if view is None:
        return None
    match view.state:
        case "running":
            return _running(view, now)
        case "finished":
            return FetchWords(f"Fetched: {', '.join(view.images)}", "good") if seen.here is not None else None
        case "cancelled":
            return FetchWords("Cancelled", "quiet", lines=(_next_time(seen),))
        case "failed" if view.problem is not None:
            return _failed(view, view.problem)
        case _:
            return FetchWords(
                "It ended without a word, as after a kill or a reboot", "bad", lines=("F3 fetches it again.",)
            )


def loaded_name(view: FetchView) -> str:
    """The name under which a loaded file's image can be asked for; empty where it has none."""
    return next((name for name in view.images if not name.startswith("sha256:")), "")


def _ask_engine(seen: ImageLook) -> ImageLook:
    client = connect()
    with engine_errors():
        info = client.info()
    seen = replace(seen, disk=image_disk(info), keeps_layers=keeps_layers(info), needed=needed_bytes(seen.image))
    if seen.image != CPU_IMAGE:
        return replace(seen, here=look_up(client, seen.image))
    seen = replace(seen, needed=CPU_IMAGE_BYTES)
    try:
        return replace(seen, here=look_up(client, cpu_image_name(client)))
    except EnvironmentRefused as refusal:
        if refusal.problems[0].code != "docker.base_absent":
            raise
        return seen


def _that_matters(order: FetchOrder, views: Sequence[FetchView]) -> FetchView | None:
    running = [view for view in views if view.state == "running"]
    same = [view for view in views if view.order == order]
    return next(iter([*(view for view in running if view.order == order), *running, *same]), None)


def _running(view: FetchView, now: float | None) -> FetchWords:
    progress = view.progress
    if progress is None:
        return FetchWords("Starting", "busy")
    quiet = silence(progress, now)
    known = progress.sizes_known and progress.total_bytes > 0
    moving = [layer for layer in progress.layers if layer.stage in ("downloading", "retrying", "unpacking")]
    others = len(progress.layers) - len(moving[:LAYERS_SHOWN])
    lines = [layer_line(layer) for layer in moving[:LAYERS_SHOWN]]
    if progress.layers:
        lines.append(f"and {others} more layers; {progress.ready_layers} of {len(progress.layers)} are ready")
    what = "" if view.order.image else f"{view.order.file}: "
    return FetchWords(
        f"{what}{headline(progress)}",
        "caution" if quiet else "busy",
        share=progress.done_bytes / progress.total_bytes if known else None,
        left="" if quiet else time_left(progress),
        amount=", ".join(filter(None, [amount(progress), "" if quiet else rate(progress)])),
        lines=(*filter(None, [quiet]), *lines),
    )


def _failed(view: FetchView, problem: Problem) -> FetchWords:
    words = describe(problem)
    lines = [words.remedy]
    if image := unreachable_image(view):
        lines = ["Without a way to the registry, take the image from another machine:"]
        lines += [*closed_network_lines(image)[:3], "Bring the file here, then F5 loads it."]
    return FetchWords(f"Failed: {words.what}", "bad", lines=tuple(lines))


def _next_time(seen: ImageLook) -> str:
    if seen.keeps_layers:
        return "F3 goes on with the layers that are still missing."
    return "F3 begins anew: this engine keeps no layer of an image that is not whole."


def _inside(image: ImageHere) -> str:
    parts = [f"yes, {size(image.size)}"]
    parts += [f"{name} {value}" for name, value in (("PyTorch", image.pytorch), ("CUDA", image.cuda)) if value]
    return ", ".join(parts)


def _room(seen: ImageLook, disk: ImageDisk) -> str:
    free = f"{disk.free / GIB:.0f} GiB free in {disk.folder}" if disk.free is not None else "unknown"
    need = f"needs about {seen.needed / GIB:.0f} GiB" if seen.needed else "its size is not known beforehand"
    short = disk.free is not None and seen.needed > disk.free
    return f"{need}; {free}{': too little' if short else ''}"
