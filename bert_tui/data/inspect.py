"""Looking at a dataset as a whole: what it holds, everything that is wrong with it, and what training makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bert_tui.data.dataset_parts import DAMAGE, DatasetParts, read_parts
from bert_tui.data.epochs import Epoch, size_of_epoch
from bert_tui.data.finding import Finding
from bert_tui.data.survey import (
    DOCUMENTS,
    PARTS,
    SENTENCES,
    TOKENS,
    DocumentSurvey,
    SentenceSurvey,
    read_edges,
    spread,
    survey_documents,
    survey_sentences,
)
from bert_tui.data.vocabulary_fit import VocabularyFit, count_tokens, fit_findings, measure_fit
from trainer.spec.dataset_check import DOCUMENT_LEVEL_SHARE
from trainer.spec.indexed_dataset import IndexedDataset
from trainer.spec.preset import Data
from trainer.spec.problem import DatasetError, Problem
from trainer.spec.vocabulary import Vocabulary, read_vocabulary

STRUCTURE = DAMAGE | {"dataset.lengths", "dataset.pointers", "dataset.documents"}
"""Findings after which sentences and documents are not what they seem."""

Report = Callable[[int, int], None]
"""Called with the bytes looked at and the bytes there are to look at."""


@dataclass(frozen=True)
class Inspection:
    """What was seen of a dataset."""

    prefix: Path
    vocab_file: Path
    documents: int
    sentences: int
    tokens: int
    """What header and size promise; all three are exact where nothing is wrong."""
    looked_at: float
    """Share of the ids that were looked at."""
    histogram: tuple[int, ...]
    """Sentences by length, as :data:`bert_tui.data.survey.LENGTH_BORDERS` has it."""
    mean_length: float
    """Tokens of a sentence."""
    longest_sentence: int
    """Tokens."""
    paired_share: float
    """Share of the documents that have two sentences or more."""
    fit: VocabularyFit | None
    """None where the ids cannot be read."""
    epoch: Epoch | None
    """None where something is so wrong that nothing can be trained."""
    findings: tuple[Finding, ...]

    @property
    def usable(self) -> bool:
        """Whether anything can be trained with the dataset."""
        return not any(finding.fatal for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """What ``data inspect --json`` prints."""
        facts = {**vars(self), "prefix": str(self.prefix), "vocab_file": str(self.vocab_file)}
        facts["fit"] = self.fit and asdict(self.fit)
        facts["epoch"] = self.epoch and asdict(self.epoch)
        facts["findings"] = [finding.as_json() for finding in self.findings]
        return facts


def inspect_dataset(
    prefix: Path,
    vocab_file: Path,
    data: Data,
    sequence_length: int,
    *,
    full: bool = False,
    report: Report | None = None,
) -> Inspection:
    """Looks at evenly spread parts of a dataset, or with ``full`` at all of it.

    ``data`` and ``sequence_length`` tell what training would make of it. Writes nothing beside the dataset.

    Raises:
        DatasetError: a file is absent or cannot be read.
        VocabularyError: the vocabulary cannot be used.
        PresetError: ``data.split`` is no split.
    """
    vocabulary = read_vocabulary(vocab_file)
    parts, findings = read_parts(prefix)
    if parts is None:
        return _nothing(prefix, vocab_file, findings)
    places = None if full else PARTS
    looked = _progress(parts, places, report)
    sentences = survey_sentences(parts, spread(len(parts.lengths), SENTENCES, places), looked)
    documents = survey_documents(parts, spread(max(0, len(parts.documents) - 1), DOCUMENTS, places), looked)
    counts = count_tokens(parts, vocabulary, spread(len(parts.tokens), TOKENS, places), looked)
    findings += [*sentences.findings, *documents.findings, *counts.findings]
    fit = None
    if len(parts.tokens):
        edges = read_edges(parts, _edge_slices(parts))
        fit = measure_fit(counts, edges, vocabulary)
        findings += fit_findings(fit, parts, vocabulary, vocab_file)
    sound = not any(finding.problem.code in STRUCTURE for finding in findings)
    findings += _level_findings(parts, sentences, documents, data) if sound else []
    findings += [Finding(caution, fatal=False) for caution in vocabulary.cautions]
    epoch = None
    if sound:
        try:
            epoch = size_of_epoch(IndexedDataset(prefix), data, sequence_length)
        except DatasetError as error:  # damage between the places that were looked at
            findings += [Finding(problem, fatal=True) for problem in error.problems]
    return Inspection(
        prefix=prefix,
        vocab_file=vocab_file,
        documents=max(0, parts.documents_count),
        sentences=parts.sentences,
        tokens=len(parts.tokens),
        looked_at=counts.looked_at / max(1, len(parts.tokens)),
        histogram=tuple(sentences.histogram.tolist()),
        mean_length=sentences.tokens / max(1, sentences.looked_at),
        longest_sentence=sentences.longest,
        paired_share=documents.paired_share,
        fit=fit,
        epoch=epoch,
        findings=tuple(sorted(findings, key=lambda finding: not finding.fatal)),
    )


def require_own_vocabulary(prefix: Path, vocabulary: Vocabulary, vocab_file: Path) -> None:
    """Makes sure that a dataset was made with this vocabulary, from evenly spread parts of it.

    Raises:
        DatasetError: it was not; or a file is absent or cannot be read.
    """
    parts, _ = read_parts(prefix)
    if parts is None or not len(parts.tokens):
        return  # other checks tell of that
    counts = count_tokens(parts, vocabulary, spread(len(parts.tokens), TOKENS, PARTS), lambda _size: None)
    fit = measure_fit(counts, read_edges(parts, _edge_slices(parts)), vocabulary)
    found = [finding.problem for finding in fit_findings(fit, parts, vocabulary, vocab_file)]
    if wrong := [problem for problem in found if problem.code == "dataset.other_vocabulary"]:
        raise DatasetError(*wrong)


def _edge_slices(parts: DatasetParts) -> Iterator[slice]:
    """As many sentences at each place as take about the room of the ids read there: beginnings and ends of long ones
    lie far apart, and a disk reads all between."""
    sentences = min(len(parts.lengths), len(parts.pointers))
    mean_length = max(1, len(parts.tokens) // max(1, sentences))
    return spread(sentences, min(SENTENCES, max(1, TOKENS // mean_length)), PARTS)


def _nothing(prefix: Path, vocab_file: Path, findings: list[Finding]) -> Inspection:
    return Inspection(prefix, vocab_file, 0, 0, 0, 0.0, (), 0.0, 0, 0.0, None, None, tuple(findings))


def _progress(parts: DatasetParts, places: int | None, report: Report | None) -> Callable[[int], None]:
    """Adds up the bytes that the passes look at."""

    def share(total: int, size: int, width: int) -> int:
        return width * (total if places is None else min(total, places * size))

    total = share(len(parts.lengths), SENTENCES, 12) + share(max(0, len(parts.documents) - 1), DOCUMENTS, 8)
    total += share(len(parts.tokens), TOKENS, parts.width)
    done = 0

    def looked(size: int) -> None:
        nonlocal done
        done += size
        if report:
            report(done, total)

    return looked


def _level_findings(
    parts: DatasetParts, sentences: SentenceSurvey, documents: DocumentSurvey, data: Data
) -> list[Finding]:
    """Whether text that should be cut into sentences is not, and whether there is any that is empty."""
    found, prefix = [], str(parts.prefix)
    if data.sentence_order and not documents.several:
        facts = {"documents": parts.documents_count}
        found.append(Finding(Problem("dataset.no_pairs", prefix, data.split, facts), fatal=True))
    elif documents.paired_share < DOCUMENT_LEVEL_SHARE:
        problem = Problem("dataset.document_level", prefix, f"{documents.paired_share:.1%}")
        found.append(Finding(problem, fatal=False))
    if sentences.empty:
        share = f"{sentences.empty / sentences.looked_at:.1%}"
        found.append(Finding(Problem("dataset.empty_sentences", prefix, share), fatal=False))
    return found
