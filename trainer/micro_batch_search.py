"""``train.micro_batch = "auto"`` becomes a number, before the ranks start: which sizes are tried, and what follows.

Torch-free. ``supervise`` runs the trials (``try_micro_batch``), each in processes of its own, and asks here what next.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainer.host_memory import memory_of_rank
from trainer.spec.micro_batch import circumstances, memory_expected, possible_of
from trainer.spec.preset import Preset, replace
from trainer.spec.problem import EnvironmentRefused, Problem, RunError
from trainer.spec.records import Exit, MicroBatchChoice, TriedMicroBatch, from_json, read_record
from trainer.spec.resolved import Resolved, read_resolved
from trainer.spec.run_directory import AttemptDirectory
from trainer.spec.sizing import shape_of

ENOUGH = 0.5
"""On a CPU, speed decides and memory hardly ever does: sizes are tried only where a rank is expected to fill more than
this share of what it may use."""
TRIED = "tried.jsonl"
"""In the trial's folder, by rank 0: a line (records.TriedMicroBatch) when a size begins and one when it has ended."""
OUT_OF_MEMORY = ("training.out_of_memory", "end.out_of_memory")


class Search:
    """From the planned size upwards; where not even that fits, once more from the smallest."""

    def __init__(self, attempt: AttemptDirectory, preset: Preset, resolved: Resolved) -> None:
        self._attempt = attempt
        self._circumstances = circumstances(preset, resolved)
        self._planned = resolved.micro_batch
        self._tried: list[TriedMicroBatch] = []
        sizes = possible_of(preset, resolved)
        self._earlier = earlier_choice(attempt, self._circumstances)
        if self._earlier is not None and _ran_out_of_memory(attempt, self._earlier):
            sizes = [size for size in sizes if size < self._earlier.rows]
            self._planned, self._earlier = min(self._planned, max(sizes, default=1)), None
        self._known = self._earlier is not None or not _worth_trying(preset, resolved)
        self._rounds = [
            [size for size in sizes if size >= self._planned],
            [size for size in sizes if size < self._planned],
        ]

    def next_sizes(self) -> list[int]:
        """What to try now, rising; nothing when all is known."""
        while self._rounds and not self._known:
            if any(tried.outcome == "fits" for tried in self._tried):
                break
            if sizes := self._rounds.pop(0):
                return sizes
        return []

    def add(self, tried: Sequence[TriedMicroBatch]) -> None:
        """What came of it."""
        self._tried += tried

    def choice(self) -> MicroBatchChoice:
        """The largest that fits; the planned one where nothing was tried; that of an earlier attempt where it can be.

        Raises:
            EnvironmentRefused: none fits.
        """
        if self._earlier is not None:
            return self._earlier
        fitting = [tried.rows for tried in self._tried if tried.outcome == "fits"]
        if not self._known and not fitting:
            raise EnvironmentRefused(Problem("micro_batch.none_fits", "train.micro_batch", "1"))
        rows = max(fitting, default=self._planned)
        return MicroBatchChoice(rows, self._planned, self._circumstances, tuple(self._tried), self._attempt.number)


def settled_preset(attempt: AttemptDirectory) -> tuple[Preset, Resolved]:
    """What the ranks train: the attempt's preset, with the micro batch that was chosen for it.

    Raises:
        PresetError, RunError: the files are no valid ones, or nothing was chosen.
    """
    preset, resolved = read_resolved(attempt.preset)
    if preset.train.micro_batch != "auto":
        return preset, resolved
    choice = read_record(MicroBatchChoice, attempt.micro_batch)
    if choice is None:
        raise RunError(Problem("run.unresolved", str(attempt.micro_batch), "", {"lacking": "rows"}))
    return replace(preset, train__micro_batch=choice.rows), resolved


def earlier_choice(attempt: AttemptDirectory, circumstances: str) -> MicroBatchChoice | None:
    """Of the last attempt before this one under the same circumstances."""
    before = sorted((a for a in attempt.run.attempts() if a.number < attempt.number), key=lambda a: -a.number)
    choices = (read_record(MicroBatchChoice, earlier.micro_batch) for earlier in before)
    return next((c for c in choices if c is not None and c.circumstances == circumstances), None)


def read_tried(path: Path) -> list[TriedMicroBatch]:
    """The sizes that a trial has begun, each as it ended; the last may have none."""
    if not path.exists():
        return []
    lines = (from_json(TriedMicroBatch, line) for line in path.read_text(encoding="utf-8").splitlines())
    return list({tried.rows: tried for tried in lines if tried is not None}.values())


def in_words(choice: MicroBatchChoice) -> str:
    """A line for the log."""
    tried = ", ".join(f"{tried.rows} {tried.outcome.replace('_', ' ')}" for tried in choice.tried)
    return f"micro batch {choice.rows}, planned {choice.planned}; tried: {tried or 'none'}"


def _ran_out_of_memory(attempt: AttemptDirectory, choice: MicroBatchChoice) -> bool:
    """Whether an attempt that trained with this choice ended so."""
    for earlier in attempt.run.attempts():
        theirs, end = read_record(MicroBatchChoice, earlier.micro_batch), read_record(Exit, earlier.exit)
        if theirs == choice and end is not None and end.problem is not None and end.problem.code in OUT_OF_MEMORY:
            return True
    return False


def _worth_trying(preset: Preset, resolved: Resolved) -> bool:
    """On GPUs always."""
    if resolved.device == "cuda":
        return True
    data = resolved.ranks // preset.parallel.tensor
    expected = memory_expected(
        preset, shape_of(preset.model), resolved.device, data=data, micro_batch=resolved.micro_batch
    )
    return expected.total > ENOUGH * memory_of_rank(resolved.ranks)
