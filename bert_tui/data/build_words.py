"""A build in words: the same on the screen and in lines."""

from __future__ import annotations

from bert_tui.data.build_records import BuildPhase, BuildProgress, BuildResult, DatasetCounts
from bert_tui.metrics.sentences import duration

PHASES: dict[BuildPhase, str] = {
    "look": "Looking at the input",
    "vocabulary": "Training a vocabulary",
    "tokenize": "Splitting and tokenizing",
    "join": "Joining the parts",
}


def progress_line(progress: BuildProgress) -> str:
    """Where a build is: share, rate, counts and time left, as far as they are known."""
    parts = [PHASES[progress.phase]]
    if progress.total_bytes:
        parts.append(f"{min(progress.done_bytes / progress.total_bytes, 1):.0%} of {size(progress.total_bytes)}")
    if progress.bytes_per_second:
        parts.append(f"{size(progress.bytes_per_second)}/s")
    if progress.documents:
        parts.append(counts_in_words(progress.documents, progress.sentences, progress.tokens))
    if progress.skipped:
        parts.append(f"{progress.skipped:,} left out")
    if progress.seconds_left is not None:
        parts.append(f"{duration(progress.seconds_left)} left")
    elif not progress.total_bytes and progress.detail:
        parts.append(progress.detail)
    return ", ".join(parts)


def result_lines(result: BuildResult) -> list[str]:
    """What a build has made, and what is worth knowing about it."""
    lines = [line for dataset in result.datasets for line in _dataset_lines(dataset)]
    lines.append(f"Vocabulary: {result.vocab_file} ({result.vocab_size:,} pieces)")
    if result.replaced:
        lines.append(f"Replaced: bytes that are not UTF-8, in {result.replaced:,} lines")
    if result.skipped:
        lines.append(f"Left out because it could not be used: {result.skipped:,}")
    lines += [f"    {item.where}: {item.code.removeprefix('build.').replace('_', ' ')}" for item in result.left_out[:5]]
    if len(result.left_out) > 5:
        lines.append("    ... the .json file beside the dataset names more")
    return lines


def counts_in_words(documents: int, sentences: int, tokens: int) -> str:
    """As in "12 documents, 340 sentences, 6,800 tokens"."""
    return f"{documents:,} documents, {sentences:,} sentences, {tokens:,} tokens"


def size(number: float) -> str:
    """Bytes as people read them."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number:.0f} B"


def _dataset_lines(dataset: DatasetCounts) -> list[str]:
    lines = [f"{dataset.prefix}: {counts_in_words(dataset.documents, dataset.sentences, dataset.tokens)}"]
    if dataset.single_sentence:
        share = dataset.single_sentence / max(dataset.documents, 1)
        lines.append(
            f"    {dataset.single_sentence:,} documents ({share:.0%}) have one sentence: they are kept, but make no "
            "pair of sentences; data.sentence_order = false trains on them too"
        )
    if dataset.unknown_tokens:
        share = dataset.unknown_tokens / max(dataset.tokens, 1)
        many = ": far too many; is it the vocabulary of another language?" if share > 0.05 else ""
        lines.append(f"    {share:.2%} of the tokens are unknown to the vocabulary{many}")
    if dataset.cut_sentences:
        lines.append(f"    {dataset.cut_sentences:,} sentences were too long for a model and were cut between words")
    if dataset.empty_documents:
        lines.append(f"    {dataset.empty_documents:,} documents were empty")
    return lines
