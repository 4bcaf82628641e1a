"""Several datasets: what may be written, how much of each is read, and that nothing depends on how it is read."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.spec.blend import Blend, parse_blend, split_variable, with_prefixes
from trainer.spec.corpus import PERIOD, Corpus, Interleaving
from trainer.spec.fingerprint import fingerprint
from trainer.spec.indexed_dataset import IndexedDatasetWriter
from trainer.spec.preset import Data
from trainer.spec.problem import PresetError
from trainer.spec.row_stream import Mark
from trainer.spec.samples import RowReader
from trainer.spec.vocabulary import Vocabulary

LENGTH = 32
DATA = Data(split="8,2,0")
WORDS = Vocabulary(tuple(map(str, range(300))), 0, 1, 2, 3, 4, np.zeros(300, dtype=np.bool_))


def write(prefix: Path, documents: int, first_id: int) -> str:
    """Documents of pieces from ``first_id`` to ``first_id`` + 99."""
    random = np.random.default_rng(first_id)
    with IndexedDatasetWriter(prefix, WORDS.size) as writer:
        for _ in range(documents):
            writer.add_document([random.integers(first_id, first_id + 100, size=size) for size in (9, 4, 30, 12, 7)])
    return str(prefix)


@pytest.fixture(scope="module")
def prefixes(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("blend")
    return [write(folder / "a", 60, 5), write(folder / "b", 200, 105)]


def reader_of(data_path: list[str], data: Data = DATA) -> RowReader:
    return RowReader(Corpus.open(data_path), WORDS, data, LENGTH)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ([], Blend((), None)),
        (["/a"], Blend(("/a",), None)),
        (["/a", "/b"], Blend(("/a", "/b"), None)),
        (["/a", "/b", "/c"], Blend(("/a", "/b", "/c"), None)),
        (["0.3", "/a", "7", "/b"], Blend(("/a", "/b"), (0.3, 7.0))),
        (["1", "/a"], Blend(("/a",), (1.0,))),
        (["1", "/a", "1e-3", "/a"], Blend(("/a", "/a"), (1.0, 0.001))),
    ],
)
def test_what_a_blend_means(written: list[str], meant: Blend) -> None:
    assert parse_blend(written) == meant
    assert with_prefixes(written, str.upper) == tuple(item.upper() if "/" in item else item for item in written)


@pytest.mark.parametrize(
    ("written", "code", "value"),
    [
        (["0.3", "/a", "/b", "/c"], "blend.order", "/b"),
        (["/a", "0.3"], "blend.order", "/a"),
        (["/a", "0.3", "/b"], "blend.order", "/a"),
        (["0.3", "/a", "0.7"], "blend.order", "0.7"),
        (["0.3"], "blend.order", "0.3"),
        (["0.3", "0.7"], "blend.order", "0.7"),
        (["0", "/a", "1", "/b"], "blend.weight", "0"),
        (["1", "/a", "-2", "/b"], "blend.weight", "-2"),
        (["nan", "/a", "1", "/b"], "blend.weight", "nan"),
        (["inf", "/a", "1", "/b"], "blend.weight", "inf"),
    ],
)
def test_what_no_blend_is_refused_by_item(written: list[str], code: str, value: str) -> None:
    with pytest.raises(PresetError) as refused:
        parse_blend(written)
    (problem,) = refused.value.problems
    assert (problem.code, problem.where, problem.value) == (code, "data.data_path", value)
    assert problem.english


def test_the_variable_may_hold_a_blend_or_a_path_with_blanks() -> None:
    assert split_variable("0.3 /a  0.7 /b") == ("0.3", "/a", "0.7", "/b")
    assert split_variable("/my data/wiki") == ("/my data/wiki",)
    assert split_variable("7") == ("7",)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=6),
    st.lists(st.integers(0, 3 * PERIOD), min_size=1, max_size=20),
)
def test_each_dataset_keeps_to_its_share_and_gives_every_row_once(weights: list[float], rows: list[int]) -> None:
    shares = np.array(weights) / sum(weights)
    blend = Interleaving(shares)
    owners, numbers = blend.locate(np.arange(2 * PERIOD))
    for dataset, share in enumerate(shares.tolist()):
        mine = owners == dataset
        assert np.array_equal(numbers[mine], np.arange(np.count_nonzero(mine)))
        deviation = np.cumsum(mine) - share * np.arange(1, 2 * PERIOD + 1)
        assert np.abs(deviation).max() <= 2 * len(weights) + 2
    for row in rows:
        before = blend.before(row)
        assert before.sum() == row
        owner, number = blend.locate(np.array([row]))
        assert number[0] == before[owner[0]]
        assert blend.rows_within(before, row + 5) in range(row, row + 6)


def test_weights_are_shares_of_the_rows(prefixes: list[str]) -> None:
    reader = reader_of(["0.25", prefixes[0], "0.75", prefixes[1]], Data(split="8,2,0", packing=False))
    batch = reader.batch("train", range(400))
    tokens = np.where(batch.tokens > 4, batch.tokens, 0)
    tokens.reshape(-1)[batch.masked_index] = batch.masked_label
    of_a = ((tokens > 4) & (tokens < 105)).any(axis=1)
    of_b = (tokens >= 105).any(axis=1)
    assert not (of_a & of_b).any()
    assert (of_a.sum(), of_b.sum()) == (100, 300)


def test_without_weights_the_size_decides(prefixes: list[str]) -> None:
    assert Corpus.open(prefixes).shares("train", "8,2,0") == pytest.approx([60 / 260, 200 / 260])
    assert Corpus.open(["1", prefixes[0], "1", prefixes[1]]).shares("train", "8,2,0").tolist() == [0.5, 0.5]
    assert Corpus.open(["1", prefixes[0], "1", prefixes[1]]).shares("test", "8,2,0").tolist() == [0, 0]
    assert Corpus.open(["2", prefixes[0], "1", prefixes[0]]).shares("train", "1") == pytest.approx([2 / 3, 1 / 3])


def test_rows_do_not_depend_on_how_they_are_read(prefixes: list[str]) -> None:
    """In batches of any size, alone, and by a reader that goes on from marks."""
    path = ["0.3", prefixes[0], "0.7", prefixes[1]]
    straight = reader_of(path)
    expected = straight.batch("train", range(600))
    for row in (0, 599, 250):
        assert np.array_equal(reader_of(path).batch("train", [row]).tokens[0], expected.tokens[row])
    marks = straight.marks(500)
    assert marks[0].epoch >= 1  # the small one has begun anew
    resumed = reader_of(path)
    resumed.resume([Mark(*mark) for mark in marks])
    assert np.array_equal(resumed.batch("train", range(500, 600)).tokens, expected.tokens[500:])
    assert np.array_equal(resumed.batch("train", range(100)).tokens, expected.tokens[:100])
    assert resumed.marks(500) == marks


def test_the_same_dataset_twice_gives_other_rows(prefixes: list[str]) -> None:
    batch = reader_of(["1", prefixes[0], "1", prefixes[0]]).batch("train", range(20))
    assert len({row.tobytes() for row in batch.tokens}) == 20


def test_no_row_of_validation_is_counted_twice(prefixes: list[str]) -> None:
    one, other = (reader_of([prefix]).rows("validation") for prefix in prefixes)
    both = reader_of(["1", prefixes[0], "1", prefixes[1]])
    assert one < other
    assert 2 * one <= both.rows("validation") <= 2 * one + 1
    assert both.rows("validation", 7) == 7
    assert both.rows("test") == 0


def test_the_fingerprint_follows_the_data_and_its_settings(prefixes: list[str], tmp_path: Path) -> None:
    paths = [[prefixes[0]], [prefixes[1]], prefixes, ["1", prefixes[0], "2", prefixes[1]], prefixes[::-1]]
    changes = [Data(split="8,2,0", **{name: value}) for name, value in [  # type: ignore[arg-type]
        ("seed", 8), ("packing", False), ("sentence_order", False), ("mask_lengths", "long"), ("mask_max_words", 2),
        ("mask_whole_words", False), ("mask_probability", 0.2), ("short_sequence_probability", 0.2),
    ]]  # fmt: skip
    seen = [fingerprint(Corpus.open(path), DATA, LENGTH) for path in paths]
    seen += [fingerprint(Corpus.open(paths[0]), data, LENGTH) for data in (*changes, Data())]
    seen.append(fingerprint(Corpus.open(paths[0]), DATA, 64))
    assert len(set(seen)) == len(seen)
    copied = tmp_path / "copied"
    for end in (".idx", ".bin"):
        Path(f"{copied}{end}").write_bytes(Path(prefixes[0] + end).read_bytes())
    assert fingerprint(Corpus.open([str(copied)]), DATA, LENGTH) == seen[0]


def test_files_that_nobody_touched_are_not_read_again(tmp_path: Path) -> None:
    """The note is believed while size and time stay the same; whatever else it holds, the files are asked."""
    prefix, cache = write(tmp_path / "d", 5, 5), tmp_path / "cache"
    content = Path(f"{prefix}.bin")
    an_hour_ago = time.time_ns() - 3600 * 10**9
    for path in (content, Path(f"{prefix}.idx")):
        os.utime(path, ns=(an_hour_ago, an_hour_ago))
    corpus = Corpus.open([prefix])
    first = fingerprint(corpus, DATA, LENGTH, cache)
    (note,) = cache.iterdir()
    changed = bytearray(content.read_bytes())
    changed[-2:] = b"\x06\x00"
    content.write_bytes(changed)
    os.utime(content, ns=(an_hour_ago, an_hour_ago))
    assert fingerprint(corpus, DATA, LENGTH, cache) == first
    os.utime(content)
    second = fingerprint(corpus, DATA, LENGTH, cache)
    assert second != first
    for wild in (b"", b"{", b"\xff", b"[]", b'{"look": 1, "digest": "x"}'):
        note.write_bytes(wild)
        assert fingerprint(corpus, DATA, LENGTH, cache) == second
    assert fingerprint(corpus, DATA, LENGTH, content / "no folder") == second  # a cache that cannot be written
