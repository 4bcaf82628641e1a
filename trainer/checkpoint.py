"""Checkpoints: what is in them, which one a run goes on from, and reading it, at the layout it was written at or not.

A checkpoint holds weights, AdamW's moments, the loss scale and the place in the data. Random numbers need no saving:
dropout and masks are pure functions of seed and step (``random_streams``, ``spec.samples``). The word table is one
parameter, so it is there once. ``saver`` writes them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.state_dict_loader import load as load_state

from trainer.learner import Learner
from trainer.optimizer import GuardedOptimizer
from trainer.ranks import Ranks
from trainer.spec.checkpoint_folder import (
    PROGRESS,
    FileFacts,
    SavedCheckpoint,
    complete_checkpoints,
    step_folders,
    wrong_content,
    wrong_length,
)
from trainer.spec.problem import CheckpointError, Problem
from trainer.spec.records import Progress, read_record
from trainer.spec.row_stream import Mark
from trainer.spec.run_directory import AttemptDirectory


@dataclass(frozen=True)
class Position:
    """How far a run has come."""

    step: int = 0
    rows: int = 0
    """Rows of the training split read so far; the next step begins with this one."""
    pairs: int = 0
    tokens: int = 0
    marks: tuple[Mark, ...] = ()
    """Where the walk through each dataset stood, so that it goes on from there."""

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Position:
        """Inverse of ``dataclasses.asdict`` and JSON.

        Raises:
            KeyError, TypeError: it is something else.
        """
        return cls(**{**values, "marks": tuple(Mark(*mark) for mark in values["marks"])})


@dataclass(frozen=True)
class Identity:
    """What a checkpoint must agree on with the run that loads it."""

    data_fingerprint: str
    vocab_sha256: str
    model: dict[str, int | str]
    """Layers, hidden, heads, sequence_length, vocab_size, layer_order, sentence_order."""

    @classmethod
    def of(cls, learner: Learner, *, data_fingerprint: str, vocab_sha256: str) -> Identity:
        """The identity of a run."""
        ordered = learner.model.order_head is not None
        model = dataclasses.asdict(learner.shape) | {"sentence_order": int(ordered)}
        return cls(data_fingerprint, vocab_sha256, model)


@dataclass(frozen=True)
class CheckpointFacts:
    """``progress.json`` of a checkpoint: all that is no tensor."""

    position: Position
    identity: Identity
    layout: dict[str, int]
    """Tensor-parallel and data-parallel size it was written at; for people."""
    optimizer: dict[str, Any]
    files: dict[str, FileFacts]
    """What every other file of the checkpoint must be."""

    def as_json(self) -> str:
        """The text of the file."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> CheckpointFacts:
        """Inverse of :meth:`as_json`.

        Raises:
            ValueError, KeyError, TypeError: it is something else.
        """
        data = json.loads(text)
        files = {name: FileFacts(**facts) for name, facts in data["files"].items()}
        position, identity = Position.from_json(data["position"]), Identity(**data["identity"])
        return cls(position, identity, data["layout"], data["optimizer"], files)


def find(attempt: AttemptDirectory) -> SavedCheckpoint | None:
    """The checkpoint an attempt goes on from: none for a first attempt, else the latest. One that is damaged is not
    passed over for the one before it: that is the operator's to decide.

    Raises:
        CheckpointError: the latest lacks files, or an earlier attempt announced one and none is there.
    """
    if attempt.number == 1:
        return None
    found = step_folders(attempt.run.checkpoints)
    if found and found[-1] not in complete_checkpoints(attempt.run.checkpoints):
        raise damaged(found[-1], "files are missing")
    if found:
        return found[-1]
    earlier = (read_record(Progress, a.progress) for a in attempt.run.attempts() if a.number < attempt.number)
    announced = [p.last_checkpoint for p in earlier if p is not None and p.last_checkpoint is not None]
    if announced:
        raise CheckpointError(Problem("checkpoint.missing", str(attempt.run.checkpoints), str(max(announced))))
    return None


def load(learner: Learner, checkpoint: SavedCheckpoint, identity: Identity) -> Position:
    """Fills model and optimizer from a checkpoint, written at any layout and precision. Every rank calls it.

    Raises:
        CheckpointError: it is damaged, or was made from other data, another vocabulary or another model.
    """
    try:
        facts = CheckpointFacts.from_json((checkpoint.path / PROGRESS).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(checkpoint, f"{PROGRESS}: {reason_of(error)}") from error
    _compare(facts.identity, identity, checkpoint)
    if wrong := wrong_file(checkpoint.path, facts.files, learner.ranks):
        raise damaged(checkpoint, wrong)
    state = saved_state(learner)
    try:
        reader = FileSystemReader(checkpoint.path)
        load_state(state, storage_reader=reader, process_group=learner.ranks.host_group)
    except CheckpointException as error:  # what any rank met in the files; a lost peer raises something else
        raise damaged(checkpoint, reason_of(error)) from error
    _restore(learner.optimizer, state["optimizer.updates"], facts.optimizer)
    return facts.position


def saved_state(learner: Learner) -> dict[str, Tensor]:
    """What is saved, by name: the live tensors, so that loading writes into them; only the count of updates is a copy,
    on the host."""
    state: dict[str, Tensor] = {}
    adamw = learner.optimizer.adamw
    for name, parameter in learner.model.named_parameters():
        state[f"model.{name}"] = parameter.detach()
        state[f"optimizer.mean.{name}"] = adamw.state[parameter]["exp_avg"]
        state[f"optimizer.square.{name}"] = adamw.state[parameter]["exp_avg_sq"]
    any_parameter = next(learner.model.parameters())
    state["optimizer.updates"] = adamw.state[any_parameter]["step"].to("cpu", copy=True)  # equal for all parameters
    return state


def damaged(checkpoint: SavedCheckpoint, reason: str) -> CheckpointError:
    """The error that says so, and which checkpoint stands before it."""
    older = [other for other in complete_checkpoints(checkpoint.path.parent) if other.step < checkpoint.step]
    if not older:
        return CheckpointError(Problem("checkpoint.damaged_only", str(checkpoint.path), "", {"reason": reason}))
    facts = {"reason": reason, "older": older[-1].step}
    return CheckpointError(Problem("checkpoint.damaged", str(checkpoint.path), "", facts))


def reason_of(error: BaseException) -> str:
    """One line; of the failures that ranks told each other, the first."""
    if isinstance(error, CheckpointException) and error.failures:
        error = next(iter(error.failures.values()))[0]
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error) or type(error).__name__).splitlines()[0]


def _compare(saved: Identity, present: Identity, checkpoint: SavedCheckpoint) -> None:
    path, differences = str(checkpoint.path), []
    if saved.data_fingerprint != present.data_fingerprint:
        differences.append(Problem("checkpoint.other_data", path, saved.data_fingerprint))
    if saved.vocab_sha256 != present.vocab_sha256:
        differences.append(Problem("checkpoint.other_vocabulary", path, saved.vocab_sha256))
    for name, value in present.model.items():
        if saved.model.get(name) != value:
            facts = {"name": name, "present": value}
            differences.append(Problem("checkpoint.other_model", path, str(saved.model.get(name)), facts))
    if differences:
        raise CheckpointError(*differences)


def wrong_file(folder: Path, files: Mapping[str, FileFacts], ranks: Ranks) -> str:
    """Which of the files is not what was written, and why; empty if none. Every rank calls it and reads some of them.

    Lengths first, which costs nothing. torch itself checks neither.
    """
    wrong = wrong_length(folder, files)
    if not wrong:
        mine = sorted(files)[ranks.rank :: dist.get_world_size()]
        try:
            wrong = wrong_content(folder, {name: files[name] for name in mine})
        except OSError as error:
            wrong = reason_of(error)
    seen = [""] * dist.get_world_size()
    dist.all_gather_object(seen, wrong, group=ranks.host_group)
    return next(filter(None, seen), "")


@torch.no_grad()
def _restore(optimizer: GuardedOptimizer, updates: Tensor, counters: dict[str, Any]) -> None:
    for state in optimizer.adamw.state.values():
        state["step"].copy_(updates)
    optimizer.restore_counters(counters)
