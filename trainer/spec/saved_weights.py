"""Weights on disk that a run may begin with: a checkpoint of another run, or a folder made by ``bert-tui import``.

Both hold a model in the format of torch.distributed.checkpoint, and ``progress.json``, which says what model it is and
with which vocabulary it was trained. That file is all that is read here.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from trainer.spec.checkpoint_folder import METADATA, PROGRESS, FileFacts, wrong_content, wrong_length
from trainer.spec.preset import LayerOrder
from trainer.spec.problem import Problem, WeightsError
from trainer.spec.sizing import Shape


@dataclass(frozen=True)
class SavedWeights:
    """What a folder says of its weights."""

    path: Path
    shape: Shape
    sentence_order: bool
    """Whether there is a sentence-order head."""
    vocab_sha256: str
    files: Mapping[str, FileFacts] = field(default_factory=dict)
    """What every other file of the folder must be."""


def read_saved_weights(path: Path) -> SavedWeights:
    """What the folder ``path`` says of its weights.

    Raises:
        WeightsError: there are none, or what is said of them cannot be read.
    """
    if lacking := [name for name in (METADATA, PROGRESS) if not (path / name).is_file()]:
        raise WeightsError(Problem("weights.absent", str(path), lacking[0]))
    try:
        facts = json.loads((path / PROGRESS).read_text(encoding="utf-8"))
        if "files" not in facts:
            raise ValueError("it has no checksums; import the weights again")
        files = {str(name): FileFacts(**told) for name, told in facts["files"].items()}
        identity = facts["identity"]
        sizes = dict(identity["model"])
        order, sentence_order = sizes.pop("layer_order"), bool(sizes.pop("sentence_order"))
        if order not in get_args(LayerOrder):
            raise ValueError(f"no layer order {order}")
        shape = Shape(**{name: int(size) for name, size in sizes.items()}, layer_order=order)
        return SavedWeights(path, shape, sentence_order, str(identity["vocab_sha256"]), files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = {"reason": f"{PROGRESS}: {error}".splitlines()[0]}
        raise WeightsError(Problem("weights.unreadable", str(path), "", reason)) from error


def facts_to_save(saved: SavedWeights) -> dict[str, Any]:
    """The part of ``progress.json`` that :func:`read_saved_weights` reads."""
    model = dataclasses.asdict(saved.shape) | {"sentence_order": int(saved.sentence_order)}
    identity = {"data_fingerprint": "", "vocab_sha256": saved.vocab_sha256, "model": model}
    return {"identity": identity, "files": {name: dataclasses.asdict(facts) for name, facts in saved.files.items()}}


def require_lengths(saved: SavedWeights) -> None:
    """Whether every file is there, and as long as it was written. Reads none.

    Raises:
        WeightsError: one is not.
    """
    if wrong := wrong_length(saved.path, saved.files):
        raise damaged(saved, wrong)


def require_whole(saved: SavedWeights) -> None:
    """Whether every file is to the byte what was written; reads them all.

    Raises:
        WeightsError: one is not, or cannot be read.
    """
    require_lengths(saved)
    try:
        wrong = wrong_content(saved.path, saved.files)
    except OSError as error:
        wrong = f"{error.filename}: {error.strerror}"
    if wrong:
        raise damaged(saved, wrong)


def damaged(saved: SavedWeights, reason: str) -> WeightsError:
    """The refusal of a folder in which a file is not what was written."""
    return WeightsError(Problem("weights.damaged", str(saved.path), "", {"reason": reason}))


def require_fit(saved: SavedWeights, shape: Shape, *, sentence_order: bool, vocab_sha256: str) -> None:
    """Whether a run may begin with these weights. A sentence-order head that it has no use for does no harm.

    Raises:
        WeightsError: they are of another model, or were trained with another vocabulary; all differences are named.
    """
    problems = _model_problems(saved, shape)
    if sentence_order and not saved.sentence_order:
        problems.append(_other_model(saved, "data.sentence_order", "false", "true"))
    if saved.shape.vocab_size != shape.vocab_size:
        facts = {"present": shape.vocab_size}
        problems.append(Problem("weights.vocabulary_size", str(saved.path), str(saved.shape.vocab_size), facts))
    elif saved.vocab_sha256 != vocab_sha256:
        problems.append(Problem("weights.other_vocabulary", str(saved.path)))
    if problems:
        raise WeightsError(*problems)


def _model_problems(saved: SavedWeights, shape: Shape) -> list[Problem]:
    theirs: Mapping[str, Any] = dataclasses.asdict(saved.shape)
    return [
        _other_model(saved, f"model.{name}", theirs[name], value)
        for name, value in dataclasses.asdict(shape).items()
        if name != "vocab_size" and theirs[name] != value
    ]


def _other_model(saved: SavedWeights, field: str, value: Any, present: Any) -> Problem:
    return Problem("weights.other_model", str(saved.path), str(value), {"field": field, "present": str(present)})
