"""Ids are those of Hugging Face's tokenizer; nothing in a text becomes a special token."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_tui.data.vocabulary_training import train_vocabulary
from bert_tui.data.wordpiece import LONGEST, WordPiece
from trainer.spec.vocabulary import read_vocabulary

TEXT = (
    "The quick brown fox jumps over the lazy dog. Ångström, café, naïve, Straße, İstanbul, ﬁne, ﷺ. 东京的天气很好。"
    "한국어 ひらがな カタカナ Ελληνικά кириллица עברית العربية हिन्दी 👍🏽 👨‍👩‍👧 ½ ① ¨ 'it''s' "
    "e-mail 3.14 a_b C++ [SEP] ##ing"
)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

wild = st.text(max_size=40)
words = st.sampled_from([*TEXT.split(), "\u0000", "\ufffd", "\u200b", "\u0301", "\u00ad", "\u2028", "\t", "x" * 101])
texts = st.one_of(wild, st.lists(st.one_of(words, wild), max_size=12).map(" ".join)).filter(
    lambda text: not any(name in text for name in SPECIAL)
)


@pytest.fixture(scope="module", params=[True, False], ids=["lower", "cased"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WordPiece, Any]]:
    """Our tokenizer and Hugging Face's, with one vocabulary."""
    from transformers import BertTokenizerFast

    lower = request.param
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    pieces = train_vocabulary(lambda: [TEXT] * 3, 400, lower_case=lower)
    path.write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    theirs = BertTokenizerFast(vocab=vocabulary, do_lower_case=lower)
    yield WordPiece(read_vocabulary(path), lower_case=lower), theirs


@given(batch=st.lists(texts, min_size=1, max_size=8))
@settings(max_examples=300, deadline=None)
def test_ids_are_hugging_faces(both: tuple[WordPiece, Any], batch: list[str]) -> None:
    ours, theirs = both
    ids, lengths = ours.encode(batch)
    expected = theirs(batch, add_special_tokens=False)["input_ids"]
    assert lengths.tolist() == [len(line) for line in expected]
    assert ids.tolist() == [number for line in expected for number in line]


def test_their_tokenizer_is_the_one_asked_for(both: tuple[WordPiece, Any]) -> None:
    """Or the comparison above would compare nothing but [UNK]."""
    ours, theirs = both
    ids, _ = ours.encode([TEXT.replace("[SEP]", "")])
    assert ids.tolist() == theirs(TEXT.replace("[SEP]", ""), add_special_tokens=False)["input_ids"]
    assert (ids == ours.unk).mean() < 0.1
    assert len(set(ids.tolist())) > 40


def test_names_of_special_tokens_are_text(both: tuple[WordPiece, Any]) -> None:
    ours, _ = both
    ids, _ = ours.encode(["[CLS] first [SEP]second[SEP] [MASK][PAD] [UNK]"])
    assert ids.min() > ours.unk or set(ids[ids <= 4].tolist()) == {ours.unk}
    assert ids.min() != 0


@given(sentences=st.lists(st.lists(st.integers(1, 3), max_size=30), max_size=6), longest=st.integers(3, 10))
@settings(max_examples=200, deadline=None)
def test_long_sentences_are_cut_between_words(
    both: tuple[WordPiece, Any], sentences: list[list[int]], longest: int
) -> None:
    """``sentences``: of each, how many pieces its words have."""
    ours, _ = both
    first, further = ours.encode(["aaaaa"])[0][:2].tolist()
    made = [[piece for word in words for piece in [first, *[further] * (word - 1)]] for words in sentences]
    ids = np.array([piece for sentence in made for piece in sentence], dtype=ours.dtype)
    lengths = np.array([len(sentence) for sentence in made], dtype=np.int32)
    pieces, parts = ours.cut(ids, lengths, longest)
    assert pieces.sum() == len(ids)
    assert all(0 < piece <= longest for piece in pieces.tolist())
    starts = np.cumsum(pieces) - pieces
    assert all(ids[starts] == first)
    assert [sum(group) for group in np.split(pieces, np.cumsum(parts)[:-1])] == lengths.tolist() or not len(lengths)


def test_the_bound_is_below_what_megatron_drops() -> None:
    assert LONGEST + 2 == 512
