"""The sample dataset: built from this very Python, sound, and the same each time."""

import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import numpy as np
import pytest

from bert_tui.data.sample import BuiltDataset, build_sample_dataset, sample_folder
from bert_tui.data.sample_text import sample_documents
from trainer.spec.corpus import Corpus
from trainer.spec.dataset_check import check_dataset
from trainer.spec.indexed_dataset import IndexedDataset
from trainer.spec.preset import Data
from trainer.spec.problem import DatasetError
from trainer.spec.row_stream import RowStream
from trainer.spec.samples import RowReader
from trainer.spec.vocabulary import read_vocabulary

DATA = Data(source="sample", split="900,100,0")
Reports = list[tuple[float, float, str, str]]


@pytest.fixture(scope="module")
def reports() -> Reports:
    return []


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, reports: Reports) -> BuiltDataset:
    folder = sample_folder(tmp_path_factory.mktemp("cache"), 1234)
    return build_sample_dataset(folder, 1234, 4096, lambda *facts: reports.append(facts))


def test_it_is_sound_and_large_enough_to_learn_from(built: BuiltDataset) -> None:
    vocabulary = read_vocabulary(built.vocab_file)
    assert vocabulary.size == 4096
    assert vocabulary.cautions == ()
    summary = check_dataset(built.prefix, vocabulary, DATA)
    assert (summary.documents, summary.sentences, summary.tokens) == (built.documents, built.sentences, built.tokens)
    assert summary.cautions == ()
    assert summary.paired_share == 1.0
    assert summary.tokens > 300_000
    ids = IndexedDataset(built.prefix).tokens
    assert np.mean(ids == vocabulary.unk) < 0.001


def test_the_text_is_prose(built: BuiltDataset) -> None:
    vocabulary, dataset = read_vocabulary(built.vocab_file), IndexedDataset(built.prefix)
    pieces = np.array(vocabulary.pieces)[dataset.tokens[:50_000]].tolist()
    assert pieces.count("the") > 1000
    assert sum(piece.isalpha() for piece in pieces) > 25_000


def test_progress_is_reported_to_the_end(built: BuiltDataset, reports: Reports) -> None:
    assert {unit for _, _, unit, _ in reports} == {"files", "vocabulary", "documents"}
    assert all(0 <= done <= total and detail for done, total, _, detail in reports)
    assert reports[-1][0] == reports[-1][1] == built.documents


def test_a_second_call_is_instant_and_writes_nothing(built: BuiltDataset) -> None:
    folder = built.prefix.parent
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    started = time.monotonic()
    assert build_sample_dataset(folder, 1234, 4096, lambda *facts: None) == built
    assert time.monotonic() - started < 0.1
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_another_process_builds_the_same_bytes(built: BuiltDataset, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from bert_tui.data.sample import build_sample_dataset as build;"
        "build(Path(sys.argv[1]), 1234, 4096, lambda *facts: None)"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "again"], check=True, timeout=120)
    for path in built.prefix.parent.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(done: float, total: float, unit: str, detail: str) -> None:
        if unit == "documents":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_sample_dataset(tmp_path / "folder", 1, 4096, interrupt)
    assert list(tmp_path.iterdir()) == []


def test_reading_it_needs_no_foreign_code_to_run(tmp_path: Path) -> None:
    (tmp_path / "pydoc_data").mkdir()
    long = "This sentence is long enough to count. " * 6
    (tmp_path / "pydoc_data" / "topics.py").write_text(f"topics = {{'a': {long!r}}}\n")
    (tmp_path / "bad.py").write_text("raise SystemExit(1)\n")
    (tmp_path / "old.py").write_text("print 'Python 2'\n")
    (tmp_path / "wild.py").write_bytes(b"\xff\x00\xfe")
    (tmp_path / "fine.py").write_text(f'"""Doc. {long}"""\nraise SystemExit(1)\n\ndef f():\n    """Short."""\n')
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "t.py").write_text(f'"""{long}"""\n')
    found = sample_documents(lambda *facts: None, tmp_path)
    assert [text[:5] for text in found] == ["This ", "Doc. "]


def test_a_python_without_its_documentation_says_so(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        sample_documents(lambda *facts: None, tmp_path)
    assert caught.value.problems[0].code == "sample.no_text"
    assert Path(sysconfig.get_paths()["stdlib"], "pydoc_data").is_dir()


@pytest.mark.parametrize("ordered", [True, False])
def test_its_rows_are_full(built: BuiltDataset, ordered: bool) -> None:
    data, corpus = Data(source="sample", split="900,100,0", sentence_order=ordered), Corpus.open([str(built.prefix)])
    size = RowStream(corpus.datasets[0], 0, "train", data, 128).size_of_epoch(100)
    assert size.counted
    assert size.fill(128) > 0.95
    assert size.rows > 2000
    reader = RowReader(corpus, read_vocabulary(built.vocab_file), data, 128)
    assert reader.rows("validation") > 128
    reader.batch("train", range(64))
    started = time.perf_counter()
    for number in range(10):
        reader.batch("train", np.arange(64) + 64 * number)
    assert (time.perf_counter() - started) / 10 < 0.15  # 2 ms alone on one core; the bound catches hangs
