"""Which pieces of a batch of samples are hidden, and by what: Megatron's masking, for all samples at once.

Whole words are hidden (a piece and the "##" pieces after it), or pieces alone, in groups of a few in a row. Words are
drawn in random order until the budget of the sample is spent; a group that does not fit shrinks, one that overlaps is
passed over. Of the pieces drawn, 80 % become [MASK], 10 % a random id and 10 % stay.

Source: ``megatron/core/datasets/masked_dataset.py``. Two differences: Megatron caps the budget at p times the target
length as well, by which a full row of 128 has 14.1 % where 15 % were asked, and here it is p times the length; and a
"##" piece at the start of the second segment begins a word, where Megatron adds it to the last word of the first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.spec.preset import Data

GEOMETRIC = 0.2
"""SpanBERT's p (https://arxiv.org/abs/1907.10529, section 3.1), as Megatron has it."""
MASK_SHARE, RANDOM_SHARE = 0.8, 0.1


@dataclass(frozen=True, eq=False)
class GroupLengths:
    """How many words are hidden together."""

    borders: NDArray[np.float64]
    """[longest - 1]: shares of the groups of one word, up to two, and so on; the longest take the rest."""

    @classmethod
    def of(cls, data: Data) -> GroupLengths:
        """Of n words, 1 .. ``data.mask_max_words``: "short" in proportion to 1 / n, "long" the other way round,
        "geometric" with 0.2 * 0.8^(n - 1), all longer ones counted as the longest."""
        words = np.arange(1, data.mask_max_words + 1)
        if data.mask_lengths == "geometric":
            shares = GEOMETRIC * (1 - GEOMETRIC) ** (words - 1)
        else:
            shares = (1 / words) / (1 / words).sum()
        return cls(np.cumsum(shares[::-1] if data.mask_lengths == "long" else shares)[:-1])

    def sizes(self, draws: NDArray[np.float64]) -> NDArray[np.int64]:
        """Words of each group, of the shape of ``draws``, uniform numbers."""
        return np.searchsorted(self.borders, draws, side="right") + 1


def choose_masked(
    word_starts: NDArray[np.bool_],
    text: NDArray[np.bool_],
    budget: NDArray[np.int64],
    order_draws: NDArray[np.float64],
    groups: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """The positions to be guessed.

    Args:
        word_starts: [p, l], where a word begins; a subset of ``text``.
        text: [p, l], everything but [CLS], [SEP] and padding.
        budget: [p], most tokens to hide.
        order_draws: [p, l], uniform numbers that put the words in random order.
        groups: [p, l], how many words the group beginning at each word would have.

    Returns:
        [p, l], a subset of ``text``.
    """
    masked = np.zeros_like(text)
    rank = np.cumsum(text, axis=1)  # [p, l]
    for sample in range(len(text)):
        starts = np.flatnonzero(word_starts[sample])  # [w]
        if not len(starts):
            continue
        borders = np.append(rank[sample, starts] - 1, rank[sample, -1])  # [w + 1]
        order = np.argsort(order_draws[sample, : len(starts)], kind="stable")
        hidden = _spend(order.tolist(), groups[sample].tolist(), borders.tolist(), int(budget[sample]))
        masked[sample, text[sample]] = np.repeat(np.frombuffer(hidden, dtype=np.bool_), np.diff(borders))
    return masked


def _spend(order: list[int], groups: list[int], borders: list[int], left: int) -> bytearray:
    """[w], 1 for each word to hide. Each word decides for the next, so this is a loop over plain numbers: on the few
    dozen samples of a step it takes a third of the time of one that takes NumPy through all samples at once.

    Args:
        order: [w], the words as they are tried.
        groups: [w] or more, words of the group that begins at each.
        borders: [w + 1], tokens before each word, and all.
        left: tokens that may be hidden.
    """
    words = len(borders) - 1
    hidden = bytearray(words)
    for first in order:
        limit, end = borders[first] + left, min(first + groups[first], words)
        while borders[end] > limit:
            end -= 1
        if end == first or 1 in hidden[first:end]:
            continue
        hidden[first:end] = b"\1" * (end - first)
        left -= borders[end] - borders[first]
        if not left:
            break
    return hidden


def replacements(
    labels: NDArray[np.int64],
    mask_id: int,
    vocab_size: int,
    action_draws: NDArray[np.float64],
    id_draws: NDArray[np.float64],
) -> NDArray[np.int64]:
    """What stands where pieces are to be guessed, [n]: [MASK], any id of the vocabulary, or the piece itself."""
    random_ids = (id_draws * vocab_size).astype(np.int64)
    shown = np.where(action_draws < MASK_SHARE + RANDOM_SHARE, random_ids, labels)
    return np.where(action_draws < MASK_SHARE, mask_id, shown)
