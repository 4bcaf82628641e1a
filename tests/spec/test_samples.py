"""Samples: what each holds, what is hidden, and that nothing of it depends on how it is read."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainer.spec.corpus import Corpus
from trainer.spec.indexed_dataset import IndexedDataset, IndexedDatasetWriter
from trainer.spec.preset import Data
from trainer.spec.problem import DatasetError
from trainer.spec.row_stream import RowStream
from trainer.spec.samples import Batch, RowReader, trim
from trainer.spec.split import Split, split_documents
from trainer.spec.vocabulary import Vocabulary

LENGTH = 128
SIZE = 3000
DATA = Data(split="80,20,0", seed=7)


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    """Every third piece goes on inside a word."""
    continuation = np.arange(SIZE) % 3 == 0
    continuation[:5] = False
    return Vocabulary(tuple(map(str, range(SIZE))), 0, 1, 2, 3, 4, continuation)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> IndexedDataset:
    """Documents of 0 to 29 sentences of 0 to 59 pieces, one sentence of 900 among them."""
    random = np.random.default_rng(0)
    prefix = tmp_path_factory.mktemp("data") / "text"
    with IndexedDatasetWriter(prefix, SIZE) as writer:
        for number in range(1500):
            lengths = random.integers(0, 60, size=random.integers(0, 30)).tolist() + [900] * (number % 100 == 0)
            writer.add_document([random.integers(5, SIZE, size=length) for length in lengths])
    return IndexedDataset(prefix)


def reader_of(dataset: IndexedDataset, vocabulary: Vocabulary, data: Data, length: int = LENGTH) -> RowReader:
    return RowReader(Corpus((dataset,), None), vocabulary, data, length)


@pytest.fixture(scope="module")
def reader(dataset: IndexedDataset, vocabulary: Vocabulary) -> RowReader:
    return reader_of(dataset, vocabulary, DATA)


def pairs_of(dataset: IndexedDataset, split: Split, data: Data = DATA) -> NDArray[np.int64]:
    """[P, 3]: first sentence, sentence after the last and target of each sample of the first epoch, row by row."""
    samples = RowStream(dataset, 0, split, data, LENGTH).group_of(0).samples
    return np.stack([samples.first, samples.end, samples.target], axis=1)


def epoch(reader: RowReader, number: int = 0) -> Batch:
    rows = reader.rows("train")
    return reader.batch("train", np.arange(rows) + number * rows)


def unmasked(batch: Batch) -> NDArray[np.int64]:
    """The tokens as they were, [b, s]."""
    tokens = batch.tokens.copy()
    tokens.reshape(-1)[batch.masked_index] = batch.masked_label
    return tokens


def texts(batch: Batch, *, ordered: bool = True) -> list[tuple[list[int], list[int]]]:
    """The two segments of every sample in the order of the source text."""
    found = []
    tokens = unmasked(batch)
    swapped = iter(batch.swapped.tolist())
    for row in range(len(tokens)):
        for segment in range(1, int(batch.segments[row].max()) + 1):
            here = batch.segments[row] == segment
            sample, types = tokens[row][here], batch.types[row][here]
            a, b = sample[types == 0][1:-1].tolist(), sample[types == 1][:-1].tolist()
            found.append((b, a) if ordered and next(swapped) else (a, b))
    return found


def inside(part: list[int], whole: list[int]) -> bool:
    return any(whole[i : i + len(part)] == part for i in range(len(whole) - len(part) + 1))


def assert_is_source(dataset: IndexedDataset, pair: NDArray[np.int64], first: list[int], second: list[int]) -> None:
    """The segments are what is left of the sentences before and behind some border, cut to the target."""
    start, end, target = pair.tolist()
    length = int(dataset.lengths[start:end].sum())
    assert len(first) + len(second) == min(length, target)
    for border in range(start + 1, end):
        before, behind = dataset.sentences(start, border).tolist(), dataset.sentences(border, end).tolist()
        if inside(first, before) and inside(second, behind):
            assert length > target or (first, second) == (before, behind)
            return
    raise AssertionError((pair, first, second))


def test_packed_samples_are_the_source_text(dataset: IndexedDataset, reader: RowReader) -> None:
    """Row by row, once masks and swaps are undone."""
    batch = reader.batch("validation", np.arange(reader.rows("validation")))
    pairs = pairs_of(dataset, "validation")
    samples = texts(batch)
    assert batch.pairs_count == len(batch.pair_index) == len(pairs) == len(samples) > 300
    for pair, (first, second) in zip(pairs, samples, strict=True):
        assert_is_source(dataset, pair, first, second)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 40), max_size=6), min_size=1, max_size=12),
    st.booleans(),
    st.booleans(),
    st.floats(0.01, 0.5),
)
def test_documents_of_any_shape_give_sound_rows(
    shapes: list[list[int]], ordered: bool, packing: bool, probability: float
) -> None:
    data = Data(split="1,0,0", sentence_order=ordered, packing=packing, mask_probability=probability)
    words = Vocabulary(tuple(map(str, range(20))), 0, 1, 2, 3, 4, np.arange(20) % 4 == 1)
    with tempfile.TemporaryDirectory() as folder:
        with IndexedDatasetWriter(Path(folder, "d"), 20) as writer:
            for shape in shapes:
                writer.add_document([np.arange(length) % 15 + 5 for length in shape])
        try:
            dataset = IndexedDataset(Path(folder, "d"))
            reader = reader_of(dataset, words, data, 16)
            reader.batch("train", [0])
        except DatasetError as error:
            assert error.problems[0].code in ("dataset.empty", "dataset.no_pairs", "dataset.no_rows")
            return
        batch = reader.batch("train", np.arange(reader.rows("train")))
        size = RowStream(dataset, 0, "train", data, 16).size_of_epoch(1)
        assert size.counted
        assert batch.pairs_count == size.samples
        assert batch.tokens_count == size.tokens == (batch.segments > 0).sum()
        assert (batch.masked_label >= 5).all()
        assert sum(len(a) + len(b) for a, b in texts(batch, ordered=ordered)) == batch.tokens_count - (
            batch.pairs_count * (3 if ordered else 2)
        )


def test_every_epoch_covers_every_document_once(dataset: IndexedDataset) -> None:
    """Each in its own order and cut its own way."""
    stream = RowStream(dataset, 0, "train", DATA, LENGTH)
    documents = split_documents(DATA.split, dataset.document_count)["train"]
    expected: list[int] = []
    for d in documents:
        first, end = int(dataset.documents[d]), int(dataset.documents[d + 1])
        if end - first >= 2 and dataset.lengths[first:end].sum():
            expected += range(first, end)
    row, orders = 0, []
    for number in range(3):
        group = stream.group_of(row)
        assert group.mark[:2] == (number, 0)
        samples = group.samples
        covered = [np.arange(*sample) for sample in zip(samples.first, samples.end, strict=True)]
        orders.append(samples.first.tolist())
        assert np.sort(np.concatenate(covered)).tolist() == expected
        row = group.end
    assert orders[0] != orders[1] != orders[2]


def test_layout_of_a_row(reader: RowReader, vocabulary: Vocabulary) -> None:
    batch = epoch(reader)
    tokens = unmasked(batch)
    used = batch.segments > 0
    assert used.sum() == batch.tokens_count
    for array in (tokens, batch.positions, batch.types):
        assert not array[~used].any()
    assert (tokens[used] >= 2).all()
    assert (np.diff(used.astype(int), axis=1) <= 0).all()  # padding is at the end only
    starts = np.zeros(batch.tokens.size, dtype=bool)
    starts[batch.pair_index] = True
    assert np.array_equal(starts.reshape(used.shape), (batch.positions == 0) & used)
    assert (tokens.reshape(-1)[batch.pair_index] == vocabulary.cls).all()
    assert (tokens == vocabulary.cls).sum() == batch.pairs_count
    assert (tokens == vocabulary.sep).sum() == 2 * batch.pairs_count
    assert batch.positions.max() < LENGTH


def test_statistics_of_masking(reader: RowReader, vocabulary: Vocabulary) -> None:
    labels, shown, tokens, swaps = [], [], 0, []
    for number in range(6):
        batch = epoch(reader, number)
        labels.append(batch.masked_label)
        shown.append(batch.tokens.reshape(-1)[batch.masked_index])
        tokens += batch.tokens_count
        swaps.append(batch.swapped)
        assert (np.diff(batch.masked_index) > 0).all()
    label, seen = np.concatenate(labels), np.concatenate(shown)
    assert len(label) / tokens == pytest.approx(0.15, abs=0.003)
    assert label.min() > vocabulary.mask  # never [CLS] or [SEP]
    masked, kept = seen == vocabulary.mask, seen == label
    assert masked.mean() == pytest.approx(0.8, abs=0.01)
    assert kept.mean() == pytest.approx(0.1, abs=0.01)
    assert (~masked & ~kept).mean() == pytest.approx(0.1, abs=0.01)
    assert np.isin([0, 1, 2, 3], seen[~masked & ~kept]).any()  # from the whole vocabulary
    assert np.concatenate(swaps).mean() == pytest.approx(0.5, abs=0.01)


def words_of(batch: Batch, vocabulary: Vocabulary) -> NDArray[np.int64]:
    """A number for the word each token belongs to, -1 for what can never be hidden, [b, s]."""
    tokens = unmasked(batch)
    text = (batch.segments > 0) & (tokens != vocabulary.cls) & (tokens != vocabulary.sep)
    after_special = np.roll(~text, 1, axis=1)
    starts = text & (~vocabulary.continuation[tokens] | after_special)
    return np.where(text, np.cumsum(starts).reshape(starts.shape), -1)


def test_whole_words_in_groups_of_one_to_three(reader: RowReader, vocabulary: Vocabulary) -> None:
    batch = epoch(reader)
    words = words_of(batch, vocabulary)
    hidden = np.zeros(words.shape, dtype=np.bool_)
    hidden.reshape(-1)[batch.masked_index] = True
    hidden_words = np.unique(words[hidden])
    assert -1 not in hidden_words
    assert np.array_equal(np.isin(words, hidden_words), hidden)
    runs = np.split(hidden_words, np.flatnonzero(np.diff(hidden_words) > 1) + 1)
    sizes = np.bincount([len(run) for run in runs])
    share = sizes / sizes.sum()
    # 0.55, 0.27, 0.18 but for groups that touch by chance or shrank to fit.
    assert 0.45 < share[1] < 0.65
    assert 0.2 < share[2] < 0.35
    assert share[4:].sum() < 0.15


def test_a_sample_does_not_depend_on_what_is_read_with_it(reader: RowReader) -> None:
    """Alone, in another order and across the border of an epoch: the same rows."""
    rows = reader.rows("train")
    positions = np.array([3, rows - 1, rows, 5 * rows + 2, 0, 3])
    together = reader.batch("train", positions)
    for place, position in enumerate(positions):
        alone = reader.batch("train", [position])
        for name in ("tokens", "positions", "types", "segments"):
            assert np.array_equal(getattr(alone, name)[0], getattr(together, name)[place])
        here = (together.masked_index // LENGTH) == place
        assert np.array_equal(together.masked_index[here] - place * LENGTH, alone.masked_index)
        assert np.array_equal(together.masked_label[here], alone.masked_label)
        pairs = (together.pair_index // LENGTH) == place
        assert np.array_equal(together.swapped[pairs], alone.swapped)


def test_another_reader_reads_the_same(dataset: IndexedDataset, vocabulary: Vocabulary, reader: RowReader) -> None:
    again = reader_of(dataset, vocabulary, DATA)
    for one, other in zip(epoch(reader, 2).__dict__.values(), epoch(again, 2).__dict__.values(), strict=True):
        assert np.array_equal(one, other)


def test_a_batch_is_cut_into_what_would_have_been_read(reader: RowReader) -> None:
    for part, rows in zip(reader.batch("train", range(12)).cut([3, 1, 8]), ([0, 1, 2], [3], range(4, 12)), strict=True):
        for one, other in zip(part.__dict__.values(), reader.batch("train", rows).__dict__.values(), strict=True):
            assert np.array_equal(one, other)


def test_validation_rows_keep_their_order_and_masks(reader: RowReader) -> None:
    one, other = (reader.batch("validation", range(4)) for _ in range(2))
    assert np.array_equal(one.tokens, other.tokens)
    assert np.array_equal(one.tokens[2], reader.batch("validation", [2]).tokens[0])


def test_packing_fills_the_rows(dataset: IndexedDataset, reader: RowReader) -> None:
    size = RowStream(dataset, 0, "train", DATA, LENGTH).size_of_epoch(1)
    assert size.fill(LENGTH) >= 0.95
    assert (size.rows, size.tokens) == (reader.rows("train"), epoch(reader).tokens_count)


def test_without_packing_a_row_is_a_sample(dataset: IndexedDataset, vocabulary: Vocabulary) -> None:
    batch = epoch(reader_of(dataset, vocabulary, Data(split="80,20,0", seed=7, packing=False)))
    assert batch.pairs_count == len(batch.tokens)
    assert batch.segments.max() == 1
    assert (batch.pair_index == np.arange(len(batch.tokens)) * LENGTH).all()
    full = (batch.segments > 0).sum(axis=1)
    assert (full == LENGTH).mean() > 0.5
    short = Data(split="80,20,0", seed=7, packing=False, short_sequence_probability=0.0)
    assert epoch(reader_of(dataset, vocabulary, short)).pairs_count < batch.pairs_count


def test_without_sentence_order_there_is_one_segment(dataset: IndexedDataset, vocabulary: Vocabulary) -> None:
    reader = reader_of(dataset, vocabulary, Data(split="80,20,0", seed=7, sentence_order=False))
    batch = epoch(reader)
    assert len(batch.pair_index) == len(batch.swapped) == 0
    assert not batch.types.any()
    assert (unmasked(batch) == vocabulary.sep).sum() == batch.pairs_count


def test_one_sentence_documents_end_in_a_word_not_in_a_loop(tmp_path: Path, vocabulary: Vocabulary) -> None:
    with IndexedDatasetWriter(tmp_path / "d", SIZE) as writer:
        for _ in range(1000):
            writer.add_document([[7, 8, 9]])
    with pytest.raises(DatasetError) as caught:
        reader_of(IndexedDataset(tmp_path / "d"), vocabulary, DATA).batch("train", [0])
    assert caught.value.problems[0].code == "dataset.no_pairs"


def test_a_split_without_rows_says_so(reader: RowReader) -> None:
    assert reader.rows("test") == 0
    with pytest.raises(DatasetError):
        reader.batch("test", [0])


def one_by_one(a: int, b: int, target: int) -> tuple[int, int]:
    """Megatron's loop."""
    while a + b > target:
        if a > b:
            a -= 1
        else:
            b -= 1
    return a, b


def test_trimming_is_megatrons_loop() -> None:
    cases = [(a, b, target) for a in range(1, 14) for b in range(1, 14) for target in range(2, 20)]
    lengths = np.array([(a, b) for a, b, _ in cases])
    starts = np.tile([100, 200], (len(cases), 1))
    draws = np.random.default_rng(0).random((len(cases), 24))
    new_starts, kept = trim(
        starts, lengths, np.array([target for _, _, target in cases]), draws, np.full(len(cases), 24)
    )
    assert kept.tolist() == [list(one_by_one(*case)) for case in cases]
    lost, front = lengths - kept, new_starts - starts
    assert (front >= 0).all()
    assert (front <= lost).all()
    assert front.sum() / lost.sum() == pytest.approx(0.5, abs=0.02)
    assert ((front > 0) & (front < lost)).any()


def test_a_very_long_sentence_is_cut_not_dropped() -> None:
    starts, kept = trim(
        np.array([[0, 5000]]),
        np.array([[5000, 3]]),
        np.array([125]),
        np.random.default_rng(0).random((1, 128)),
        np.array([128]),
    )
    assert kept.tolist() == [[122, 3]]
    assert 1500 < starts[0, 0] < 3500
    assert starts[0, 1] == 5000


def test_splits_are_contiguous_and_exact() -> None:
    found = split_documents("949,50,1", 1000)
    assert [found[split] for split in ("train", "validation", "test")] == [
        range(949),
        range(949, 999),
        range(999, 1000),
    ]
    assert [len(part) for part in split_documents("900,100,0", 7).values()] == [6, 1, 0]
    assert [len(part) for part in split_documents("1", 7).values()] == [7, 0, 0]


def test_an_id_beyond_the_vocabulary_is_told_when_it_is_read(dataset: IndexedDataset, vocabulary: Vocabulary) -> None:
    small = Vocabulary(vocabulary.pieces[:2000], 0, 1, 2, 3, 4, vocabulary.continuation[:2000])
    with pytest.raises(DatasetError) as caught:
        reader_of(dataset, small, DATA).batch("train", range(8))
    assert caught.value.problems[0].code == "dataset.ids"
