"""The folder of a job that outlives the screen it was started from: building a dataset, fetching an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class JobFolder:
    """The names that the folders of all jobs have."""

    path: Path

    @property
    def order(self) -> Path:
        """What was asked for."""
        return self.path / "order.json"

    @property
    def lock(self) -> Path:
        """Held while the job lives."""
        return self.path / "lock"

    @property
    def status(self) -> Path:
        """Heartbeat and progress."""
        return self.path / "status.json"

    @property
    def end(self) -> Path:
        """How it ended."""
        return self.path / "end.json"
