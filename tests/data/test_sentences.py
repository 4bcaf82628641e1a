"""Paragraphs and sentences of several languages."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bert_tui.data.sentences import LONGEST_SENTENCE, split_sentences


def test_paragraphs_end_at_blank_lines() -> None:
    assert split_sentences("One\ntwo\r\n\r\n \t\nThree\n\n\n") == ["One\ntwo", "Three"]


def test_lines_that_are_not_wrapped_are_paragraphs() -> None:
    long = "A paragraph in one line. " * 10
    assert split_sentences(f"Heading\n{long}\nNext") == ["Heading", *["A paragraph in one line."] * 10, "Next"]
    assert split_sentences("A paragraph\nin three\nlines.") == ["A paragraph\nin three\nlines."]


def test_english_sentences() -> None:
    text = (
        "Dr. Smith went to Washington D.C. on Jan. 5. Is it so? Yes!  See e.g. the 3.11 manual.\n\nA heading\n\nOther"
    )
    assert split_sentences(text) == [
        "Dr. Smith went to Washington D.C. on Jan. 5.",
        "Is it so?",
        "Yes!",
        "See e.g. the 3.11 manual.",
        "A heading",
        "Other",
    ]


def test_chinese_full_stops() -> None:
    assert split_sentences("今天天气很好。我们去公园吧\uff01你说什么\uff1f“他走了。”她说。\n\n第二段") == [
        "今天天气很好。",
        "我们去公园吧\uff01",
        "你说什么\uff1f",
        "“他走了。”",
        "她说。",
        "第二段",
    ]


def test_sentences_without_an_end_are_cut_at_spaces() -> None:
    found = split_sentences("word " * 5000 + "x" * 25_000)
    assert [len(sentence) for sentence in found][:2] == [LONGEST_SENTENCE, LONGEST_SENTENCE]
    assert max(map(len, found)) == LONGEST_SENTENCE
    assert "".join("".join(found).split()) == "word" * 5000 + "x" * 25_000


@given(text=st.text(st.characters(codec="utf-8"), max_size=300))
@settings(max_examples=500, deadline=None)
def test_nothing_is_lost(text: str) -> None:
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())
