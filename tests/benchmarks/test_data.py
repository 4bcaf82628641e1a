"""How fast batches are made and a sample index is built. Figures for one core."""

import time
from pathlib import Path

import numpy as np
import pytest

from trainer.spec.indexed_dataset import IndexedDataset, IndexedDatasetWriter
from trainer.spec.preset import Data
from trainer.spec.sample_index import build_index
from trainer.spec.samples import RowReader
from trainer.spec.vocabulary import Vocabulary

pytestmark = pytest.mark.benchmark


@pytest.mark.parametrize(("sequence_length", "rows"), [(128, 64), (512, 32)])
def test_index_and_batches(sequence_length: int, rows: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    with IndexedDatasetWriter(tmp_path / "d", 30522) as writer:
        for count in random.integers(1, 60, size=20_000).tolist():
            lengths = random.integers(3, 50, size=count)
            writer.add_document(np.split(random.integers(5, 30522, size=lengths.sum()), np.cumsum(lengths)[:-1]))
    dataset, data = IndexedDataset(tmp_path / "d"), Data()
    started = time.perf_counter()
    index = build_index(dataset, data, sequence_length, tmp_path / "index", lambda *facts: None)
    seconds = time.perf_counter() - started
    pairs = sum(summary.pairs for summary in index.summary.values())
    vocabulary = Vocabulary(tuple(map(str, range(30522))), 0, 1, 2, 3, 4, np.arange(30522) % 4 == 0)
    reader = RowReader(dataset, index, vocabulary, data, sequence_length)
    reader.batch("train", range(rows))
    started = time.perf_counter()
    for number in range(20):
        batch = reader.batch("train", np.arange(rows) + number * rows)
    milliseconds = (time.perf_counter() - started) * 50
    with capsys.disabled():
        print(
            f"\nindex: {pairs / seconds:,.0f} pairs/s, filled {index.summary['train'].fill(sequence_length):.1%};"
            f" batch of {rows} x {sequence_length} ({batch.pairs_count} pairs): {milliseconds:.1f} ms"
        )
    assert pairs / seconds > 20_000
    assert milliseconds < 150
