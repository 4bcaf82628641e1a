"""Paragraphs and sentences by two simple rules, good enough for the documentation of a programming language."""

from __future__ import annotations

import re

PARAGRAPH_END = re.compile(r"\n[ \t]*\n")
SENTENCE_END = re.compile(r"(?<=[.!?]) +(?=[A-Z])")


def split_paragraphs(text: str) -> list[str]:
    """The paragraphs of a text, which empty lines separate; line ends and runs of spaces become one space."""
    folded = (" ".join(part.split()) for part in PARAGRAPH_END.split(text))
    return [part for part in folded if part]


def split_sentences(text: str) -> list[str]:
    """The sentences of a text: one ends with its paragraph, and at . ! or ? before a space and a capital letter."""
    return [sentence for part in split_paragraphs(text) for sentence in SENTENCE_END.split(part)]
