"""TensorBoard's event files of one attempt. The library writes them in a thread of its own, once a second."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from trainer.spec.scalar_tags import PRESET_TEXT

FLUSH_SECONDS = 1


class EventWriter:
    """Begins a file at the attempt's first step, and strikes out what an earlier attempt logged from this step on."""

    def __init__(self, folder: Path, preset: str) -> None:
        self._folder = folder
        self._preset = preset
        self._writer: SummaryWriter | None = None

    def scalars(self, step: int, values: Mapping[str, float | None]) -> None:
        """Values by tag. NaN, a loss that is no number, is written; None, a value there is not, is not."""
        if self._writer is None:
            self._writer = self._begin(step)
        for tag, value in values.items():
            if value is not None:
                self._writer.add_scalar(tag, value, step)

    def _begin(self, step: int) -> SummaryWriter:
        writer = SummaryWriter(str(self._folder), purge_step=step, flush_secs=FLUSH_SECONDS)
        indented = "".join(f"    {line}\n" for line in self._preset.splitlines())  # Markdown's form for text as it is
        writer.add_text(PRESET_TEXT, indented, step)
        return writer

    def close(self) -> None:
        """Returns when everything is written."""
        if self._writer is not None:
            self._writer.close()
