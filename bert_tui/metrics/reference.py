"""Loss curves that others recorded, for runs of the very same setting."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from bert_tui.metrics.series import Bin, Series
from trainer.spec.preset import Preset

SETTINGS = {
    "layers": "layers",
    "hidden": "hidden",
    "heads": "heads",
    "sequence_length": "tokens a row",
    "global_batch": "rows a step",
}
"""What has to agree, in words that follow a number."""
DIFFERENCES_NAMED = 2


@dataclass(frozen=True)
class Reference:
    """A recorded curve."""

    name: str
    source: str
    lm_loss: tuple[tuple[int, float], ...]
    """Step and MLM loss in nats a masked token, in rising order."""
    plateau: tuple[int, int, float]
    """From which step to which it stood still, and at which loss."""
    settings: dict[str, int]
    sentence_order: bool

    @property
    def series(self) -> Series:
        """For a chart."""
        return Series(1, tuple(Bin(step, loss, loss, loss) for step, loss in self.lm_loss))

    def loss_at(self, step: int) -> float | None:
        """Between the recorded steps by the logarithm of the step; None outside."""
        for (before, left), (after, right) in zip(self.lm_loss, self.lm_loss[1:], strict=False):
            if before <= step <= after:
                return left + (right - left) * math.log(step / before) / math.log(after / before)
        return None


@dataclass(frozen=True)
class NoReference:
    """None was recorded with this setting."""

    why: str
    """A sentence."""


def reference_for(preset: Preset | None) -> Reference | NoReference:
    """The curve whose model, batch and head are those of ``preset``; or what differs from the nearest."""
    if preset is None:
        return NoReference("No reference: the run's preset cannot be read.")
    differences = {reference.name: _differences(reference, preset) for reference in references()}
    name = min(differences, key=lambda name: len(differences[name]))
    if differences[name]:
        told, more = differences[name][:DIFFERENCES_NAMED], len(differences[name]) - DIFFERENCES_NAMED
        rest = "" if more <= 0 else f", and {more} more difference{'s' * (more > 1)}"
        return NoReference(f"No reference for this setting: {name}'s run had {', '.join(told)}{rest}.")
    return next(reference for reference in references() if reference.name == name)


@cache
def references() -> tuple[Reference, ...]:
    """All that are known, from ``reference_curves.json``."""
    return tuple(
        _read(entry) for entry in json.loads((files(__package__) / "reference_curves.json").read_text("utf-8"))
    )


def _read(entry: dict[str, Any]) -> Reference:
    return Reference(
        entry["name"],
        entry["source"],
        tuple((step, loss) for step, loss in entry["lm_loss"]),
        (entry["plateau"][0], entry["plateau"][1], entry["plateau"][2]),
        {name: entry[name] for name in SETTINGS},
        entry["sentence_order"],
    )


def _differences(reference: Reference, preset: Preset) -> list[str]:
    ours = {
        "layers": preset.model.layers,
        "hidden": preset.model.hidden,
        "heads": preset.model.heads,
        "sequence_length": preset.model.sequence_length,
        "global_batch": preset.train.global_batch,
    }
    found = [
        f"{there:,} {words} (here {ours[name] or 0:,})"
        for name, words in SETTINGS.items()
        if ours[name] != (there := reference.settings[name])
    ]
    if preset.data.sentence_order != reference.sentence_order:
        found.append("sentence order" if reference.sentence_order else "no sentence order")
    return found
