"""``data resplit`` as lines of text."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from bert_tui.data.resplit import resplit
from bert_tui.exit_status import ExitStatus

LINE_SECONDS = 2.0
"""At most one line of progress in this time."""


def print_resplit(prefix: Path, vocab_file: Path, output: Path) -> int:
    """Splits a dataset into sentences and says what became of it."""
    done = resplit(prefix, vocab_file, output, _ProgressLines().show)
    print(f"{done.prefix}: {done.documents:,} documents, {done.sentences:,} sentences, {done.tokens:,} tokens")
    print(f"Before there were {done.sentences_before:,} sentences in as many documents.")
    frames = done.tokens_before - done.tokens
    print(f"{frames:,} [CLS] and [SEP] were taken out; no other token was lost.")
    return ExitStatus.FINISHED


class _ProgressLines:
    """Says on stderr how far it is, where that takes long."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def show(self, doing: str, share: float) -> None:
        now = time.monotonic()
        if now >= self._told + LINE_SECONDS:
            self._told = now
            print(f"{doing}: {share:.0%}", file=sys.stderr, flush=True)
