"""The top of the live view: which run, what it is doing, how far, and its numbers."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from bert_tui.metrics.sentences import (
    Headline,
    count,
    duration,
    headline,
    hint,
    next_step,
    percent,
    remedy,
    share_done,
    size,
)
from bert_tui.metrics.snapshot import Snapshot
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
    """State in words, a bar, losses, speed, checkpoints; at the end also the cause, and what to do."""

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
        advice = _advice_lines(snapshot, width - 2)
        rows: list[Row] = [
            (_title(run_id, snapshot, width),),
            *(((line, sentence.tone),) for line in told[:4]),
            *(((f"  {line}", ""),) for line in advice[:3]),
            _bar_row(snapshot, width),
            *_number_rows(snapshot, width),
        ]
        if self.styles.height is None or self.styles.height.value != len(rows):
            self.styles.height = len(rows)
        self.show_rows(rows)


def _title(run_id: str, snapshot: Snapshot, width: int) -> Part:
    """The run's name, and of what is known about it as much as fits."""
    progress, attempt = snapshot.view.progress, snapshot.view.attempt
    title = run_id
    for fact in (
        f"attempt {attempt.number}" if attempt and attempt.number > 1 else "",
        progress.layout if progress else "",
        progress.device if progress else "",
        f"attention {progress.attention}" if progress and progress.attention else "",
        snapshot.facts.launcher,
    ):
        longer = f"{title}{'  ' if title == run_id else ', '}{fact}"
        if fact and len(longer) <= width:
            title = longer
    return (title, "title")


def _advice_lines(snapshot: Snapshot, width: int) -> list[str]:
    """What to do now; what is to be typed begins a line of its own where it would be broken."""
    step = next_step(snapshot)
    if step is None:
        return textwrap.wrap(remedy(snapshot), width)
    parts = [str(step)] if len(str(step)) <= width else [step.lead, step.target]
    return [line for part in parts for line in textwrap.wrap(part, width, break_on_hyphens=False)]


def _symbol(state: RunState) -> str:
    symbol = SYMBOLS[state]
    return symbol if symbol.isascii() or not glyphs().ascii_only else "."


def _bar_row(snapshot: Snapshot, width: int) -> Row:
    """How far, and what is saved."""
    saved = _checkpoints(snapshot, width)
    share = share_done(snapshot)
    if share is None:
        since = snapshot.view.since
        waited = f"for {duration(max(0.0, snapshot.taken - since))}   " if since is not None else ""
        return ((f"  {waited}{saved}", "muted"),)
    signs, room = glyphs(), width - len(saved) - 13
    full = int(share * room)
    return (
        ("  ", ""),
        (signs.bar_full * full, "training"),
        (signs.bar_empty * (room - full), "faint"),
        (f" {math.floor(share * 100):3} %   ", ""),
        (saved, "muted"),
    )


def _number_rows(snapshot: Snapshot, width: int) -> list[Row]:
    """Losses and speed; what the last validation says; a hint where there is one."""
    progress, advice = snapshot.view.progress, hint(snapshot)
    if progress is None:
        return [(("  losses and speed appear with the first step", "muted"),), ()]
    rows = [_training_row(progress, alive=snapshot.view.state.active, width=width), _validation_row(progress, width)]
    if advice is not None:
        rows.append(((f"  {advice.text}", "muted" if advice.tone == "quiet" else advice.tone),))
    return rows


def _training_row(progress: Progress, *, alive: bool, width: int) -> Row:
    """Of the last step; of a run that has ended, its speed as a whole."""
    numbers = [("MLM loss", _loss(progress.lm_loss, progress))]
    if progress.sop_loss is not None:
        numbers.append(("sentence order", _loss(progress.sop_loss, progress)))
    if alive and progress.tokens_per_second is not None:
        numbers.append(("tokens/s", count(progress.tokens_per_second)))
    if not alive and progress.mean_tokens_per_second is not None:
        numbers.append(("tokens/s on average", count(progress.mean_tokens_per_second)))
    if alive and progress.learning_rate is not None:
        numbers.append(("learning rate", f"{progress.learning_rate:.1e}"))
    return _named_numbers(numbers, width)


def _validation_row(progress: Progress, width: int) -> Row:
    validation = progress.validation
    if validation is None:
        return (("  no validation yet", "muted"),)
    numbers = [(f"validation at step {validation.step:,}:", _loss(validation.lm_loss, progress))]
    if validation.masked_accuracy is not None:
        numbers.append(("words right", percent(validation.masked_accuracy)))
    if validation.sop_accuracy is not None:
        numbers.append(("order right", percent(validation.sop_accuracy)))
    if validation.perplexity is not None:
        numbers.append(("perplexity", count(validation.perplexity)))
    return _named_numbers(numbers, width)


def _named_numbers(numbers: Sequence[tuple[str, str]], width: int) -> Row:
    """As many as fit, the most important first."""
    parts: list[Part] = []
    for name, value in numbers:
        width -= len(name) + len(value) + 3
        if width < 0:
            break
        parts += [(f"  {name} ", "muted"), (value, "")]
    return tuple(parts)


def _loss(value: float | None, progress: Progress) -> str:
    if value is None:
        return "not a number" if progress.step else "-"
    return f"{value:.3f}"


def _checkpoints(snapshot: Snapshot, width: int) -> str:
    if not snapshot.checkpoints:
        return "no checkpoint yet"
    last = snapshot.checkpoints[-1]
    age = (snapshot.taken - last.when) // 10 * 10
    when = f"{duration(age)} ago" if age > 0 else "just now"
    if width < 100:
        return f"last checkpoint: step {last.step:,}, {when}"
    number = "1 checkpoint" if len(snapshot.checkpoints) == 1 else f"{len(snapshot.checkpoints)} checkpoints"
    return f"{number}, the last at step {last.step:,} ({size(last.bytes)}, {when})"
