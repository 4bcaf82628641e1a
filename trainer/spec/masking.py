"""Which pieces of a batch of samples are hidden, and by what: Megatron's masking, for all samples at once.

Whole words are hidden (a piece and the "##" pieces after it), in groups of one to three words in a row, longer groups
less often. Words are drawn in random order until the budget of the sample is spent; a group that does not fit
shrinks, one that overlaps is passed over. Of the pieces drawn, 80 % become [MASK], 10 % a random id and 10 % stay.

Source: ``megatron/core/datasets/masked_dataset.py``. One difference: Megatron caps the budget at p times the target
length as well, by which a full row of 128 has 14.1 % where 15 % were asked; here the budget is p times the length.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LONGEST_GROUP = 3
"""Words hidden together at most."""
GROUP_BORDERS = np.cumsum([6 / 11, 3 / 11])
"""A group of n words has probability proportional to 1 / n: 6/11, 3/11, 2/11."""
MASK_SHARE, RANDOM_SHARE = 0.8, 0.1


def choose_masked(
    word_starts: NDArray[np.bool_],
    text: NDArray[np.bool_],
    lengths: NDArray[np.int64],
    probability: float,
    order_draws: NDArray[np.float64],
    group_draws: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """The positions to be guessed.

    Args:
        word_starts: [p, l], where a word begins; a subset of ``text``.
        text: [p, l], everything but [CLS], [SEP] and padding.
        lengths: [p], tokens of each sample with [CLS] and [SEP].
        probability: share of them to hide.
        order_draws: uniform numbers, one a word at least, that put the words in random order.
        group_draws: uniform numbers, likewise, that decide the length of the group beginning at each word.

    Returns:
        [p, l], a subset of ``text``.
    """
    samples = len(text)
    word = np.cumsum(word_starts, axis=1) - 1  # [p, l] the word each position belongs to
    counts = word_starts.sum(axis=1)  # [p]
    most = int(counts.max(initial=0))
    if most == 0:
        return np.zeros_like(text)
    borders = _word_borders(word_starts, text, word, most)
    draws = order_draws[:, :most].copy()  # [p, w]
    draws[np.arange(most) >= counts[:, None]] = 2.0
    order = np.argsort(draws, axis=1, kind="stable")
    groups = np.searchsorted(GROUP_BORDERS, group_draws[:, :most], side="right") + 1  # [p, w] words
    budget = np.maximum(1, np.rint(lengths * probability).astype(np.int64))
    chosen = _spend(order, groups, borders, counts, budget)  # [p, w]
    of_position: NDArray[np.bool_] = chosen[np.arange(samples)[:, None], np.maximum(word, 0)]
    return text & of_position


def _word_borders(
    word_starts: NDArray[np.bool_], text: NDArray[np.bool_], word: NDArray[Any], most: int
) -> NDArray[np.int64]:
    """[p, w + LONGEST_GROUP]: text tokens before each word; past the last word, all of them."""
    rank = np.cumsum(text, axis=1, dtype=np.int64)
    borders: NDArray[np.int64] = np.repeat(rank[:, -1:], most + LONGEST_GROUP, axis=1)
    sample, position = np.nonzero(word_starts)
    borders[sample, word[sample, position]] = rank[sample, position] - 1
    return borders


def _spend(
    order: NDArray[Any],
    groups: NDArray[Any],
    borders: NDArray[np.int64],
    counts: NDArray[Any],
    budget: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """[p, w]: the words hidden. One word of every unfinished sample is tried at a time."""
    samples, most = order.shape
    chosen = np.zeros((samples, most + LONGEST_GROUP), dtype=np.bool_)
    left = budget.copy()
    active = np.arange(samples)
    for turn in range(most):
        active = active[(left[active] > 0) & (turn < counts[active])]
        if not len(active):
            break
        first = order[active, turn]
        before = borders[active, first]
        group, room = groups[active, first], left[active]
        # The longest group of at most `group` words that fits; 0 where even the first word does not.
        size = np.zeros(len(active), dtype=np.int64)
        words = np.zeros(len(active), dtype=np.int64)
        for n in range(1, LONGEST_GROUP + 1):
            tokens = borders[active, first + n] - before
            fits = (n <= group) & (tokens <= room)
            words[fits], size[fits] = n, tokens[fits]
        for n in range(LONGEST_GROUP):
            words[(n < words) & chosen[active, first + n]] = 0
        for n in range(LONGEST_GROUP):
            hidden = n < words
            chosen[active[hidden], first[hidden] + n] = True
        left[active] -= np.where(words > 0, size, 0)
    return chosen[:, :most]


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
