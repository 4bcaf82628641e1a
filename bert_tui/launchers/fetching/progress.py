"""What an engine tells while it fetches an image, understood: each layer's stage, and bytes over all.

The events are those of ``POST /images/create`` and ``POST /images/load`` (docs.docker.com/reference/api/engine) of
engines 20.10 to 29. An engine learns the size of a layer only when it begins to fetch it, three at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from bert_tui.launchers.protocol import Step
from bert_tui.pace import Pace

Stage = Literal["waiting", "downloading", "retrying", "downloaded", "unpacking", "ready"]
Phase = Literal["ask", "read", "pull", "unpack", "build"]
"""Asking the registry; reading a file; pulling layers; unpacking what was read; building the CPU image."""

STAGES: dict[str, Stage] = {
    "Pulling fs layer": "waiting",
    "Waiting": "waiting",
    "Downloading": "downloading",
    "Verifying Checksum": "downloaded",
    "Download complete": "downloaded",
    "Extracting": "unpacking",
    "Loading layer": "unpacking",
    "Pull complete": "ready",
    "Already exists": "ready",
}
"""By the engine's words."""


@dataclass(frozen=True)
class Layer:
    """One layer of an image."""

    id: str
    stage: Stage
    fetched: int = 0
    """Bytes, as they are packed."""
    size: int = 0
    """Bytes, as they are packed; 0 while the engine does not know, and where the layer was here before."""
    unpacked: int = 0
    """Bytes of ``size`` that are unpacked."""


@dataclass(frozen=True)
class FetchProgress:
    """How far an image is."""

    phase: Phase
    done_bytes: int = 0
    """Pulled, or read from the file."""
    total_bytes: int = 0
    """Of the layers whose size is known, or of the file; 0 where nothing is known."""
    bytes_per_second: float = 0.0
    seconds_left: float | None = None
    """For what is pulled or read; None where it cannot be told: while sizes are unknown, or nothing moves."""
    layers: tuple[Layer, ...] = ()
    """In the order in which the engine named them, the lowest first."""
    detail: str = ""
    """What the builder or the engine says."""
    moved: float = 0.0
    """Unix time at which something last moved."""

    @property
    def sizes_known(self) -> bool:
        """Whether ``total_bytes`` is all there is."""
        return all(layer.size or layer.stage == "ready" for layer in self.layers)

    @property
    def ready_layers(self) -> int:
        """How many layers are unpacked, or were here before."""
        return sum(layer.stage == "ready" for layer in self.layers)

    @property
    def unpacked_bytes(self) -> int:
        """Of ``total_bytes``, what has been unpacked."""
        return sum(layer.unpacked for layer in self.layers)


def as_steps(image: str, report: Callable[[Step], None]) -> Callable[[FetchProgress], None]:
    """What shows a pull as steps of a run's preparation: a first one, then those that can be counted."""
    report(Step(f"pulling {image}"))

    def show(progress: FetchProgress) -> None:
        if progress.total_bytes:
            layers = f"{progress.ready_layers} of {len(progress.layers)} layers unpacked"
            report(Step(f"pulling {image}, {layers}", progress.done_bytes, progress.total_bytes, "B"))

    return show


class LayerTable:
    """Layers by what the engine has told so far."""

    def __init__(self) -> None:
        self._layers: dict[str, Layer] = {}
        self._pace = Pace()
        self._counted = (0, 0, 0)
        self._moved = time.time()

    def note(self, event: Mapping[str, Any]) -> None:
        """Takes in one event; those that are about no layer are passed over."""
        status, identity = str(event.get("status", "")), str(event.get("id", ""))
        stage: Stage | None = "retrying" if status.startswith("Retrying") else STAGES.get(status)
        if stage is None or not identity:
            return
        detail = event.get("progressDetail") or {}
        layer = self._layers.get(identity, Layer(identity, "waiting"))
        # newer engines count an unpacking in seconds ("units": "s"), which is no part of the bytes
        current, total = (0, 0) if detail.get("units") else (detail.get("current") or 0, detail.get("total") or 0)
        self._layers[identity] = _advanced(layer, stage, int(current), int(total))

    def progress(self) -> FetchProgress:
        """All of it."""
        layers = tuple(self._layers.values())
        done, total = sum(layer.fetched for layer in layers), sum(layer.size for layer in layers)
        shown = FetchProgress("pull" if layers else "ask", done, total, layers=layers)
        self._note_movement(shown)
        rate = self._pace.rate(done)
        left = (total - done) / rate if rate and shown.sizes_known else None
        return replace(shown, bytes_per_second=rate, seconds_left=left, moved=self._moved)

    def _note_movement(self, shown: FetchProgress) -> None:
        counted = (shown.done_bytes, shown.unpacked_bytes, shown.ready_layers)
        if counted != self._counted:
            self._counted, self._moved = counted, time.time()


def _advanced(layer: Layer, stage: Stage, current: int, total: int) -> Layer:
    size = total or layer.size
    match stage:
        case "downloading":
            return replace(layer, stage=stage, size=size, fetched=min(current, size) if size else current)
        case "downloaded":
            return replace(layer, stage=stage, fetched=size)
        case "unpacking":
            return replace(layer, stage=stage, size=size, fetched=size, unpacked=min(current, size))
        case "ready":
            return replace(layer, stage=stage, fetched=size, unpacked=size)
        case _:
            return replace(layer, stage=stage)
