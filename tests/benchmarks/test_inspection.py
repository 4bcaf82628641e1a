"""How long an inspection takes of a dataset with 100 million sentences, sampled and whole, and splitting documents."""

import time
from pathlib import Path

import numpy as np
import pytest

from bert_tui.data.inspect import inspect_dataset
from bert_tui.data.resplit import resplit
from tests.spec.huge_dataset import write_huge_dataset
from trainer.spec.indexed_dataset import IndexedDatasetWriter
from trainer.spec.preset import Data

pytestmark = pytest.mark.benchmark

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *(f"w{number}" for number in range(30_000))]


def written_vocabulary(folder: Path) -> Path:
    path = folder / "vocab.txt"
    path.write_text("".join(f"{piece}\n" for piece in PIECES))
    return path


def test_inspecting_a_huge_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vocabulary = written_vocabulary(tmp_path)
    prefix = write_huge_dataset(tmp_path / "huge", 100_000_000)
    gigabytes = sum(path.stat().st_size for path in tmp_path.glob("huge.*")) / 1e9
    for full in (False, True):
        started = time.perf_counter()
        found = inspect_dataset(prefix, vocabulary, Data(), 512, full=full)
        seconds = time.perf_counter() - started
        how = "whole" if full else "sampled"
        with capsys.disabled():
            print(f"\n{gigabytes:.1f} GB, {found.sentences:,} sentences, {how}: {seconds:.1f} s")
        assert seconds < (120 if full else 10)


def test_splitting_documents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vocabulary, random = written_vocabulary(tmp_path), np.random.default_rng(0)
    with IndexedDatasetWriter(tmp_path / "documents", len(PIECES)) as writer:
        for _ in range(20):
            ids = np.where(random.random(1_000_000) < 0.04, 5, random.integers(6, len(PIECES), size=1_000_000))
            writer.add_documents(ids, np.full(2000, 500), np.ones(2000, dtype=np.int64))
    started = time.perf_counter()
    done = resplit(tmp_path / "documents", vocabulary, tmp_path / "sentences")
    seconds = time.perf_counter() - started
    with capsys.disabled():
        print(f"\nsplit {done.tokens / seconds / 1e6:.1f} million ids a second")
    assert done.tokens == done.tokens_before
    assert done.tokens / seconds > 2e6
