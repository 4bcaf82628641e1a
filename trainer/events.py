"""TensorBoard's event files of one attempt. The library writes them in a thread of its own, once a second."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import FileWriter
from torch.utils.tensorboard.summary import text

from trainer.spec.scalar_tags import PRESET_TEXT

FLUSH_SECONDS = 1


class EventWriter:
    """Begins a file at the attempt's first step, and strikes out what an earlier attempt logged from this step on.

    Not a ``SummaryWriter``, because that makes an event of each value: for a step's values it takes several
    times as long, and holds the interpreter that training needs.
    """

    def __init__(self, folder: Path, preset: str) -> None:
        self._folder = folder
        self._preset = preset
        self._writer: FileWriter | None = None

    def scalars(self, step: int, values: Mapping[str, float | None]) -> None:
        """Values by tag. NaN, a loss that is no number, is written; None, a value there is not, is not.

        Raises:
            OSError: the disk took nothing, of this step or of one before.
        """
        writer = self._writer or self._begin(step)
        told = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items() if value is not None]
        self._writer = None  # one that fails writes no more: the step after begins a new file
        writer.add_summary(Summary(value=told), step)
        self._writer = writer

    def _begin(self, step: int) -> FileWriter:
        writer = FileWriter(str(self._folder), flush_secs=FLUSH_SECONDS)
        writer.add_event(Event(step=step, session_log=SessionLog(status=SessionLog.START)))  # "purge_step"
        indented = "".join(f"    {line}\n" for line in self._preset.splitlines())  # Markdown's form for text as it is
        writer.add_summary(text(PRESET_TEXT, indented), step)
        return writer

    def close(self) -> None:
        """Returns when everything is written."""
        if self._writer is not None:
            self._writer.close()
