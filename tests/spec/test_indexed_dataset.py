"""Megatron's .bin and .idx: to the byte, and every way to be broken."""

import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.spec.corpus import Corpus
from trainer.spec.dataset_check import check_dataset
from trainer.spec.fingerprint import fingerprint
from trainer.spec.indexed_dataset import IndexedDataset, IndexedDatasetWriter
from trainer.spec.preset import Data
from trainer.spec.problem import DatasetError, Problem
from trainer.spec.samples import RowReader
from trainer.spec.split import Split
from trainer.spec.vocabulary import Vocabulary

DOCUMENTS = [[[5, 6, 7], [8, 9]], [[10]], [[11, 12], [13], [14, 15, 16]]]
ANY_SPLIT = Data(split="1,0,0")

Documents = list[list[list[int]]]


def vocabulary(size: int = 100) -> Vocabulary:
    return Vocabulary(tuple(map(str, range(size))), 0, 1, 2, 3, 4, np.zeros(size, dtype=np.bool_))


def written(folder: Path, documents: Documents = DOCUMENTS, vocab_size: int = 100) -> Path:
    prefix = folder / "wiki.v1_text_sentence"
    with IndexedDatasetWriter(prefix, vocab_size) as writer:
        for document in documents:
            writer.add_document(document)
    return prefix


def idx_of(prefix: Path) -> Path:
    return Path(f"{prefix}.idx")


def bin_of(prefix: Path) -> Path:
    return Path(f"{prefix}.bin")


def test_many_documents_at_once_are_written_as_one_by_one(tmp_path: Path) -> None:
    prefix = written(tmp_path)
    with IndexedDatasetWriter(tmp_path / "bulk", 100) as writer:
        for documents in (slice(0, 2), slice(2, 3)):
            part = [sentence for document in DOCUMENTS[documents] for sentence in document]
            counts = np.array([len(document) for document in DOCUMENTS[documents]])
            writer.add_documents(np.concatenate(part), np.array([len(sentence) for sentence in part]), counts)
    for ending in (".idx", ".bin"):
        assert Path(f"{tmp_path}/bulk{ending}").read_bytes() == Path(f"{prefix}{ending}").read_bytes()
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize(("vocab_size", "code", "letter"), [(65499, 8, "H"), (65500, 4, "i"), (30522, 8, "H")])
def test_files_are_megatrons_to_the_byte(tmp_path: Path, vocab_size: int, code: int, letter: str) -> None:
    prefix = written(tmp_path, vocab_size=vocab_size)
    width = struct.calcsize(letter)
    ids = list(range(5, 17))
    starts = [0, 3, 5, 6, 8, 9]
    expected = b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, code, 6, 4)
    expected += struct.pack("<6i", 3, 2, 1, 2, 1, 3)
    expected += struct.pack("<6q", *(width * start for start in starts))
    expected += struct.pack("<4q", 0, 2, 3, 6)
    assert idx_of(prefix).read_bytes() == expected
    assert bin_of(prefix).read_bytes() == struct.pack(f"<12{letter}", *ids)
    assert sorted(path.name for path in tmp_path.iterdir()) == [bin_of(prefix).name, idx_of(prefix).name]


documents_strategy = st.lists(
    st.lists(st.lists(st.integers(0, 99), max_size=6), max_size=4), min_size=1, max_size=6
).filter(lambda documents: any(documents))


@settings(max_examples=100, deadline=None)
@given(documents_strategy)
def test_what_is_written_is_read_again(documents: Documents) -> None:
    with tempfile.TemporaryDirectory() as folder:
        dataset = IndexedDataset(written(Path(folder), documents))
        sentences = [sentence for document in documents for sentence in document]
        assert [dataset.sentence(number).tolist() for number in range(len(sentences))] == sentences
        assert dataset.sentences(0, len(sentences)).tolist() == [token for sentence in sentences for token in sentence]
        assert dataset.sentences(1, 1).tolist() == []
        assert np.diff(dataset.documents).tolist() == [len(document) for document in documents]


def test_an_unfinished_dataset_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), IndexedDatasetWriter(tmp_path / "d", 100) as writer:
        writer.add_document([[1, 2]])
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_sound_dataset_is_summed_up(tmp_path: Path) -> None:
    summary = check_dataset(written(tmp_path), vocabulary(), ANY_SPLIT)
    assert (summary.documents, summary.sentences, summary.tokens) == (3, 6, 12)
    assert summary.paired_share == pytest.approx(2 / 3)
    assert summary.longest_sentence == 3
    assert not summary.document_level
    assert [problem.code for problem in summary.cautions] == ["dataset.split_empty"]


def code_of(prefix: Path, data: Data = ANY_SPLIT, size: int = 100, scan: int | None = None) -> str:
    with pytest.raises(DatasetError) as caught:
        check_dataset(prefix, vocabulary(size), data, scan=scan)
    assert caught.value.problems[0].english
    return caught.value.problems[0].code


def patch(path: Path, offset: int, form: str, *values: Any) -> None:
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, offset, *values)
    path.write_bytes(bytes(content))


BREAKS: list[tuple[str, Callable[[Path], object]]] = [
    ("dataset.absent", lambda prefix: idx_of(prefix).unlink()),
    ("dataset.absent", lambda prefix: bin_of(prefix).unlink()),
    ("dataset.magic", lambda prefix: idx_of(prefix).write_bytes(b"")),
    ("dataset.magic", lambda prefix: idx_of(prefix).write_bytes(bin_of(prefix).read_bytes() * 9)),
    ("dataset.idx_size", lambda prefix: idx_of(prefix).write_bytes(idx_of(prefix).read_bytes()[:20])),
    ("dataset.idx_size", lambda prefix: idx_of(prefix).write_bytes(idx_of(prefix).read_bytes()[:-1])),
    ("dataset.idx_size", lambda prefix: patch(idx_of(prefix), 18, "<Q", 2**63)),
    ("dataset.idx_size", lambda prefix: patch(idx_of(prefix), 26, "<Q", 2**64 - 1)),
    ("dataset.version", lambda prefix: patch(idx_of(prefix), 9, "<Q", 2)),
    ("dataset.dtype", lambda prefix: patch(idx_of(prefix), 17, "<B", 7)),
    ("dataset.bin_size", lambda prefix: bin_of(prefix).write_bytes(bin_of(prefix).read_bytes()[:-1])),
    ("dataset.bin_size", lambda prefix: bin_of(prefix).write_bytes(bin_of(prefix).read_bytes()[:-2])),
    ("dataset.bin_size", lambda prefix: bin_of(prefix).write_bytes(b"")),
    ("dataset.lengths", lambda prefix: patch(idx_of(prefix), 34 + 4, "<i", -2)),
    ("dataset.pointers", lambda prefix: patch(idx_of(prefix), 34 + 24, "<q", 2)),
    ("dataset.pointers", lambda prefix: patch(idx_of(prefix), 34 + 24 + 16, "<q", 2**63 - 1)),
    ("dataset.documents", lambda prefix: patch(idx_of(prefix), 34 + 72, "<q", 1)),
    ("dataset.documents", lambda prefix: patch(idx_of(prefix), 34 + 72 + 8, "<q", 5)),
    ("dataset.documents", lambda prefix: patch(idx_of(prefix), 34 + 72 + 24, "<q", 7)),
    ("dataset.ids", lambda prefix: patch(bin_of(prefix), 6, "<H", 100)),
]


@pytest.mark.parametrize(("code", "damage"), BREAKS)
@pytest.mark.parametrize("scan", [None, 4])
def test_each_way_to_be_broken_has_its_own_word(
    tmp_path: Path, code: str, damage: Callable[[Path], object], scan: int | None
) -> None:
    prefix = written(tmp_path)
    damage(prefix)
    assert code_of(prefix, scan=scan if code not in ("dataset.documents", "dataset.pointers") else None) == code


def test_a_path_with_its_ending_is_told_without(tmp_path: Path) -> None:
    prefix = written(tmp_path)
    for ending in (".bin", ".idx"):
        with pytest.raises(DatasetError) as caught:
            IndexedDataset(Path(f"{prefix}{ending}"))
        assert caught.value.problems[0].code == "dataset.suffix"
        assert caught.value.problems[0].params["prefix"] == str(prefix)


def test_a_folder_names_the_datasets_in_it(tmp_path: Path) -> None:
    prefix = written(tmp_path)
    with pytest.raises(DatasetError) as caught:
        IndexedDataset(tmp_path)
    assert caught.value.problems[0].code == "dataset.folder"
    assert caught.value.problems[0].params["found"] == str(prefix)


def test_sentences_that_carry_cls_and_sep_are_refused(tmp_path: Path) -> None:
    assert code_of(written(tmp_path, [[[2, 7, 3], [2, 3], [2, 8, 9, 3]]] * 5)) == "dataset.framed"


def test_documents_of_one_sentence_are_refused_for_sentence_order_only(tmp_path: Path) -> None:
    prefix = written(tmp_path, [[[7, 8]], [[9]]])
    assert code_of(prefix) == "dataset.no_pairs"
    summary = check_dataset(prefix, vocabulary(), Data(split="1,0,0", sentence_order=False))
    assert summary.document_level


def test_a_split_that_leaves_nothing_for_training_is_refused(tmp_path: Path) -> None:
    assert code_of(written(tmp_path), Data(split="1,99,0")) == "dataset.split_empty"


def test_a_dataset_without_text_is_refused(tmp_path: Path) -> None:
    assert code_of(written(tmp_path, [[]])) == "dataset.empty"
    assert code_of(written(tmp_path, [[[], []]])) == "dataset.empty"


@pytest.mark.parametrize(("code", "letter"), [(1, "B"), (2, "b"), (3, "h"), (4, "i"), (5, "q"), (8, "H")])
def test_ids_of_every_whole_number_type_are_read(tmp_path: Path, code: int, letter: str) -> None:
    prefix = written(tmp_path)
    width, lengths = struct.calcsize(letter), [3, 2, 1, 2, 1, 3]
    starts = np.cumsum([0, *lengths[:-1]]) * width
    patch(idx_of(prefix), 17, "<B", code)
    patch(idx_of(prefix), 34 + 24, "<" + "q" * 6, *starts.tolist())
    bin_of(prefix).write_bytes(struct.pack(f"<12{letter}", *range(5, 17)))
    dataset = IndexedDataset(prefix)
    assert dataset.sentence(5).tolist() == [14, 15, 16]
    check_dataset(prefix, vocabulary(), ANY_SPLIT)
    rows = RowReader(Corpus.open([str(prefix)]), vocabulary(), ANY_SPLIT, 16).batch("train", range(2))
    assert rows.pairs_count


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_wild_bytes_are_read_or_refused(data: st.DataObject) -> None:
    """A sound dataset with bytes changed, cut or added anywhere. The trainer's reader is asked whatever the check says:
    after that, a file may have changed, or be damaged where the check did not look."""
    with tempfile.TemporaryDirectory() as folder:
        prefix = written(Path(folder))
        for path in (idx_of(prefix), bin_of(prefix)):
            content = bytearray(path.read_bytes())
            for _ in range(data.draw(st.integers(0, 3))):
                content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
            cut = data.draw(st.integers(0, len(content)) | st.just(len(content)))
            path.write_bytes(bytes(content[:cut]) + data.draw(st.just(b"") | st.binary(max_size=40)))
        ordered, split = data.draw(st.booleans()), data.draw(st.sampled_from(["1", "1,1,0", "2,1,3"]))
        wanted = Data(split=split, sentence_order=ordered)
        refusals = [
            refusal_of(
                lambda: check_dataset(prefix, vocabulary(), wanted, scan=data.draw(st.sampled_from([None, 1, 8])))
            ),
            refusal_of(lambda: read_rows(prefix, wanted)),
            refusal_of(lambda: fingerprint(Corpus.open([str(prefix)]), wanted, 16)),
        ]
        for problem in filter(None, refusals):
            assert problem.english
            assert problem.where.startswith(folder)


def refusal_of(work: Callable[[], object]) -> Problem | None:
    try:
        work()
    except DatasetError as error:
        return error.problems[0]
    return None


def read_rows(prefix: Path, data: Data) -> None:
    """Two epochs of training and one of validation."""
    reader = RowReader(Corpus.open([str(prefix)]), vocabulary(), data, 16)
    splits: tuple[Split, ...] = ("train", "validation")
    for split in splits:
        rows = reader.rows(split)
        if rows:
            batch = reader.batch(split, range(2 * rows))
            assert batch.tokens.max() < 100
            assert batch.tokens.min() >= 0
