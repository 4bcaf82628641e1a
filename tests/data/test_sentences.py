from bert_tui.data.sentences import split_paragraphs, split_sentences


def test_paragraphs_end_at_empty_lines() -> None:
    assert split_paragraphs("One\n  two.\n\n \t\nThree\n\n\n") == ["One two.", "Three"]


def test_sentences_end_before_a_capital() -> None:
    text = "It is so. Is it? Yes!  See e.g. the 3.11 manual.\n\nA heading\n\nOther text"
    assert split_sentences(text) == [
        "It is so.",
        "Is it?",
        "Yes!",
        "See e.g. the 3.11 manual.",
        "A heading",
        "Other text",
    ]


def test_no_text_has_no_sentences() -> None:
    assert split_sentences(" \n\n ") == []
