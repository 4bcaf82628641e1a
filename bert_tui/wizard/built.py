"""Datasets that this user builds or has built, as the data page offers them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bert_tui.data.build_job import BuildView, find_builds, read_build
from bert_tui.data.build_records import BuildResult
from trainer.spec.preset import Data
from trainer.spec.problem import SpecError


@dataclass(frozen=True)
class Built:
    """A dataset and its vocabulary."""

    prefix: Path
    vocab_file: Path


def built_by(result: BuildResult) -> Built:
    """What a build made; of several keys the first."""
    return Built(result.datasets[0].prefix, result.vocab_file)


def offered_build(data: Data) -> BuildView | None:
    """The build that was begun last, unless it made what ``data`` names already. May take as long as the disk."""
    for folder in find_builds():
        try:
            view = read_build(folder)
        except (SpecError, OSError):  # removed meanwhile, or somebody else's: there is nothing to offer
            continue
        used = view.result is not None and str(built_by(view.result).prefix) in data.data_path
        return None if used else view
    return None
