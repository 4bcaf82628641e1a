"""Fetching in words: the same on the screen, in lines and in a run's preparation."""

from __future__ import annotations

import time

from bert_tui.invocation import program
from bert_tui.launchers.fetching.job import FetchView
from bert_tui.launchers.fetching.progress import FetchProgress, Layer, Phase, Stage
from bert_tui.metrics.sentences import duration, size
from trainer.spec.problem import Problem

QUIET_SECONDS = 20.0
"""For so long nothing may move before it is told of."""

PHASES: dict[Phase, str] = {
    "ask": "Asking the registry",
    "read": "Handing the file to Docker",
    "pull": "Downloading",
    "unpack": "Unpacking",
    "build": "Building the image",
}
STAGES: dict[Stage, str] = {
    "waiting": "waiting",
    "downloading": "downloading",
    "retrying": "the line broke; tries again",
    "downloaded": "downloaded",
    "unpacking": "unpacking",
    "ready": "ready",
}


def stage(progress: FetchProgress) -> str:
    """What is being done, without any number."""
    if progress.phase == "pull" and progress.sizes_known and progress.done_bytes == progress.total_bytes:
        return PHASES["unpack"]
    return PHASES[progress.phase]


def headline(progress: FetchProgress) -> str:
    """What is being done, and the builder's own words."""
    doing = stage(progress)
    if progress.phase == "build":
        return progress.detail or doing
    if doing == PHASES["unpack"] and progress.layers:
        return f"{doing}: {progress.ready_layers} of {len(progress.layers)} layers ready"
    return doing


def amount(progress: FetchProgress) -> str:
    """Bytes done and in all; the engine learns the size of a layer only when it comes to it."""
    if not progress.total_bytes:
        return ""
    total = size(progress.total_bytes)
    if progress.phase == "pull" and not progress.sizes_known:
        unknown = sum(not layer.size and layer.stage != "ready" for layer in progress.layers)
        total = f"{total} and {unknown} layers of unknown size"
    return f"{size(progress.done_bytes)} of {total}"


def rate(progress: FetchProgress) -> str:
    """How fast it comes."""
    return f"{size(progress.bytes_per_second)}/s" if progress.bytes_per_second else ""


def time_left(progress: FetchProgress) -> str:
    """As far as it can be told."""
    return f"about {duration(progress.seconds_left)} left" if progress.seconds_left else ""


def silence(progress: FetchProgress, now: float | None = None) -> str:
    """A word on a fetch in which nothing moves; empty while something does. ``now`` is a Unix time."""
    quiet = (time.time() if now is None else now) - progress.moved
    if quiet < QUIET_SECONDS or progress.phase == "build":
        return ""
    return f"Nothing has come for {duration(quiet)}: the registry is silent, or Docker unpacks a large layer."


def progress_line(progress: FetchProgress, now: float | None = None) -> str:
    """All of it in one line."""
    layers = f"{progress.ready_layers} of {len(progress.layers)} layers ready" if progress.layers else ""
    head, quiet = headline(progress), silence(progress, now)
    speed = [] if quiet else [rate(progress), time_left(progress)]
    parts = [head, amount(progress), *speed, "" if "layers ready" in head else layers]
    return "; ".join(filter(None, [", ".join(filter(None, parts)), quiet]))


def layer_line(layer: Layer) -> str:
    """One layer: its stage, and how far it is."""
    match layer.stage:
        case "downloading" | "retrying" if layer.size:
            return f"{layer.id}  {STAGES[layer.stage]}, {size(layer.fetched)} of {size(layer.size)}"
        case "unpacking" if layer.unpacked:
            return f"{layer.id}  {STAGES[layer.stage]}, {layer.unpacked / layer.size:.0%} of {size(layer.size)}"
        case _:
            known = f", {size(layer.size)}" if layer.size else ""
            return f"{layer.id}  {STAGES[layer.stage]}{known}"


def closed_network_lines(image: str) -> tuple[str, ...]:
    """How the image comes onto a machine that has no way to the registry: words, and the commands to type."""
    file = f"{image.rpartition('/')[2].replace(':', '-').replace('@', '-')}.tar"
    return (
        "On a machine with internet, Docker and the same kind of processor, type:",
        f"    docker pull {image}",
        f"    docker save -o {file} {image}",
        "Bring the file here, by scp or on a disk, and load it:",
        f"    {program()} image load {file}",
    )


def unreachable_image(view: FetchView) -> str:
    """The image that a file from another machine would bring, where a fetch failed for want of a way to the registry;
    else empty."""
    match view.problem:
        case Problem(code="docker.registry" | "docker.tls"):
            return view.order.image
        case Problem(code="docker.base_absent", value=base):
            return base
        case _:
            return ""


def cancel_words(keeps_layers: bool) -> str:
    """What an end costs, by what this engine keeps."""
    if keeps_layers:
        return "Layers that have come are kept for a day: the next time goes on from there."
    return "This engine keeps no layer of an image that is not whole: the next time begins from nothing."


def in_brief(view: FetchView) -> str:
    """A job in one line."""
    what = view.order.what
    match view.state:
        case "running":
            return f"{what} is being fetched"
        case "finished":
            loaded = ", ".join(view.images)
            return f"{loaded} is here" if loaded == what else f"{loaded} is here, from {what}"
        case "cancelled":
            return f"{what}: cancelled"
        case "failed":
            return f"{what}: failed"
        case _:
            return f"{what}: ended without a word, as after a kill or a reboot"
