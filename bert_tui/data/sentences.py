"""Paragraphs, and the sentences in them."""

from __future__ import annotations

import re
from collections.abc import Iterator

PARAGRAPH_END = re.compile(r"\n[^\S\n]*\n")
WRAPPED_WIDTH = 200
"""Characters. Where a line of a paragraph is longer, the text was not wrapped: then each line is a paragraph."""
LONGEST_SENTENCE = 10_000
"""Characters after which a sentence is cut at the next space: text without an end (tables, base64, lists of numbers)
would fill the memory when it is tokenized in one."""


def split_paragraphs(text: str) -> list[str]:
    """The paragraphs of a text, which blank lines separate, or line ends where lines are long. Line ends and runs of
    spaces become one space."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return [
        folded
        for block in (PARAGRAPH_END.split(text) if "\n" in text else [text])
        for part in _lines_or_whole(block)
        if (folded := " ".join(part.split()))
    ]


def split_sentences(text: str, language: str = "en") -> list[str]:
    """The sentences of a text, none across the end of a paragraph."""
    import sentencex

    return [
        part
        for paragraph in split_paragraphs(text)
        for sentence in sentencex.segment(language, paragraph)
        for part in _bounded(sentence.strip())
    ]


def _lines_or_whole(block: str) -> list[str]:
    if len(block) <= WRAPPED_WIDTH or "\n" not in block:
        return [block]
    lines = block.split("\n")
    return lines if max(map(len, lines)) > WRAPPED_WIDTH else [block]


def _bounded(sentence: str) -> Iterator[str]:
    start = 0
    while len(sentence) - start > LONGEST_SENTENCE:
        cut = sentence.rfind(" ", start, start + LONGEST_SENTENCE) + 1 or start + LONGEST_SENTENCE
        yield sentence[start:cut]
        start = cut
    if start < len(sentence):
        yield sentence[start:]
