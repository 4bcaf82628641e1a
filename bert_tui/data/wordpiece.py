"""WordPiece as Hugging Face's BERT has it: ids of sentences, cut to what a model takes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.spec.indexed_dataset import UINT16_VOCABULARY
from trainer.spec.vocabulary import CONTINUATION, SPECIALS, Vocabulary

LONGEST = 510
"""Pieces of a sentence: the positions of the usual BERT without [CLS] and [SEP]. Megatron drops a document with a
sentence of more than 512; the reader of this program cuts pairs to the length of the run in any case."""


def make_tokenizer(pieces: Mapping[str, int], *, lower_case: bool) -> Any:
    """BERT's tokenizer over these pieces.

    It knows no special tokens, so "[SEP]" in a text is a bracket, a word and a bracket, and can never be taken for the
    end of a sentence. On any other text its ids are those of ``BertTokenizerFast`` without special tokens.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    model = models.WordPiece(dict(pieces), unk_token=SPECIALS[0], continuing_subword_prefix=CONTINUATION)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower_case)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


class WordPiece:
    """Sentences to ids of one vocabulary."""

    def __init__(self, vocabulary: Vocabulary, *, lower_case: bool) -> None:
        self._tokenizer = make_tokenizer(
            {piece: number for number, piece in enumerate(vocabulary.pieces)}, lower_case=lower_case
        )
        self._continuation = vocabulary.continuation
        self.unk = vocabulary.unk
        self.dtype: np.dtype[Any] = np.dtype("<u2" if vocabulary.size < UINT16_VOCABULARY else "<i4")
        """What Megatron stores ids of this vocabulary as."""

    def encode(self, sentences: Sequence[str]) -> tuple[NDArray[Any], NDArray[np.int32]]:
        """The ids of all sentences in one array, [T], and how many each has, [S]; an empty one has none."""
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(sentences, add_special_tokens=False)]
        lengths = np.fromiter(map(len, ids), dtype=np.int32, count=len(ids))
        flat = np.fromiter(itertools.chain.from_iterable(ids), dtype=self.dtype, count=int(lengths.sum()))
        return flat, lengths

    def cut(
        self, ids: NDArray[Any], lengths: NDArray[np.int32], longest: int = LONGEST
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Cuts sentences that are too long, between words; those without a piece vanish.

        Returns:
            The lengths of what is left, in order; and of each sentence, how many of these it gave, [S].
        """
        parts = np.minimum(lengths, 1)
        if not len(lengths) or lengths.max() <= longest:
            return lengths[lengths > 0], parts
        starts = np.cumsum(lengths, dtype=np.int64) - lengths
        pieces: list[int] = []
        for number, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
            if length <= longest:
                pieces.extend([length] if length else [])
                continue
            cuts = _cuts(self._continuation[ids[start : start + length]], longest)
            parts[number] = len(cuts)
            pieces.extend(cuts)
        return np.array(pieces, dtype=np.int32), parts


def _cuts(continues: NDArray[np.bool_], longest: int) -> list[int]:
    """Lengths of the parts of a sentence whose pieces go on inside a word where ``continues`` says so."""
    borders = np.flatnonzero(~continues)
    cuts, start = [], 0
    while len(continues) - start > longest:
        last = borders[np.searchsorted(borders, start + longest, side="right") - 1]
        end = int(last) if last > start else start + longest
        cuts.append(end - start)
        start = end
    return [*cuts, len(continues) - start]
