"""A dataset's size does not decide how soon its first row is there, nor how much memory that takes. The whole hundred
million sentences are in tests/benchmarks/test_data.py."""

import time
from pathlib import Path

import pytest

from tests.spec.huge_dataset import DATA, first_rows, write_huge_dataset
from trainer.spec.corpus import Corpus
from trainer.spec.problem import DatasetError
from trainer.spec.row_stream import require_rows


def test_three_million_sentences(tmp_path: Path) -> None:
    told = first_rows(write_huge_dataset(tmp_path / "huge", 3_000_000))
    assert told["pairs"] >= 32
    assert told["validation"] == 320
    assert told["seconds"] < 5  # 0.5 on one core; the bound catches what grows with the dataset
    assert told["megabytes"] < 200


def test_a_document_of_a_million_sentences_is_read_in_parts(tmp_path: Path) -> None:
    told = first_rows(write_huge_dataset(tmp_path / "huge", 1_000_000, of_document=1_000_000 - 30))
    assert told["pairs"] >= 32
    assert told["megabytes"] < 200


def test_a_million_documents_of_one_sentence_are_refused_at_once(tmp_path: Path) -> None:
    prefix = write_huge_dataset(tmp_path / "huge", 1_000_000, of_document=1)
    began = time.monotonic()
    with pytest.raises(DatasetError) as refused:
        require_rows(Corpus.open([str(prefix)]), DATA, 128)
    assert refused.value.problems[0].code == "dataset.no_pairs"
    assert time.monotonic() - began < 5
