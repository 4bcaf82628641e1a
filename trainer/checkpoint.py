"""Checkpoints: written by all ranks with torch.distributed.checkpoint, complete or absent, readable at other layouts.

A checkpoint is written into a hidden folder, synced, and renamed when every byte is on the disk. It holds weights,
AdamW's moments, the loss scale and the place in the data. Random numbers need no saving: dropout and masks are pure
functions of seed and step (``random_streams``, ``spec.samples``). The word table is one parameter, so it is there once.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.state_dict_loader import load as load_state
from torch.distributed.checkpoint.state_dict_saver import save as save_state

from trainer.learner import Learner
from trainer.optimizer import GuardedOptimizer
from trainer.ranks import Ranks
from trainer.spec.checkpoint_folder import PROGRESS, SavedCheckpoint, complete_checkpoints, folder_name
from trainer.spec.problem import CheckpointError, Problem
from trainer.spec.records import Progress, read_record
from trainer.spec.run_directory import AttemptDirectory, sync_directory, write_whole

PARTIAL = ".partial-"
"""Begins the name of a folder that is being written, or being deleted."""


@dataclass(frozen=True)
class Position:
    """How far a run has come."""

    step: int = 0
    rows: int = 0
    """Rows of the training split read so far; the next step begins with this one."""
    pairs: int = 0
    tokens: int = 0


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


def save(learner: Learner, position: Position, identity: Identity, folder: Path, keep_last: int) -> None:
    """Writes ``folder/step-XXXXXXXX`` and deletes the oldest beyond ``keep_last``. Every rank calls it.

    Raises:
        CheckpointError: it could not be written; what was there before is untouched.
    """
    final = folder / folder_name(position.step)
    partial = folder / f"{PARTIAL}{final.name}"
    ranks = learner.ranks
    try:
        if ranks.rank == 0:
            _clear(folder)
            partial.mkdir(parents=True, mode=0o700)
        dist.barrier(ranks.host_group)
        writer = FileSystemWriter(partial, single_file_per_rank=True, sync_files=True)
        save_state(_state(learner), storage_writer=writer, process_group=ranks.host_group)
        if ranks.rank == 0:
            _publish(partial, final, position, identity, learner.optimizer, ranks)
            _prune(folder, keep_last)
        dist.barrier(ranks.host_group)
    except (OSError, CheckpointException) as error:
        raise CheckpointError(Problem("checkpoint.not_written", str(final), "", {"reason": _reason(error)})) from error


def find(attempt: AttemptDirectory) -> SavedCheckpoint | None:
    """The checkpoint an attempt goes on from: none for a first attempt, else the latest complete one.

    Raises:
        CheckpointError: an earlier attempt announced one, and none is there.
    """
    if attempt.number == 1:
        return None
    found = complete_checkpoints(attempt.run.checkpoints)
    if found:
        return found[-1]
    earlier = (read_record(Progress, a.progress) for a in attempt.run.attempts() if a.number < attempt.number)
    announced = [p.last_checkpoint for p in earlier if p is not None and p.last_checkpoint is not None]
    if announced:
        raise CheckpointError(Problem("checkpoint.missing", str(attempt.run.checkpoints), str(max(announced))))
    return None


def load(learner: Learner, checkpoint: SavedCheckpoint, identity: Identity) -> Position:
    """Fills model and optimizer from a checkpoint, written at any layout. Every rank calls it.

    Raises:
        CheckpointError: it is damaged, or was made from other data, another vocabulary or another model.
    """
    try:
        facts = json.loads((checkpoint.path / PROGRESS).read_text(encoding="utf-8"))
        position, optimizer = Position(**facts["position"]), facts["optimizer"]
        saved = Identity(**facts["identity"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(checkpoint, error) from error
    _compare(saved, identity, checkpoint.path)
    state = _state(learner)
    try:
        reader = FileSystemReader(checkpoint.path)
        load_state(state, storage_reader=reader, process_group=learner.ranks.host_group)
    except CheckpointException as error:  # what any rank met in the files; a lost peer raises something else
        raise _unreadable(checkpoint, error) from error
    _restore(learner.optimizer, state["optimizer.updates"], optimizer)
    return position


def _state(learner: Learner) -> dict[str, Tensor]:
    """What is saved, by name. Loading writes into these tensors."""
    state: dict[str, Tensor] = {}
    adamw = learner.optimizer.adamw
    for name, parameter in learner.model.named_parameters():
        state[f"model.{name}"] = parameter.detach()
        state[f"optimizer.mean.{name}"] = adamw.state[parameter]["exp_avg"]
        state[f"optimizer.square.{name}"] = adamw.state[parameter]["exp_avg_sq"]
    any_parameter = next(learner.model.parameters())
    state["optimizer.updates"] = adamw.state[any_parameter]["step"].to("cpu", copy=True)  # equal for all parameters
    return state


def _publish(
    partial: Path, final: Path, position: Position, identity: Identity, optimizer: GuardedOptimizer, ranks: Ranks
) -> None:
    facts = {
        "position": dataclasses.asdict(position),
        "identity": dataclasses.asdict(identity),
        "layout": {"tensor": ranks.tensor_size, "data": ranks.data_size},
        "optimizer": optimizer.counters(),
    }
    write_whole(partial / PROGRESS, json.dumps(facts, indent=1))
    sync_directory(partial)
    if final.exists():  # damaged, or this attempt would have gone on from it
        _remove(final)
    partial.rename(final)
    sync_directory(final.parent)


def _prune(folder: Path, keep_last: int) -> None:
    for old in complete_checkpoints(folder)[:-keep_last]:
        _remove(old.path)


def _remove(path: Path) -> None:
    """Deletes a checkpoint; it is out of sight before its first file goes."""
    hidden = path.rename(path.with_name(f"{PARTIAL}old-{path.name}"))
    sync_directory(path.parent)
    shutil.rmtree(hidden)


def _clear(folder: Path) -> None:
    """Deletes what an interrupted save or delete left."""
    for leftover in folder.glob(f"{PARTIAL}*"):
        shutil.rmtree(leftover)


def _compare(saved: Identity, present: Identity, path: Path) -> None:
    differences = []
    if saved.data_fingerprint != present.data_fingerprint:
        differences.append(Problem("checkpoint.other_data", str(path), saved.data_fingerprint))
    if saved.vocab_sha256 != present.vocab_sha256:
        differences.append(Problem("checkpoint.other_vocabulary", str(path), saved.vocab_sha256))
    for name, value in present.model.items():
        if saved.model.get(name) != value:
            facts = {"name": name, "present": value}
            differences.append(Problem("checkpoint.other_model", str(path), str(saved.model.get(name)), facts))
    if differences:
        raise CheckpointError(*differences)


@torch.no_grad()
def _restore(optimizer: GuardedOptimizer, updates: Tensor, counters: dict[str, Any]) -> None:
    for state in optimizer.adamw.state.values():
        state["step"].copy_(updates)
    optimizer.restore_counters(counters)


def _unreadable(checkpoint: SavedCheckpoint, error: BaseException) -> CheckpointError:
    return CheckpointError(Problem("checkpoint.unreadable", str(checkpoint.path), "", {"reason": _reason(error)}))


def _reason(error: BaseException) -> str:
    """One line; of the failures that ranks told each other, the first."""
    if isinstance(error, CheckpointException) and error.failures:
        error = next(iter(error.failures.values()))[0]
    return (str(error) or type(error).__name__).splitlines()[0]
