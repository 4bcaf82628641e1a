"""Where sentences end in a text that is there as ids only.

A sentence ends after . ! ? or their Chinese forms, a run of them counting as one, and after the quotation marks and
brackets that close there. A full stop ends none inside a number (3 . 5), after a single letter (J . Smith, e . g .) or
a usual abbreviation, before a comma, and, where the vocabulary has capital letters, before a small one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bert_tui.data.vocabulary_repair import letter_case
from trainer.spec.vocabulary import Vocabulary

STOP = "."
STRONG = frozenset("!?\u3002\uff01\uff1f\uff0e\uff61")
"""Signs that always end a sentence: ! ? and the full-width and half-width forms of Chinese and Japanese."""
CLOSERS = frozenset(")]}\u2019\u201d\u00bb\u300d\u300f\uff09\u300b\u3009\u3011\uff3d")
"""Brackets and quotation marks that close: of English, French, Chinese and Japanese."""
QUOTE = '"'
"""Opens and closes alike: every second one closes."""
GOES_ON = frozenset(",;:\uff0c\uff1b\uff1a\u3001")
"""After these signs the sentence goes on."""
ABBREVIATIONS = frozenset(
    {"mr", "mrs", "ms", "dr", "prof", "st", "rev", "gen", "col", "sen", "gov", "lt", "sgt", "capt"}
    | {"jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"}
    | {"vs", "fig", "cf", "al", "approx", "dept", "vol", "pp", "eds", "bzw", "ca", "evtl", "ggf"}
)
"""Of English and a few of German; none of them is a word that often ends a sentence."""
MOST_CLOSERS = 3
"""Signs in a row that close after one sentence."""


@dataclass(frozen=True, eq=False)
class EndRules:
    """What each piece of a vocabulary means for the end of sentences, [size] each."""

    stop: NDArray[np.bool_]
    strong: NDArray[np.bool_]
    closer: NDArray[np.bool_]
    quote: NDArray[np.bool_]
    goes_on: NDArray[np.bool_]
    """Signs and, where case tells, words before which a full stop is none."""
    digits: NDArray[np.bool_]
    short: NDArray[np.bool_]
    """Single letters and abbreviations, after which a full stop is none."""

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> EndRules:
        """The rules for one vocabulary."""
        cased = letter_case(vocabulary.pieces).kind == "cased"

        def flags(test: Callable[[str], bool]) -> NDArray[np.bool_]:
            return np.fromiter(map(test, vocabulary.pieces), dtype=np.bool_, count=vocabulary.size)

        return cls(
            stop=flags(lambda piece: piece == STOP),
            strong=flags(STRONG.__contains__),
            closer=flags(CLOSERS.__contains__),
            quote=flags(lambda piece: piece == QUOTE),
            goes_on=flags(lambda piece: piece in GOES_ON or (cased and piece[:1].islower())),
            digits=flags(lambda piece: piece.removeprefix("##").isdigit()),
            short=flags(_is_short),
        )


def _is_short(piece: str) -> bool:
    """Of letters that come in two cases: a Chinese character is a word."""
    letter = len(piece) == 1 and piece.isalpha() and piece.lower() != piece.upper()
    return letter or piece.lower() in ABBREVIATIONS


def find_ends(ids: NDArray[np.int64], last: NDArray[np.bool_], rules: EndRules) -> NDArray[np.bool_]:
    """The last piece of each sentence.

    Args:
        ids: [n], several texts one after the other.
        last: [n], where a text ends; true at the end of ``ids``.
        rules: those of the vocabulary.

    Returns:
        [n], true where a sentence ends; wherever ``last`` is.
    """
    inner = ~last[:-1]  # [n - 1] whether a place and the next belong to one text
    mark = rules.stop[ids] | rules.strong[ids]

    def next_is(flags: NDArray[Any]) -> NDArray[np.bool_]:
        return np.append(flags[1:] & inner, False)

    def before_is(flags: NDArray[Any]) -> NDArray[np.bool_]:
        return np.append([False], flags[:-1] & inner)

    alone = rules.stop[ids] & ~before_is(mark)
    digits, short = rules.digits[ids], rules.short[ids]
    none = alone & ((before_is(digits) & next_is(digits)) | before_is(short))
    none |= rules.stop[ids] & next_is(rules.goes_on[ids])
    ends: NDArray[np.bool_] = mark & ~next_is(mark) & ~none
    closing = rules.closer[ids] | _second_quotes(rules.quote[ids], last)
    for _ in range(MOST_CLOSERS):
        moved = ends & next_is(closing)
        ends = (ends & ~moved) | np.append([False], moved[:-1])
    return ends | last


def _second_quotes(quotes: NDArray[np.bool_], last: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The quotes that close, as every second one of a text does."""
    count = np.cumsum(quotes)
    before = np.zeros(len(quotes), dtype=np.int64)  # quotes before the text each place belongs to
    starts = np.flatnonzero(last)[:-1] + 1
    before[starts] = np.diff(count[starts - 1], prepend=0)
    return quotes & ((count - np.cumsum(before)) % 2 == 0)
