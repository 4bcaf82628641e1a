"""Side by side with megatron-core, where it is installed (pip install --no-deps megatron-core): the same files to the
byte in both directions, the same documents in each split."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.spec.indexed_dataset import IndexedDataset, IndexedDatasetWriter
from trainer.spec.split import SPLITS, split_documents

pytest.importorskip("megatron.core.datasets.indexed_dataset", reason="megatron-core is not installed")
from megatron.core.datasets import blended_megatron_dataset_config, indexed_dataset

DOCUMENTS = [[[5, 6, 7], [8, 9]], [[10]], [], [[11, 12], [13], [], [14, 15, 16]], []]
SENTENCES = [sentence for document in DOCUMENTS for sentence in document]


def write_megatrons(prefix: Path, kind: type[np.number]) -> None:
    builder = indexed_dataset.IndexedDatasetBuilder(f"{prefix}.bin", dtype=kind)
    for document in DOCUMENTS:
        for sentence in document:
            builder.add_item(torch.tensor(sentence, dtype=torch.int64))
        builder.end_document()
    builder.finalize(f"{prefix}.idx")


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int16, np.int32, np.int64, np.uint16])
def test_what_megatron_writes_is_read(tmp_path: Path, kind: type[np.number]) -> None:
    write_megatrons(tmp_path / "d", kind)
    dataset = IndexedDataset(tmp_path / "d")
    assert dataset.dtype == kind
    assert [dataset.sentence(number).tolist() for number in range(len(SENTENCES))] == SENTENCES
    assert np.diff(dataset.documents).tolist() == [len(document) for document in DOCUMENTS]


@pytest.mark.parametrize("vocab_size", [30522, 65499, 65500, 250_000])
def test_what_is_written_is_megatrons_to_the_byte(tmp_path: Path, vocab_size: int) -> None:
    write_megatrons(tmp_path / "theirs", indexed_dataset.DType.optimal_dtype(vocab_size))
    with IndexedDatasetWriter(tmp_path / "ours", vocab_size) as writer:
        for document in DOCUMENTS:
            writer.add_document(document)
    for end in (".bin", ".idx"):
        assert Path(f"{tmp_path}/ours{end}").read_bytes() == Path(f"{tmp_path}/theirs{end}").read_bytes()
    theirs = indexed_dataset.IndexedDataset(str(tmp_path / "ours"))
    assert [theirs[number].tolist() for number in range(len(theirs))] == SENTENCES
    assert np.diff(theirs.document_indices).tolist() == [len(document) for document in DOCUMENTS]


shares = st.integers(0, 10**6).map(str) | st.floats(0, 1000).map(lambda share: f"{share:.6f}")


@settings(max_examples=500, deadline=None)
@given(st.lists(shares, min_size=1, max_size=3).filter(lambda parts: float(parts[0]) > 0), st.integers(1, 10**8))
def test_the_split_string_means_the_same(parts: list[str], documents: int) -> None:
    text = ",".join(parts)
    vector = blended_megatron_dataset_config.parse_and_normalize_split(text)
    matrix = blended_megatron_dataset_config.convert_split_vector_to_split_matrix(vector)
    for split, bookends in zip(SPLITS, matrix, strict=True):
        mine = split_documents(text, documents)[split]
        if bookends is None:
            assert not mine
        else:  # as BlendedMegatronDatasetBuilder rounds them
            assert (mine.start, mine.stop) == tuple(round(end * float(documents)) for end in bookends)
