"""Started by torchrun: saves BERT-base, first while training stands still, then while it goes on; prints JSON.

``python -m tests.benchmarks.checkpoint_saves FOLDER``
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.trainer.small_run import open_reader, small_preset
from trainer.batches import StepBatch, read_share
from trainer.checkpoint import CheckpointFacts, Identity, Position, load
from trainer.learner import Learner
from trainer.rank_end import end
from trainer.ranks import joined
from trainer.saver import SaveEnd, Saver
from trainer.spec.checkpoint_folder import PROGRESS, complete_checkpoints, wrong_content
from trainer.spec.preset import Checkpoint
from trainer.spec.sizing import shape_of

IDENTITY = Identity("data", "vocabulary", {})
STEPS_ALONE = 4


@dataclass
class Training:
    """Steps on one batch."""

    learner: Learner
    batch: StepBatch
    done: int = 0

    def step(self) -> float:
        """Seconds that one took."""
        began = time.monotonic()
        self.done += 1
        self.learner.learn(self.done, self.batch.micro_batches, self.batch.counts).wait()
        return time.monotonic() - began


def main(folder: Path) -> None:
    """One process; the thread that writes has the other core."""
    preset = small_preset(
        folder, model__layers=12, model__hidden=768, model__heads=12, model__vocab_size=30522, train__micro_batch=8
    )
    reader = open_reader(folder, preset)
    with joined("cpu", 1) as ranks:
        learner = Learner(shape_of(preset.model), preset, ranks)
        training = Training(learner, read_share(reader, "train", [range(8)]))
        training.step()
        ends: list[SaveEnd] = []
        saver = Saver(learner, IDENTITY, folder / "saved", Checkpoint(keep_last=1), ends.append)
        facts: dict[str, Any] = {"alone": [training.step() for _ in range(STEPS_ALONE)]}
        facts["standing still"] = [stand_still(saver, training) for _ in range(3)]
        facts["going on"] = [go_on(saver, training, ends) for _ in range(2)]
        facts |= read_back(learner, folder / "saved")
    print(json.dumps(facts))


def stand_still(saver: Saver, training: Training) -> float:
    """Seconds of a save that training waits for."""
    began = time.monotonic()
    saver.begin(Position(training.done), since=began, asked=False)
    saver.wait()
    paused = time.monotonic() - began
    training.step()
    return paused


def go_on(saver: Saver, training: Training, ends: list[SaveEnd]) -> dict[str, Any]:
    """A save behind which training goes on, and the steps made meanwhile."""
    before, steps = len(ends), []
    saver.begin(Position(training.done), since=time.monotonic(), asked=False)
    while len(ends) == before:
        steps.append(training.step())
    return {"pause": ends[-1].pause, "seconds": ends[-1].seconds, "steps": steps}


def read_back(learner: Learner, folder: Path) -> dict[str, float]:
    """Size, and seconds to verify and to load."""
    (saved,) = complete_checkpoints(folder)
    files = CheckpointFacts.from_json((saved.path / PROGRESS).read_text()).files
    began = time.monotonic()
    assert not wrong_content(saved.path, files)
    verified = time.monotonic()
    load(learner, saved, IDENTITY)
    return {
        "bytes": sum(facts.bytes for facts in files.values()),
        "verifying": verified - began,
        "loading": time.monotonic() - verified,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    end(0)
