"""Which earlier runs a run can be compared with."""

from __future__ import annotations

from dataclasses import dataclass

from bert_tui.presets import find_preset
from bert_tui.runs.registry import find_runs
from trainer.spec.metrics_file import read_layout
from trainer.spec.preset import Preset
from trainer.spec.preset_file import read_preset
from trainer.spec.problem import SpecError
from trainer.spec.resolved import read_resolved
from trainer.spec.run_directory import RunDirectory

OFFERED = 50
"""Runs looked at, the newest first."""


@dataclass(frozen=True)
class Comparable:
    """A run whose curves can be laid over another's."""

    run: RunDirectory
    preset: Preset | None
    same_shape: bool

    @property
    def shape(self) -> str:
        """Its model and batch in a few words."""
        if self.preset is None:
            return "model not known"
        model, train = self.preset.model, self.preset.train
        return f"{model.layers} x {model.hidden}, {model.sequence_length} tokens, batch {train.global_batch}"


def comparable_runs(run: RunDirectory) -> tuple[Comparable, ...]:
    """The newest other runs that recorded anything, those with the same model shape first.

    Asks a container engine for its runs, which may take ``registry.ENGINE_SECONDS``.
    """
    own = preset_of(run)
    others = [other for other in find_runs() if other.path.resolve() != run.path.resolve()][:OFFERED]
    found = [
        Comparable(other, preset := preset_of(other), _shape(preset) == _shape(own) is not None)
        for other in others
        if read_layout(other.metrics) is not None
    ]
    return tuple(sorted(found, key=lambda comparable: not comparable.same_shape))


def preset_of(run: RunDirectory) -> Preset | None:
    """What the run trains, by its newest attempt or else by what was asked for; None where neither can be read."""
    latest = run.latest()
    try:
        if latest is not None and latest.preset.exists():
            return read_resolved(latest.preset)[0]
        return read_preset(run.request, find_preset) if run.request.exists() else None
    except (SpecError, OSError):
        return None


def _shape(preset: Preset | None) -> tuple[object, ...] | None:
    if preset is None:
        return None
    model = preset.model
    return (model.layers, model.hidden, model.heads, model.sequence_length)
