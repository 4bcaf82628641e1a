"""Pulling an image from its registry, by the engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from docker.utils import parse_repository_tag

from bert_tui.launchers.engine import engine_errors, explain
from bert_tui.launchers.fetching.progress import FetchProgress, LayerTable
from bert_tui.launchers.fetching.room import ImageDisk, image_disk, least_bytes, needed_bytes, require_room
from trainer.spec.problem import EnvironmentRefused

PULL_SILENCE = 900
"""Seconds for which a pull may show nothing: the engine is silent while it unpacks a large layer."""
ROOM_EVERY = 5.0
"""Seconds between two looks at the disk."""

Report = Callable[[FetchProgress], None]


def full_name(image: str) -> str:
    """With the tag that an engine adds: ``debian`` becomes ``debian:latest``."""
    repository, tag = parse_repository_tag(image)
    if tag is None:
        return f"{repository}:latest"
    return f"{repository}@{tag}" if ":" in tag else f"{repository}:{tag}"


def pull(
    client: Any, image: str, report: Report, look_at_disk: Callable[[Mapping[str, Any]], ImageDisk] = image_disk
) -> None:
    """Pulls an image, reporting each change, up to some dozens a second. An exception that ``report`` or a signal
    handler raises ends the pull: the engine gives it up when nobody listens any more.

    Raises:
        EnvironmentRefused: the registry cannot be reached or does not give it, or there is too little room.
    """
    repository, tag = parse_repository_tag(image)
    with engine_errors():
        info = client.info()
        require_room(needed_bytes(image), look_at_disk(info))
        report(FetchProgress("ask", moved=time.time()))
        layers, looked = LayerTable(), time.monotonic()
        for event in client.pull(repository, tag or "latest", stream=True, decode=True):
            if "error" in event:
                raise EnvironmentRefused(explain(event["error"]))
            layers.note(event)
            progress = layers.progress()
            report(progress)
            if time.monotonic() - looked >= ROOM_EVERY:
                looked = time.monotonic()
                require_room(least_bytes(progress), look_at_disk(info))
