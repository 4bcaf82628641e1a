"""What is hidden, beside a plain reading of Megatron's source."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.spec.masking import GroupLengths, choose_masked, replacements
from trainer.spec.preset import Data

SAMPLES, LENGTH = 3000, 60


def megatrons_choice(
    candidates: Sequence[Sequence[int]], n_maskings: int, data: Data, random: np.random.RandomState
) -> set[int]:
    """``MaskedWordPieceDataset._create_masked_lm_predictions`` of megatron-core 0.16, without the replacing."""
    ngram_nvals = np.arange(1, data.mask_max_words + 1).tolist()
    nprobs = 1.0 / np.array(ngram_nvals)
    nprobs = nprobs / nprobs.sum()
    if data.mask_lengths == "long":
        nprobs = nprobs[::-1]
    candidate_ngrams = [[candidates[idx : idx + n] for n in ngram_nvals] for idx in range(len(candidates))]
    order = random.permutation(len(candidate_ngrams))
    masked: set[int] = set()
    for candidate in (candidate_ngrams[number] for number in order):
        if len(masked) >= n_maskings:
            break
        if data.mask_lengths == "geometric":
            n = min(random.geometric(0.2), data.mask_max_words)
        else:
            n = int(random.choice(ngram_nvals, p=nprobs))
        while True:
            indices = [index for word in candidate[n - 1] for index in word]
            n -= 1
            if n_maskings >= len(masked) + len(indices):
                skip = False
                break
            if n == 0:
                skip = True
                break
        if not skip and not masked & set(indices):
            masked |= set(indices)
    return masked


def texts(random: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which tokens begin words and which are text, [SAMPLES, LENGTH]: [CLS], words of mixed lengths with a [SEP]
    between them, [SEP], padding."""
    lengths = random.integers(20, LENGTH + 1, size=SAMPLES)
    column = np.arange(LENGTH)[None, :]
    text = (column > 0) & (column < lengths[:, None] - 1) & (column != lengths[:, None] // 2)
    starts = text & ((random.random(text.shape) < 0.7) | (column == 1) | (column == lengths[:, None] // 2 + 1))
    return starts, text


def runs(masked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """[LENGTH + 1]: how many runs of hidden tokens there are of each length."""
    padded = np.pad(masked, ((0, 0), (1, 1))).reshape(-1).astype(np.int8)
    edges = np.flatnonzero(np.diff(padded))
    return np.bincount(edges[1::2] - edges[::2], minlength=LENGTH + 1)


def assert_alike(ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> None:
    """Counts that differ by chance alone."""
    assert (np.abs(ours - theirs) <= 4.5 * np.sqrt(ours + theirs + 1)).all(), (ours, theirs)


@pytest.mark.parametrize("lengths", ["short", "long", "geometric"])
@pytest.mark.parametrize("longest", [1, 3, 5])
@pytest.mark.parametrize("whole", [True, False])
def test_the_choice_is_megatrons(lengths: Literal["short", "long", "geometric"], longest: int, whole: bool) -> None:
    random = np.random.default_rng(longest)
    data = Data(mask_lengths=lengths, mask_max_words=longest, mask_whole_words=whole)
    starts, text = texts(random)
    starts = starts if whole else text
    budget = np.maximum(1, np.rint((text.sum(axis=1) + 3) * 0.15).astype(np.int64))
    draws = random.random((2, SAMPLES, LENGTH))
    ours = choose_masked(starts, text, budget, draws[0], GroupLengths.of(data).sizes(draws[1]))

    state, theirs = np.random.RandomState(1), np.zeros_like(text)
    for sample in range(SAMPLES):
        places = np.flatnonzero(text[sample])
        words = np.split(places, np.flatnonzero(starts[sample][places])[1:])
        chosen = megatrons_choice([word.tolist() for word in words], int(budget[sample]), data, state)
        theirs[sample, list(chosen)] = True

    assert not (ours & ~text).any()
    assert (ours.sum(axis=1) <= budget).all()
    assert_alike(runs(ours), runs(theirs))
    assert_alike(ours.sum(axis=0), theirs.sum(axis=0))
    assert ours.sum() == pytest.approx(theirs.sum(), rel=0.005)


def test_of_what_is_hidden_eight_tenths_are_masks() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(5, 1000, size=200_000)
    shown = replacements(labels, 4, 1000, *random.random((2, len(labels))))
    masks, kept = shown == 4, shown == labels
    assert masks.mean() == pytest.approx(0.8, abs=0.005)
    assert kept.mean() == pytest.approx(0.1, abs=0.003)
    others = np.bincount(shown[~masks & ~kept], minlength=1000)
    assert np.delete(others, 4).min() > 0  # any piece of the vocabulary
    assert others.max() < 60
