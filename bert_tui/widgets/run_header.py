"""The top of the live view: which run, what it is doing, how far, and its numbers."""

from __future__ import annotations

import math
import textwrap

from bert_tui.metrics.sentences import Headline, count, duration, headline, remedy, share_done, size
from bert_tui.metrics.snapshot import Saved, Snapshot
from bert_tui.runs.state import RunState
from bert_tui.widgets.glyphs import glyphs
from bert_tui.widgets.rows import Part, Row, Rows
from trainer.spec.records import Progress

SYMBOLS = {
    RunState.CREATED: "·",
    RunState.PREPARING: "…",
    RunState.RUNNING: ">",
    RunState.STOPPING: "!",
    RunState.STOPPED: "=",
    RunState.FINISHED: "+",
    RunState.FAILED: "x",
    RunState.LOST: "?",
}
"""A sign beside each state, so that it is never told by colour alone."""


class RunHeader(Rows):
    """State in words, a bar, losses, speed, checkpoints; on failure also the cause and what to do."""

    DEFAULT_CSS = "RunHeader { height: 5; }"

    def show(self, run_id: str, snapshot: Snapshot, caution: str = "") -> None:
        """Takes a new snapshot. A caution, where there is one, takes the sentence's place."""
        width = max(20, self.size.width)
        sentence = Headline(caution, "caution") if caution else headline(snapshot)
        symbol = "!" if caution else _symbol(snapshot.view.state)
        told = [
            f"{symbol} {line}" if not n else f"  {line}"
            for n, line in enumerate(textwrap.wrap(sentence.text, width - 2))
        ]
        advice = textwrap.wrap(remedy(snapshot), width - 2)
        rows: list[Row] = [
            (_title(run_id, snapshot, width),),
            *(((line, sentence.tone),) for line in told[:4]),
            *(((f"  {line}", ""),) for line in advice[:3]),
            _bar_row(snapshot, width),
            _loss_row(snapshot),
            _speed_row(snapshot),
        ]
        if self.styles.height is None or self.styles.height.value != len(rows):
            self.styles.height = len(rows)
        self.show_rows(rows)


def _title(run_id: str, snapshot: Snapshot, width: int) -> Part:
    progress = snapshot.view.progress
    facts = [snapshot.facts.launcher, progress.device if progress else "", progress.layout if progress else ""]
    attempt = snapshot.view.attempt
    again = f"attempt {attempt.number}" if attempt and attempt.number > 1 else ""
    return (f"{run_id}  {', '.join(fact for fact in [*facts, again] if fact)}"[:width], "title")


def _symbol(state: RunState) -> str:
    symbol = SYMBOLS[state]
    return symbol if symbol.isascii() or not glyphs().ascii_only else "."


def _bar_row(snapshot: Snapshot, width: int) -> Row:
    share = share_done(snapshot)
    if share is None:
        since = snapshot.view.since
        return ((f"  for {duration(max(0.0, snapshot.taken - since))}" if since is not None else "", "muted"),)
    signs, room = glyphs(), width - 9
    full = int(share * room)
    percent = math.floor(share * 100)
    return (
        ("  ", ""),
        (signs.bar_full * full, "training"),
        (signs.bar_empty * (room - full), "muted"),
        (f" {percent:3} %", ""),
    )


def _loss_row(snapshot: Snapshot) -> Row:
    progress = snapshot.view.progress
    if progress is None:
        return (("  losses appear with the first step", "muted"),)
    parts: list[Part] = [("  MLM loss ", "muted"), (_loss(progress.lm_loss, progress), "")]
    if progress.sop_loss is not None:
        parts += [("  sentence order ", "muted"), (_loss(progress.sop_loss, progress), "")]
    validation = progress.validation
    if validation is not None:
        parts += [("  validation ", "muted"), (f"{validation.lm_loss:.3f}", "")]
        if validation.unigram_loss is not None:
            parts += [("  guessing by word frequency: ", "muted"), (f"{validation.unigram_loss:.2f}", "")]
    return tuple(parts)


def _loss(value: float | None, progress: Progress) -> str:
    if value is None:
        return "not a number" if progress.step else "-"
    return f"{value:.3f}"


def _speed_row(snapshot: Snapshot) -> Row:
    progress, parts = snapshot.view.progress, []
    if progress is not None and progress.tokens_per_second is not None:
        parts.append(f"{count(progress.tokens_per_second)} tokens/s")
    if progress is not None and progress.learning_rate is not None:
        parts.append(f"learning rate {progress.learning_rate:.2e}")
    if snapshot.losses.not_finite:
        parts.append(f"{snapshot.losses.not_finite} of the last 1,000 steps had no finite loss")
    parts.append(_checkpoints(snapshot.checkpoints, snapshot.taken))
    return (("  " + "   ".join(parts), ""),)


def _checkpoints(saved: tuple[Saved, ...], now: float) -> str:
    if not saved:
        return "no checkpoint yet"
    last = saved[-1]
    number = "1 checkpoint" if len(saved) == 1 else f"{len(saved)} checkpoints"
    age = duration((now - last.when) // 10 * 10) if now - last.when >= 10 else "just now"
    ago = age if age == "just now" else f"{age} ago"
    return f"{number}, last at step {last.step:,} ({size(last.bytes)}, {ago})"
