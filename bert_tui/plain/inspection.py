"""What an inspection of a dataset found, as lines of text."""

from __future__ import annotations

import itertools
import json
import sys
import textwrap
import time
from pathlib import Path

from bert_tui.data.finding import Finding
from bert_tui.data.inspect import Inspection, inspect_dataset
from bert_tui.data.survey import LENGTH_BORDERS
from bert_tui.exit_status import ExitStatus
from bert_tui.metrics.sentences import duration
from bert_tui.widgets.glyphs import glyphs
from trainer.spec.preset import Preset

WIDTH = 80
BAR = 48
"""Columns of the longest bar."""
LINE_SECONDS = 2.0
"""At most one line of progress in this time."""


def print_inspection(
    prefix: Path, vocab_file: Path, preset: Preset, rate: float | None, *, full: bool, as_json: bool
) -> int:
    """Looks at a dataset and says what was seen; exit status 1 if nothing can be trained with it."""
    found = inspect_dataset(
        prefix, vocab_file, preset.data, preset.model.sequence_length, full=full, report=_ProgressLines().show
    )
    if as_json:
        print(json.dumps({**found.as_json(), **run_facts(found, preset, rate)}, ensure_ascii=False, indent=2))
    else:
        print("\n".join(inspection_lines(found, preset, rate)))
    return ExitStatus.FINISHED if found.usable else ExitStatus.REFUSED


def run_facts(found: Inspection, preset: Preset, rate: float | None) -> dict[str, float | None]:
    """What the preset's run makes of the dataset: how many epochs, and the seconds each takes at a rate."""
    epoch, steps = found.epoch, preset.train.steps
    return {
        "epochs": epoch.epochs(steps, preset.train.global_batch) if epoch and steps else None,
        "epoch_seconds": epoch.seconds(rate) if epoch and rate else None,
    }


def inspection_lines(found: Inspection, preset: Preset, rate: float | None) -> list[str]:
    """All of it, in 80 columns."""
    lines = [f"Dataset {found.prefix}", *_counts(found)]
    if sum(found.histogram):
        lines += ["", "Sentences by length in tokens", *histogram_lines(found.histogram)]
    if found.fit:
        lines += ["", f"Read with {found.vocab_file}", *_text_lines(found)]
    if found.epoch:
        lines += ["", "For training", *_epoch_lines(found, preset, rate)]
    return [*lines, "", *finding_lines(found.findings)]


def histogram_lines(histogram: tuple[int, ...]) -> list[str]:
    """A bar for each length; empty sentences only where there are some."""
    borders, total, highest = LENGTH_BORDERS.tolist(), sum(histogram), max(histogram)
    names = ["empty", *(f"{low + 1}-{high}" for low, high in itertools.pairwise(borders))]
    names.append(f"over {borders[-1]}")
    sign = glyphs().bar_full
    lines = []
    for name, count in zip(names, histogram, strict=True):
        if count or name != "empty":
            bar = sign * (round(BAR * count / highest) or bool(count))
            lines.append(f"  {name:>8}  {_share(count / total):>8}  {bar}".rstrip())
    return lines


def finding_lines(findings: tuple[Finding, ...]) -> list[str]:
    """Each finding with what to do about it, the fatal ones first."""
    if not findings:
        return ["ok  Nothing wrong was found."]
    lines = []
    for finding in findings:
        often = f" Seen {finding.times:,} times; the first is named." if finding.times > 1 else ""
        words = finding.words
        lines += _wrapped(words.what + often, " x  " if finding.fatal else " !  ")
        lines += _wrapped(words.remedy, "    ")
    return lines


def _wrapped(text: str, beginning: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=beginning, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def _counts(found: Inspection) -> list[str]:
    if not found.histogram:
        return []
    counts = f"{found.documents:,} documents, {found.sentences:,} sentences, {found.tokens:,} tokens"
    looked = "All of it was looked at."
    if found.looked_at < 1:
        looked = f"Sampled: {_share(found.looked_at)} of the tokens were looked at; --full looks at all."
    return [f"  {counts}", f"  {looked}"]


def _text_lines(found: Inspection) -> list[str]:
    fit = found.fit
    assert fit
    return _table(
        ("a sentence has", f"{found.mean_length:.1f} tokens on average, {found.longest_sentence:,} at most"),
        ("[UNK], no piece for it", _share(fit.unknown_share)),
        ("##, inside a word", _share(fit.continuation_share)),
        ("pieces that occur", f"{_share(fit.used_share)} of the vocabulary"),
        ("end with . ! or ?", f"{_share(fit.marked_ends_share)} of the sentences"),
        ("begin inside a word", f"{_share(fit.broken_starts_share)} of the sentences (right: 0)"),
        ("## where none can be", f"{_share(fit.broken_words_share)} of the ## pieces (right: 0)"),
        ("signs text never has", f"{_share(fit.reserved_share)} (right: 0)"),
    )


def _epoch_lines(found: Inspection, preset: Preset, rate: float | None) -> list[str]:
    epoch, facts = found.epoch, run_facts(found, preset, rate)
    assert epoch
    about = "" if epoch.counted else "about "
    length = preset.model.sequence_length
    rows = [
        ("documents with pairs", _share(found.paired_share)),
        ("one epoch", f"{about}{epoch.rows:,} rows of {length}, {epoch.pairs:,} samples, {epoch.tokens:,} tokens"),
    ]
    if facts["epochs"] is not None:
        run = f"{preset.train.steps:,} steps of {preset.train.global_batch:,} rows"
        rows.append(("this run", f"{about}{facts['epochs']:,.1f} epochs ({run})"))
    if facts["epoch_seconds"] is not None:
        rows.append((f"at {rate:,.0f} tokens/s", f"{duration(facts['epoch_seconds'])} an epoch"))
    return _table(*rows)


def _table(*rows: tuple[str, str]) -> list[str]:
    return [f"  {name:<24}{value}" for name, value in rows]


def _share(share: float) -> str:
    """With enough digits to tell nothing from little."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.1f} %"


class _ProgressLines:
    """Says on stderr how far it is, where that takes long."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def show(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now >= self._told + LINE_SECONDS:
            self._told = now
            print(f"looked at {done / 1e9:.1f} of {total / 1e9:.1f} GB", file=sys.stderr, flush=True)
