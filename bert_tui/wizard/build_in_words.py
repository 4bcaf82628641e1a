"""A build in words: what it does, how far it is, what it made, and what to do where it did not."""

from __future__ import annotations

from dataclasses import dataclass

from bert_tui.advice.words import describe
from bert_tui.data.build_job import BuildView
from bert_tui.data.build_records import BuildProgress, BuildResult
from bert_tui.data.build_words import PHASES
from bert_tui.metrics.sentences import Tone, count, duration, size
from bert_tui.paths import short_path

UNKNOWN_SHARE = 0.05
"""From here on a vocabulary hardly fits the text's language or its case."""


@dataclass(frozen=True)
class BuildWords:
    """What a page shows of a build."""

    headline: str
    tone: Tone
    remedy: str = ""
    """What to do about a failure."""
    share: float | None = None
    """Of the present phase, 0 to 1; None where nothing can be counted."""
    left: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    """Names and values."""
    cautions: tuple[str, ...] = ()


def in_words(view: BuildView) -> BuildWords:
    """A build as it is now."""
    progress = view.progress
    match view.state:
        case "running" if progress is None:
            return BuildWords("Starting", "busy")
        case "running":
            assert progress is not None
            return _running(progress)
        case "finished":
            assert view.result is not None
            return _finished(view.result)
        case "stopped":
            return BuildWords(
                "Stopped", "quiet", "What it had finished is kept: F3 goes on from there.", facts=_counts(progress)
            )
        case "failed" if view.problem is not None:
            words = describe(view.problem)
            return BuildWords(f"Failed: {words.what}", "bad", words.remedy, facts=_counts(progress))
        case _:
            return BuildWords(
                "It ended without a word, as after a kill or a reboot.",
                "bad",
                "Go on with F3: what it had finished is kept.",
                facts=_counts(progress),
            )


def in_brief(view: BuildView) -> str:
    """A build in a few words, for a line of a list."""
    name, words = view.order.output.name, in_words(view)
    if view.state == "running":
        far = f", {words.share:.0%}" if words.share is not None else ""
        return f"{name} is being built{far}"
    return {"finished": f"{name} is ready", "stopped": f"{name} was stopped"}.get(view.state, f"{name} failed")


def _running(progress: BuildProgress) -> BuildWords:
    number = list(PHASES).index(progress.phase) + 1
    share = min(1.0, progress.done_bytes / progress.total_bytes) if progress.total_bytes else None
    left = f"about {duration(progress.seconds_left)} left" if progress.seconds_left is not None else ""
    rate = f", {size(progress.bytes_per_second)} a second" if progress.bytes_per_second else ""
    read = f"{size(progress.done_bytes)} of {size(progress.total_bytes)}{rate}" if progress.total_bytes else ""
    return BuildWords(
        f"{PHASES[progress.phase]} ({number} of {len(PHASES)})",
        "busy",
        share=share,
        left=left,
        facts=_named(("Read", read), *_counts(progress), ("Now", progress.detail)),
        cautions=tuple(describe(caution).what for caution in progress.cautions),
    )


def _counts(progress: BuildProgress | None) -> tuple[tuple[str, str], ...]:
    if progress is None:
        return ()
    return _named(
        ("Documents", _number(progress.documents)),
        ("Sentences", _number(progress.sentences)),
        ("Pieces", _number(progress.tokens)),
        ("Left out", _number(progress.skipped)),
    )


def _finished(result: BuildResult) -> BuildWords:
    made = result.datasets[0]
    cautions = []
    if made.tokens and made.unknown_tokens > UNKNOWN_SHARE * made.tokens:
        cautions.append(
            f"{made.unknown_tokens / made.tokens:.0%} of the text has no piece in this vocabulary: "
            "does it fit the language?"
        )
    if made.single_sentence == made.documents:
        cautions.append("No document has two sentences, so the order of sentences cannot be learned from it.")
    facts = _named(
        ("Dataset", " and ".join(short_path(dataset.prefix) for dataset in result.datasets)),
        ("Vocabulary", f"{short_path(result.vocab_file)}, {result.vocab_size:,} pieces"),
        ("Documents", _number(made.documents)),
        ("Sentences", _number(made.sentences)),
        ("Pieces", _number(made.tokens)),
        ("Left out", _left_out(result)),
        ("Repaired", f"{result.replaced:,} lines" if result.replaced else ""),
        ("From", f"{size(result.input_bytes)} in {duration(result.seconds)}"),
    )
    return BuildWords("The dataset is ready", "good", share=1.0, facts=facts, cautions=tuple(cautions))


def _left_out(result: BuildResult) -> str:
    if not result.skipped:
        return ""
    first = f", the first: {result.left_out[0].where}" if result.left_out else ""
    return f"{result.skipped:,}{first}"


def _named(*facts: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in facts if value)


def _number(number: int) -> str:
    return count(number) if number else ""
