"""Learning a WordPiece vocabulary from text, the same to the byte for the same text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from bert_tui.data.wordpiece import make_tokenizer
from trainer.spec.vocabulary import CONTINUATION, PAD, SPECIALS

ALPHABET_SHARE = 0.5
"""At most this share of the pieces are single characters; rarer ones become [UNK]."""


def train_vocabulary(texts: Callable[[], Iterable[str]], size: int, *, lower_case: bool) -> list[str]:
    """The pieces of a vocabulary, [PAD] first. ``texts`` is called twice and must give the same both times.

    The library numbers single characters in the order of a hash table, which changes from process to process, and
    breaks ties by these numbers. Naming the characters beforehand makes it repeatable. There may be fewer pieces than
    asked for, where the text has no more words.
    """
    from tokenizers import trainers  # slow to import

    normalizer = make_tokenizer({}, lower_case=lower_case).normalizer
    counts: Counter[str] = Counter()
    for text in texts():
        counts.update(normalizer.normalize_str(text))
    alphabet = _alphabet(counts, int(size * ALPHABET_SHARE))
    characters = {piece.removeprefix(CONTINUATION) for piece in alphabet}
    left_out = str.maketrans({character: " " for character in counts if character not in characters})

    learning = make_tokenizer({}, lower_case=lower_case)
    learning.normalizer = None  # what is fed was normalized already
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        special_tokens=[PAD, *SPECIALS, *alphabet],
        continuing_subword_prefix=CONTINUATION,
        show_progress=False,
    )
    learning.train_from_iterator(_fed(texts(), normalizer, left_out), trainer)
    pieces = learning.get_vocab(with_added_tokens=True)
    return sorted(pieces, key=lambda piece: pieces[piece])


def _fed(texts: Iterable[str], normalizer: Any, left_out: dict[int, str]) -> Iterator[str]:
    for text in texts:
        yield normalizer.normalize_str(text).translate(left_out)


def _alphabet(counts: Counter[str], most: int) -> Sequence[str]:
    """The single characters as beginnings of words, and those that can go on in one, each sorted."""
    splitter = make_tokenizer({}, lower_case=True).pre_tokenizer
    first: list[str] = []
    further: list[str] = []
    for character, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        pieces = len(splitter.pre_tokenize_str(f"a{character}a"))
        inside = pieces == 1
        if character.isspace() or len(first) + len(further) + 1 + inside > most:
            continue
        first.append(character)
        further.extend([f"{CONTINUATION}{character}"] if inside else [])
    return [*sorted(first), *sorted(further)]
