"""Samples of a dataset as lines of text."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path

from bert_tui.data.show_sample import legend_lines, plain, read_samples, sample_lines
from bert_tui.exit_status import ExitStatus
from trainer.spec.preset import Preset


def print_samples(prefix: Path, vocab_file: Path, preset: Preset, number: int, seed: int | None) -> int:
    """Prints the first samples that the preset's run would train on."""
    data = preset.data if seed is None else dataclasses.replace(preset.data, seed=seed)
    samples = read_samples(prefix, vocab_file, data, preset.model.sequence_length, number)
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
