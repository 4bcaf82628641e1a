"""Whether a vocabulary is the one that a dataset was made with.

Ids alone do not tell: any vocabulary that is large enough decodes them to something. But a WordPiece tokenizer never
makes certain successions of pieces. It begins every sentence with a new word, so no sentence begins with a "##" piece;
and punctuation, Chinese characters, [UNK] and other pieces in brackets are words of their own, so no "##" piece follows
one. Read with the right vocabulary, a dataset has none of either. Wrong ones (other language, other case, other size,
shuffled, one line lost) were tried on English, German and Chinese text: docs/inspecting-data.md has the figures.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bert_tui.data.dataset_parts import DatasetParts
from bert_tui.data.finding import Finding
from bert_tui.data.survey import Looked, SentenceEdges
from trainer.spec.indexed_dataset import UINT16_VOCABULARY, dataset_paths
from trainer.spec.problem import Problem
from trainer.spec.vocabulary import CONTINUATION, Vocabulary

BROKEN_WORDS = 0.005
"""Share of the "##" pieces that follow something no word goes on from; the right vocabulary gives 0."""
BROKEN_STARTS = 0.001
"""Share of the sentences that begin with a "##" piece; the right vocabulary gives 0."""
CUT_STARTS = 0.01
"""From here on sentences that begin inside a word are told of, even if all else is right."""
RESERVED_SHARE = 0.01
"""Share of ids that stand for [PAD], [MASK] or [unused7], which text never becomes."""
UNKNOWN_SHARE = 0.05
"""Text in the vocabulary's own language and case stays far below this."""
FRAMED_SHARE = 0.9
"""Preparation that adds [CLS] and [SEP] does so to every sentence."""
STRAY_SHARE = 0.001
"""Share of ids that are [CLS] or [SEP] and frame nothing."""

_CONTINUES, _CLOSED = 1, 2
"""Kinds of piece: goes on a word; is a word of its own."""
RESERVED = re.compile(r"\[(PAD|MASK|unused\d+)\]")
BRACKETED = re.compile(r"\[\w+\]")
SENTENCE_MARKS = frozenset(".!?\u2026\u3002\uff01\uff1f")
""". ! ? and the ellipsis, and the three full-width ones of Chinese."""


@dataclass(frozen=True, eq=False)
class TokenCounts:
    """The ids that were looked at."""

    looked_at: int
    by_id: NDArray[np.int64]
    """[vocabulary size]"""
    broken_words: int
    """"##" pieces after something no word goes on from."""
    findings: list[Finding]
    """Ids beyond the vocabulary."""


@dataclass(frozen=True)
class VocabularyFit:
    """How the ids decode. All shares are of what was looked at."""

    unknown_share: float
    """[UNK] among the ids."""
    continuation_share: float
    """"##" pieces among the ids."""
    reserved_share: float
    """[PAD], [MASK] and [unused7] among the ids."""
    broken_words_share: float
    """"##" pieces that follow something no word goes on from, among all "##" pieces."""
    broken_starts_share: float
    """Sentences that begin with a "##" piece."""
    marked_ends_share: float
    """Sentences that end with . ! ? or the like."""
    used_share: float
    """Pieces of the vocabulary that occur."""
    highest_id: int
    framed_share: float
    """Sentences that begin with [CLS] and end with [SEP]."""
    stray_share: float
    """[CLS] and [SEP] among the ids."""

    @property
    def other_vocabulary(self) -> bool:
        """Whether the dataset was made with another vocabulary."""
        both = self.broken_words_share > 0 and self.broken_starts_share > BROKEN_STARTS
        return both or self.broken_words_share > BROKEN_WORDS or self.reserved_share > RESERVED_SHARE


def count_tokens(parts: DatasetParts, vocabulary: Vocabulary, slices: Iterable[slice], looked: Looked) -> TokenCounts:
    """Counts the ids in ``slices``, and holds each against the size of the vocabulary."""
    kinds = np.where(closed_words(vocabulary), _CLOSED, np.where(vocabulary.continuation, _CONTINUES, 0)).astype(
        np.uint8
    )
    by_id = np.zeros(vocabulary.size, dtype=np.int64)
    looked_at = broken = beyond = 0
    first_beyond: Problem | None = None
    for part in slices:
        ids = parts.tokens[part].astype(np.int64)
        looked_at += len(ids)
        looked(parts.width * len(ids))
        wrong = np.zeros(0, dtype=np.int64)
        if len(ids) and not 0 <= ids.min() <= ids.max() < vocabulary.size:
            wrong = np.flatnonzero((ids < 0) | (ids >= vocabulary.size))
            facts = {"vocabulary": vocabulary.size, "position": part.start + int(wrong[0])}
            content = str(dataset_paths(parts.prefix)[1])
            first_beyond = first_beyond or Problem("dataset.ids", content, str(ids[wrong[0]]), facts)
            beyond += len(wrong)
            ids[wrong] = vocabulary.unk
        by_id += np.bincount(ids, minlength=vocabulary.size)
        kind = kinds[ids]
        kind[wrong] = 0
        broken += int(np.count_nonzero((kind[1:] == _CONTINUES) & (kind[:-1] == _CLOSED)))
    by_id[vocabulary.unk] -= beyond
    findings = [Finding(first_beyond, True, beyond)] if first_beyond else []
    return TokenCounts(looked_at, by_id, broken, findings)


def measure_fit(counts: TokenCounts, edges: SentenceEdges, vocabulary: Vocabulary) -> VocabularyFit:
    """The shares, from counted ids and the edges of sentences."""
    by_id, total = counts.by_id, max(1, counts.looked_at)
    first, last = _inside(edges.first, vocabulary), _inside(edges.last, vocabulary)
    sentences = max(1, len(edges.first))
    continued = int(by_id[vocabulary.continuation].sum())
    marks = _marks(vocabulary)
    return VocabularyFit(
        unknown_share=int(by_id[vocabulary.unk]) / total,
        continuation_share=continued / total,
        reserved_share=int(by_id[_matching(vocabulary, RESERVED)].sum()) / total,
        broken_words_share=counts.broken_words / max(1, continued),
        broken_starts_share=int(np.count_nonzero(vocabulary.continuation[first])) / sentences,
        marked_ends_share=int(np.count_nonzero(marks[last])) / sentences,
        used_share=int(np.count_nonzero(by_id)) / vocabulary.size,
        highest_id=int(np.flatnonzero(by_id).max(initial=0)),
        framed_share=int(np.count_nonzero((first == vocabulary.cls) & (last == vocabulary.sep))) / sentences,
        stray_share=int(by_id[[vocabulary.cls, vocabulary.sep]].sum()) / total,
    )


def fit_findings(fit: VocabularyFit, parts: DatasetParts, vocabulary: Vocabulary, vocab_file: Path) -> list[Finding]:
    """What the shares say, the gravest first."""
    prefix, file = str(parts.prefix), str(vocab_file)
    framed = fit.framed_share > FRAMED_SHARE
    found = []
    if fit.other_vocabulary:
        facts = {
            "starts": f"{fit.broken_starts_share:.1%}",
            "words": f"{fit.broken_words_share:.1%}",
            "reserved": f"{fit.reserved_share:.1%}",
        }
        found.append(Finding(Problem("dataset.other_vocabulary", prefix, file, facts), fatal=True))
    if framed:
        found.append(Finding(Problem("dataset.framed", prefix, f"{fit.framed_share:.0%}"), fatal=True))
    if fit.unknown_share > UNKNOWN_SHARE:
        facts = {"file": file}
        found.append(Finding(Problem("dataset.unknown_share", prefix, f"{fit.unknown_share:.1%}", facts), fatal=False))
    if fit.broken_starts_share > CUT_STARTS and not fit.other_vocabulary:
        found.append(Finding(Problem("dataset.cut_words", prefix, f"{fit.broken_starts_share:.1%}"), fatal=False))
    if fit.stray_share > STRAY_SHARE and not framed:
        found.append(Finding(Problem("dataset.stray_specials", prefix, f"{fit.stray_share:.1%}"), fatal=False))
    if parts.width == 2 and vocabulary.size > UINT16_VOCABULARY:
        facts = {"file": file, "pieces": str(vocabulary.size)}
        found.append(Finding(Problem("dataset.narrow", prefix, "2", facts), fatal=False))
    return found


def closed_words(vocabulary: Vocabulary) -> NDArray[np.bool_]:
    """[size]: the pieces that are words of their own wherever they stand, so that no "##" piece follows them."""
    flags = (BRACKETED.fullmatch(piece) or _splits_off(piece) for piece in vocabulary.pieces)
    return np.fromiter(map(bool, flags), dtype=np.bool_, count=vocabulary.size)


def _splits_off(piece: str) -> bool:
    """Whether BERT's tokenizer makes a word of this one character, as it does of punctuation and Chinese."""
    return len(piece) == 1 and (is_chinese(piece) or is_punctuation(piece))


def is_chinese(character: str) -> bool:
    """As BERT's tokenizer has it: the blocks of CJK ideographs."""
    return unicodedata.name(character, "").startswith(("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH"))


def is_punctuation(character: str) -> bool:
    """As BERT's tokenizer has it: Unicode's punctuation, and every sign of ASCII that is no letter or digit."""
    if character.isascii():
        return character.isprintable() and not character.isalnum() and not character.isspace()
    return unicodedata.category(character).startswith("P")


def _marks(vocabulary: Vocabulary) -> NDArray[np.bool_]:
    """[size]: the pieces that end a sentence."""
    flags = (piece.removeprefix(CONTINUATION) in SENTENCE_MARKS for piece in vocabulary.pieces)
    return np.fromiter(flags, dtype=np.bool_, count=vocabulary.size)


def _matching(vocabulary: Vocabulary, pattern: re.Pattern[str]) -> NDArray[np.bool_]:
    flags = (bool(pattern.fullmatch(piece)) for piece in vocabulary.pieces)
    return np.fromiter(flags, dtype=np.bool_, count=vocabulary.size)


def _inside(ids: NDArray[Any], vocabulary: Vocabulary) -> NDArray[np.int64]:
    """The ids, with [UNK] for those beyond the vocabulary."""
    wide = ids.astype(np.int64)
    return np.where((wide < 0) | (wide >= vocabulary.size), vocabulary.unk, wide)
