"""A checkpoint, at once."""

from __future__ import annotations

import time
from pathlib import Path

from trainer.checkpoint import Identity, Position
from trainer.learner import Learner
from trainer.saver import Saver
from trainer.spec.preset import Checkpoint


def save_checkpoint(
    learner: Learner, position: Position, identity: Identity, folder: Path, *, memory_share: float = 0.5
) -> None:
    """Writes ``folder/step-XXXXXXXX`` and waits for it. Every rank calls it."""
    saver = Saver(learner, identity, folder, Checkpoint(), lambda end: None, memory_share=memory_share)
    saver.begin(position, since=time.monotonic(), asked=False)
    end = saver.wait()
    assert end is not None
    assert end.saved, end
