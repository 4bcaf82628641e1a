"""Paragraphs, and the sentences in them."""

from __future__ import annotations

import re
from collections.abc import Iterator

BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*")
PARAGRAPH_END = "\n\n"
WRAPPED_WIDTH = 200
"""Characters. Where a line of a paragraph is longer, the text was not wrapped: then each line is a paragraph."""
LONGEST_SENTENCE = 10_000
"""Characters after which a sentence is cut at the next space: text without an end (tables, base64, lists of numbers)
would fill the memory when it is tokenized in one."""


def split_sentences(text: str, language: str = "en") -> list[str]:
    """The sentences of a text, none across the end of a paragraph. A line end inside a paragraph stays as it is: to the
    splitter and to the tokenizer it is a space."""
    import sentencex

    parts = sentencex.segment(language, mark_paragraphs(text))
    sentences = [sentence for part in parts if (sentence := part.strip())]
    if len(text) <= LONGEST_SENTENCE:
        return sentences
    return [part for sentence in sentences for part in _bounded(sentence)]


def mark_paragraphs(text: str) -> str:
    """The text with one empty line at each end of a paragraph: where there are blank lines, and at line ends where
    lines are long."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\n" not in text:
        return text
    text = BLANK_LINES.sub(PARAGRAPH_END, text)
    if max(map(len, text.split("\n"))) <= WRAPPED_WIDTH:
        return text
    return PARAGRAPH_END.join(_lines_apart(block) for block in text.split(PARAGRAPH_END))


def _lines_apart(block: str) -> str:
    lines = block.split("\n")
    return PARAGRAPH_END.join(lines) if max(map(len, lines)) > WRAPPED_WIDTH else block


def _bounded(sentence: str) -> Iterator[str]:
    start = 0
    while len(sentence) - start > LONGEST_SENTENCE:
        cut = sentence.rfind(" ", start, start + LONGEST_SENTENCE) + 1 or start + LONGEST_SENTENCE
        yield sentence[start:cut]
        start = cut
    if start < len(sentence):
        yield sentence[start:]
