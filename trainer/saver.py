"""Saving checkpoints while training goes on: the loop waits for a copy of the state, a thread writes the copy.

All ranks write, with torch.distributed.checkpoint, into a hidden folder; it is synced, and renamed when every byte is
on the disk. A save that fails (a full disk) leaves nothing behind and ends nothing: it is told, and the next one tries
again.
"""

from __future__ import annotations

import dataclasses
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.metadata import MetadataIndex
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner
from torch.distributed.checkpoint.state_dict_saver import save as save_state
from torch.distributed.checkpoint.storage import WriteResult
from torch.futures import Future

from trainer.checkpoint import CheckpointFacts, Identity, Position, reason_of, saved_state
from trainer.host_copy import HostCopy, copies_fit, names_to_write
from trainer.learner import Learner
from trainer.placement import local
from trainer.spec.checkpoint_folder import (
    METADATA,
    PARTIAL,
    PROGRESS,
    FileFacts,
    complete_checkpoints,
    folder_name,
    superfluous,
)
from trainer.spec.preset import Checkpoint
from trainer.spec.problem import CheckpointError, Problem
from trainer.spec.run_directory import sync_directory, write_whole

T = TypeVar("T")

SPARE = 1 << 20
"""Bytes that must be free on the disk beside the state itself."""
OVERHEAD = 1.01
"""A checkpoint's size over that of the tensors in it; a small model's headings are within the spare bytes."""


@dataclass(frozen=True)
class SaveEnd:
    """What became of a save."""

    step: int
    asked: bool
    """Whether it answers a request for a checkpoint: there is one, or the attempt ends with this save."""
    saved: bool
    pause: float
    """Seconds for which training stood still."""
    seconds: float
    """Seconds from the copy to the rename."""
    problem: Problem | None = None
    """Why nothing was saved, or what went wrong after it was."""


@dataclass(frozen=True)
class _Save:
    """One save on its way."""

    facts: CheckpointFacts
    state: Mapping[str, Tensor]
    """The live tensors: their names, shapes and layouts."""
    tensors: Mapping[str, Tensor]
    """What is written for them: this rank's parts."""
    copied: torch.Event | None
    asked: bool
    since: float
    began: float
    """``time.monotonic()`` when training stopped for it, and when its copy began."""
    pause: float

    @property
    def step(self) -> int:
        return self.facts.position.step


class Saver:
    """Writes the checkpoints of a run, at most one at a time. Every rank calls the same methods in the same order."""

    def __init__(
        self,
        learner: Learner,
        identity: Identity,
        folder: Path,
        settings: Checkpoint,
        tell: Callable[[SaveEnd], None],
        *,
        memory_share: float = 0.5,
    ) -> None:
        """``tell`` is called at the end of each save, by the thread that wrote it. Copies that would take more than
        ``memory_share`` of the memory that is free on a host are not made: saves are then waited for."""
        self._learner, self._ranks = learner, learner.ranks
        self._identity, self._folder, self._settings, self._tell = identity, folder, settings, tell
        self._memory_share = memory_share
        self._copy: HostCopy | None = None
        self._copies_fit: bool | None = None
        self._thread: threading.Thread | None = None
        self._end: SaveEnd | None = None
        self._failure: Exception | None = None

    def begin(self, position: Position, *, since: float, asked: bool) -> None:
        """Copies the state and returns; a thread writes it. Where the one before is still being written, waits for it
        first, so that every checkpoint that is due is there. Where the host has no memory for a copy, returns when
        all is written.

        Args:
            position: of the state.
            since: ``time.monotonic()`` when training stopped for it.
            asked: see :class:`SaveEnd`.

        Raises:
            Exception: the save before ended by something else than its disk.
        """
        self.wait()
        began = time.monotonic()
        state = saved_state(self._learner)
        tensors, copied = self._staged(state)
        facts = CheckpointFacts(
            position,
            self._identity,
            {"tensor": self._ranks.tensor_size, "data": self._ranks.data_size},
            self._learner.optimizer.counters(),
            files={},
        )
        save = _Save(facts, state, tensors, copied, asked, since, began, time.monotonic() - since)
        self._thread = threading.Thread(target=self._run, args=(save,), name="checkpoint", daemon=True)
        self._thread.start()
        if self._copy is None:
            self._thread.join()

    def wait(self) -> SaveEnd | None:
        """Waits until nothing is being written; says how the last save ended, None where there was none.

        Raises:
            Exception: it ended by something else than its disk.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.check()
        return self._end

    def check(self) -> None:
        """Raises what ended the thread, if something did that is not a matter of the disk."""
        if self._failure is not None:
            raise self._failure

    def _staged(self, state: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], torch.Event | None]:
        """What this rank writes: a copy, or the state itself where there is no room for one."""
        if self._copies_fit is None:
            names = names_to_write(state, self._ranks)
            self._copies_fit = copies_fit(state, names, self._memory_share, self._ranks)
            if self._copies_fit:
                self._copy = HostCopy(state, names, self._ranks.device)
        if self._copy is None:
            return {name: local(tensor) for name, tensor in state.items()}, None
        return self._copy.tensors, self._copy.take(state)

    def _run(self, save: _Save) -> None:
        """The thread."""
        try:
            self._end = self._carry_out(save)
            self._tell(self._end)
        except Exception as error:  # raised again where the loop asks
            self._failure = error

    def _carry_out(self, save: _Save) -> SaveEnd:
        problem, saved = None, False
        try:
            self._write(save)
            saved = True
            self._remove_superfluous()
        except CheckpointError as error:
            problem = error.problems[0]
        now = time.monotonic()
        pause = save.pause if self._copy is not None else now - save.since
        return SaveEnd(save.step, save.asked, saved, pause, now - save.began, problem)

    def _write(self, save: _Save) -> None:
        """Writes ``step-XXXXXXXX``, complete or not at all.

        Raises:
            CheckpointError: on every rank alike, whichever of them could not write.
        """
        final = self._folder / folder_name(save.step)
        partial = self._folder / f"{PARTIAL}{final.name}"
        try:
            self._together(final, lambda: self._make_room(partial, save.state))
            if save.copied is not None:
                save.copied.synchronize()
            writer = _Writer(partial, single_file_per_rank=True, sync_files=True, per_thread_copy_ahead=0)
            planner = _HostPlanner(save.tensors)
            save_state(dict(save.state), storage_writer=writer, planner=planner, process_group=self._ranks.saving_group)
            parts = self._together(final, lambda: self._describe(partial))
            files = {name: facts for part in parts for name, facts in part.items()}
            self._together(final, lambda: self._publish(partial, final, dataclasses.replace(save.facts, files=files)))
        except CheckpointException as error:
            raise CheckpointError(
                Problem("checkpoint.not_written", str(final), "", {"reason": reason_of(error)})
            ) from error
        finally:
            if self._ranks.rank == 0:  # where a disk lets nothing be removed, the next save says so
                shutil.rmtree(partial, ignore_errors=True)

    def _together(self, final: Path, act: Callable[[], T]) -> list[T]:
        """What ``act`` gave on each rank.

        Raises:
            CheckpointError: on every rank, where it failed on one.
        """
        answer: T | Problem
        try:
            answer = act()
        except CheckpointError as error:
            answer = error.problems[0]
        except OSError as error:
            answer = Problem("checkpoint.not_written", str(final), "", {"reason": reason_of(error)})
        answers: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(answers, answer, group=self._ranks.saving_group)
        for problem in answers:
            if isinstance(problem, Problem):
                raise CheckpointError(problem)
        return answers

    def _make_room(self, partial: Path, state: Mapping[str, Tensor]) -> None:
        """Deletes what an interrupted save or delete left, and refuses to write what cannot fit."""
        if self._ranks.rank != 0:
            return
        for leftover in self._folder.glob(f"{PARTIAL}*"):
            shutil.rmtree(leftover)
        partial.mkdir(parents=True, mode=0o700)
        needed = SPARE + int(OVERHEAD * sum(tensor.numel() * tensor.element_size() for tensor in state.values()))
        free = shutil.disk_usage(partial).free
        if free < needed:
            facts = {"megabytes": round(needed / 1e6, 1), "free": round(free / 1e6, 1)}
            raise CheckpointError(Problem("checkpoint.no_room", str(self._folder), "", facts))

    def _describe(self, partial: Path) -> dict[str, FileFacts]:
        """Of the files this rank wrote. They are read back: from memory, where the disk is no network's."""
        mine = list(partial.glob(f"__{self._ranks.rank}_*"))
        if self._ranks.rank == 0:
            mine.append(partial / METADATA)
        return {path.name: FileFacts.of(path) for path in mine}

    def _publish(self, partial: Path, final: Path, facts: CheckpointFacts) -> None:
        if self._ranks.rank != 0:
            return
        write_whole(partial / PROGRESS, facts.as_json())
        sync_directory(partial)
        if final.exists():  # damaged, or this attempt would have gone on from it
            _remove(final)
        partial.rename(final)
        sync_directory(final.parent)

    def _remove_superfluous(self) -> None:
        if self._ranks.rank != 0:
            return
        keep = self._settings
        for old in superfluous(complete_checkpoints(self._folder), keep.keep_last, keep.keep_every):
            try:
                _remove(old.path)
            except OSError as error:
                facts = {"reason": reason_of(error)}
                raise CheckpointError(Problem("checkpoint.not_removed", str(old.path), "", facts)) from error


class _HostPlanner(DefaultSavePlanner):
    """Plans by the live tensors, which know how ranks share them, and writes their copies."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._tensors = tensors

    def lookup_object(self, index: MetadataIndex) -> Tensor:
        """This rank's part of a tensor."""
        return self._tensors[index.fqn]


class _Writer(FileSystemWriter):
    """Says what the disk said."""

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """As always, but torch's own error ("unexpected pos 704 vs 598") gives way to the one that brought it about."""
        try:
            return super().write_data(plan, planner)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise


def _remove(path: Path) -> None:
    """Deletes a checkpoint; it is out of sight before its first file goes."""
    hidden = path.rename(path.with_name(f"{PARTIAL}old-{path.name}"))
    sync_directory(path.parent)
    shutil.rmtree(hidden)
