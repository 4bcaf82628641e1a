"""Every problem has words for people, and they can be filled."""

import string

from bert_tui.advice.words import TEXTS
from trainer.spec.problem import ENGLISH


def fields(text: str) -> set[str]:
    """The names a template needs."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_code_has_words() -> None:
    assert set(TEXTS) == set(ENGLISH)


def test_words_use_only_the_facts_the_code_carries() -> None:
    """The English template names the facts of a code; ``example`` and ``reason`` may be told to people only."""
    for code, words in TEXTS.items():
        known = fields(ENGLISH[code]) | {"where", "value"} | ({"example"} if code == "preset.missing" else set())
        assert fields(words.what) | fields(words.remedy) <= known, code


def test_every_text_is_a_sentence() -> None:
    for code, words in TEXTS.items():
        assert words.what, code
        assert words.remedy.endswith((".", "}", ")")), code
