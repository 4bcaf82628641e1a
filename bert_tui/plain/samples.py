"""Samples of a dataset as lines of text."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import time
from pathlib import Path

from bert_tui.data.show_sample import legend_lines, plain, read_samples, sample_lines
from bert_tui.exit_status import ExitStatus
from trainer.spec.preset import Preset

LINE_SECONDS = 2.0
"""At most one line of progress in this time."""


def print_samples(prefix: Path, vocab_file: Path, preset: Preset, number: int, seed: int | None) -> int:
    """Prints the first samples that the preset's run would train on."""
    data = preset.data if seed is None else dataclasses.replace(preset.data, seed=seed)
    progress = _ProgressLines()
    samples = read_samples(prefix, vocab_file, data, preset.model.sequence_length, number, progress.show)
    width = shutil.get_terminal_size().columns
    lines = [plain(line) for line in legend_lines(samples, width)]
    for sample in samples:
        lines += ["", *(plain(line) for line in sample_lines(sample, width))]
    print(_printable("\n".join(lines)))
    return ExitStatus.FINISHED


def _printable(text: str) -> str:
    """Fit for a terminal that takes no UTF-8."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, errors="replace").decode(encoding)


class _ProgressLines:
    """Says on stderr how far the samples are worked out, where that takes long."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def show(self, done: float, total: float, unit: str, detail: str) -> None:
        now = time.monotonic()
        if now >= self._told + LINE_SECONDS:
            self._told = now
            print(f"{detail}: {done:,.0f} of {total:,.0f} {unit}", file=sys.stderr, flush=True)
