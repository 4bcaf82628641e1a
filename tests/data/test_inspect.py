"""Inspecting datasets: the figures, every fault, and vocabularies that do not belong."""

from __future__ import annotations

import functools
import json
import shutil
import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_tui.cli import main
from bert_tui.data.inspect import Inspection, inspect_dataset
from tests.data.conftest import English
from trainer.spec.corpus import Corpus
from trainer.spec.dataset_check import check_dataset
from trainer.spec.indexed_dataset import HEADER, IndexedDataset, IndexedDatasetWriter
from trainer.spec.preset import Data
from trainer.spec.problem import DatasetError
from trainer.spec.samples import RowReader
from trainer.spec.vocabulary import read_vocabulary

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "##s", "."]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """100 documents of two sentences; the vocabulary is ``vocab.txt`` beside them."""
    (tmp_path / "vocab.txt").write_text("".join(f"{piece}\n" for piece in PIECES))
    with IndexedDatasetWriter(tmp_path / "d", len(PIECES)) as writer:
        for _ in range(100):
            writer.add_document([[5, 6, 7, 8], [5, 6, 8]])
    return tmp_path / "d"


def look(prefix: Path) -> Inspection:
    return inspect_dataset(prefix, prefix.with_name("vocab.txt"), Data(), 128)


def codes(found: Inspection) -> list[str]:
    return [finding.problem.code for finding in found.findings]


def patch(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def test_a_sound_dataset_in_figures(english: English) -> None:
    found = inspect_dataset(english.sentences, english.lower, Data(), 128)
    dataset = IndexedDataset(english.sentences)
    assert found.findings == ()
    assert (found.documents, found.sentences, found.tokens) == (
        dataset.document_count,
        len(dataset.lengths),
        len(dataset.tokens),
    )
    assert sum(found.histogram) == found.sentences
    assert found.longest_sentence == dataset.lengths.max()
    assert found.fit
    assert found.fit.broken_words_share == found.fit.broken_starts_share == found.fit.reserved_share == 0
    reader = RowReader(Corpus((dataset,), None), read_vocabulary(english.lower), Data(), 128)
    assert found.epoch
    assert found.epoch.counted
    assert found.epoch.rows == reader.rows("train")


@pytest.mark.parametrize("name", ["cased", "shuffled", "shortened"])
@pytest.mark.parametrize("level", ["sentences", "documents"])
def test_another_vocabulary_is_noticed(english: English, name: str, level: str) -> None:
    found = inspect_dataset(getattr(english, level), getattr(english, name), Data(sentence_order=False), 128)
    assert "dataset.other_vocabulary" in codes(found)
    assert not found.usable


def test_framed_and_document_level_datasets_are_told_with_the_command(english: English) -> None:
    found = inspect_dataset(english.framed, english.lower, Data(), 128)
    assert codes(found) == ["dataset.framed", "dataset.no_pairs"]
    assert all(f"data resplit {english.framed} --vocab" in finding.words.remedy for finding in found.findings)
    found = inspect_dataset(english.documents, english.lower, Data(sentence_order=False), 128)
    assert codes(found) == ["dataset.document_level"]
    assert found.usable
    assert f"data resplit {english.documents} --vocab" in found.findings[0].words.remedy


def test_every_fault_is_named_not_only_the_first(small: Path) -> None:
    index, content = Path(f"{small}.idx"), Path(f"{small}.bin")
    patch(index, 9, struct.pack("<Q", 7))  # version
    patch(index, HEADER.size + 4 * 3, struct.pack("<i", -1))  # length of sentence 3
    patch(index, HEADER.size + 4 * 200 + 8 * 50, struct.pack("<q", 999))  # begin of sentence 50
    patch(index, HEADER.size + 12 * 200 + 8 * 10, struct.pack("<q", 150))  # begin of document 10
    patch(content, 0, struct.pack("<2H", 9, 10))  # ids beyond the vocabulary
    with index.open("ab") as file:
        file.write(b"x")
    content.write_bytes(content.read_bytes()[:-2])
    found = look(small)
    assert codes(found) == [
        "dataset.version",
        "dataset.idx_size",
        "dataset.bin_size",
        "dataset.lengths",
        "dataset.pointers",
        "dataset.documents",
        "dataset.ids",
    ]
    times = {finding.problem.code: finding.times for finding in found.findings}
    assert times["dataset.ids"] == 2
    assert times["dataset.pointers"] == 3  # after the wrong length, before and after the wrong begin
    assert all(finding.words.what and finding.words.remedy for finding in found.findings)
    json.dumps(found.as_json())


def test_oddities_are_told_and_allowed(small: Path) -> None:
    with IndexedDatasetWriter(small, len(PIECES)) as writer:
        for _ in range(100):
            writer.add_document([[5, 1, 8], [], [6, 3]])
    found = look(small)
    assert set(codes(found)) == {"dataset.unknown_share", "dataset.empty_sentences", "dataset.stray_specials"}
    assert found.usable


def test_a_sampled_look_sees_the_same_shares(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    with IndexedDatasetWriter(small, len(PIECES)) as writer:
        for _ in range(3000):
            sentences = int(random.integers(1, 4))
            writer.add_document([[5] * int(random.integers(1, 30)) + [8] for _ in range(sentences)])
    for name in ("SENTENCES", "DOCUMENTS", "TOKENS"):
        monkeypatch.setattr(f"bert_tui.data.inspect.{name}", 10)
    monkeypatch.setattr("trainer.spec.row_stream.CHUNK", 16)
    sampled, seen = look(small), []
    whole = inspect_dataset(
        small, small.with_name("vocab.txt"), Data(), 128, full=True, report=lambda *done: seen.append(done)
    )
    assert sampled.looked_at < 0.05
    assert whole.looked_at == 1
    assert sampled.mean_length == pytest.approx(whole.mean_length, rel=0.1)
    assert sampled.paired_share == pytest.approx(whole.paired_share, abs=0.1)
    assert sampled.epoch
    assert whole.epoch
    assert not sampled.epoch.counted
    assert sampled.epoch.rows == pytest.approx(whole.epoch.rows, rel=0.15)
    assert seen[-1][0] == seen[-1][1]


@functools.cache
def small_files() -> dict[str, bytes]:
    """By the ending of their names."""
    with tempfile.TemporaryDirectory() as folder:
        with IndexedDatasetWriter(Path(folder, "d"), len(PIECES)) as writer:
            for _ in range(100):
                writer.add_document([[5, 6, 7, 8], [5, 6, 8]])
        files = {ending: Path(folder, f"d.{ending}").read_bytes() for ending in ("idx", "bin")}
    return {**files, "txt": "".join(f"{piece}\n" for piece in PIECES).encode()}


@settings(max_examples=100, deadline=None)
@given(
    edits=st.lists(st.tuples(st.sampled_from(["idx", "bin"]), st.integers(0, 4000), st.binary(max_size=9)), max_size=4),
    cut=st.tuples(st.sampled_from(["idx", "bin"]), st.integers(-300, 20)),
)
def test_whatever_the_trainer_refuses_is_found(edits: list[tuple[str, int, bytes]], cut: tuple[str, int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        prefix = Path(folder, "d")
        files = {ending: bytearray(content) for ending, content in small_files().items()}
        for ending, offset, content in edits:
            files[ending][offset : offset + len(content)] = content
        ending, change = cut
        files[ending] = files[ending][:change] if change < 0 else files[ending] + bytes(change)
        for ending, changed in files.items():
            Path(folder, "vocab.txt" if ending == "txt" else f"d.{ending}").write_bytes(changed)
        found = look(prefix)
        json.dumps(found.as_json())
        try:
            check_dataset(prefix, read_vocabulary(Path(folder, "vocab.txt")), Data())
        except DatasetError as error:
            assert not found.usable
            assert error.problems[0].code in codes(found)


def test_the_command_line(small: Path, english: English, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["data", "inspect", str(english.sentences), "--vocab"]
    assert main([*command, str(english.lower), "--preset", "bert-tiny", "--rate", "1000"]) == 0
    text = capsys.readouterr().out
    assert "epochs (2,000 steps of 16 rows)" in text
    assert "an epoch" in text
    assert "Nothing wrong was found." in text
    assert max(map(len, (line for line in text.splitlines() if str(english.folder) not in line))) <= 80
    assert main([*command, str(english.cased), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["code"] == "dataset.other_vocabulary"
    shutil.copy(f"{small}.bin", small.with_name("x.idx"))
    shutil.copy(f"{small}.bin", small.with_name("x.bin"))
    assert main(["data", "inspect", str(small.with_name("x")), "--vocab", str(small.with_name("vocab.txt"))]) == 1
    assert "is no index file of Megatron's" in " ".join(capsys.readouterr().out.split())
