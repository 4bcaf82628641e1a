"""How fast rows are made, beside megatron-core's BERT dataset on the same files, and how soon a huge dataset gives its
first row. Figures for one core."""

import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.spec.huge_dataset import first_rows, write_huge_dataset
from trainer.batches import read_share
from trainer.spec.corpus import Corpus
from trainer.spec.indexed_dataset import IndexedDatasetWriter
from trainer.spec.preset import Data
from trainer.spec.row_stream import RowStream
from trainer.spec.samples import RowReader
from trainer.spec.vocabulary import Vocabulary

pytestmark = pytest.mark.benchmark

DOCUMENTS = 20_000
PIECES = 30522
DATA = Data(split="1", packing=False)
"""One sample a row, as Megatron has it."""


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents of 1 to 59 sentences of 3 to 49 pieces; a quarter of the pieces goes on inside a word."""
    random = np.random.default_rng(0)
    prefix = tmp_path_factory.mktemp("data") / "text"
    with IndexedDatasetWriter(prefix, PIECES) as writer:
        for count in random.integers(1, 60, size=DOCUMENTS).tolist():
            lengths = random.integers(3, 50, size=count)
            writer.add_document(np.split(random.integers(5, PIECES, size=lengths.sum()), np.cumsum(lengths)[:-1]))
    return prefix


@pytest.mark.parametrize("sequence_length", [128, 512])
@pytest.mark.skipif(find_spec("megatron") is None, reason="megatron-core is not installed (pip install --no-deps)")
def test_samples_beside_megatron(sequence_length: int, prefix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows as the trainer reads them, a step's share of 32 rows at a time, to tensors; both on the same files."""
    theirs = megatron_dataset(prefix, sequence_length)
    vocabulary = Vocabulary(tuple(map(str, range(PIECES))), 0, 1, 2, 3, 4, np.arange(PIECES) % 4 == 0)
    reader = RowReader(Corpus.open([str(prefix)]), vocabulary, DATA, sequence_length)

    def ours(step: int) -> int:
        micro_batches = [range(first, first + 4) for first in range(32 * step, 32 * step + 32, 4)]
        return read_share(reader, "train", micro_batches).counts.pairs

    def seconds_of_theirs(step: int) -> float:
        began = time.perf_counter()
        torch.utils.data.default_collate([theirs[number] for number in range(32 * step, 32 * step + 32)])
        return time.perf_counter() - began

    assert ours(0) == 32
    our_seconds, their_seconds = [], []
    for step in range(1, 21):  # in turn, so that both meet the same machine
        began = time.perf_counter()
        ours(step)
        our_seconds.append(time.perf_counter() - began)
        their_seconds.append(seconds_of_theirs(step))
    mine, megatrons = (float(np.median(seconds)) / 32 * 1e6 for seconds in (our_seconds, their_seconds))
    with capsys.disabled():
        print(
            f"\nsamples of {sequence_length}: {mine:.0f} us, megatron-core {megatrons:.0f} us; {megatrons / mine:.1f}x"
        )
    assert megatrons > 10 * mine


def megatron_dataset(prefix: Path, sequence_length: int) -> Any:
    """Megatron's BERT dataset over the same files, with the settings of its examples/bert."""
    import torch.distributed as dist
    from megatron.core.datasets.bert_dataset import BERTMaskedWordPieceDataset, BERTMaskedWordPieceDatasetConfig
    from megatron.core.datasets.indexed_dataset import IndexedDataset as MegatronDataset
    from megatron.core.datasets.utils import Split

    folder = tempfile.mkdtemp(dir=prefix.parent)
    if not dist.is_initialized():  # building its index asks which rank it is
        dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=0, world_size=1)
    config = BERTMaskedWordPieceDatasetConfig(
        random_seed=1234, sequence_length=sequence_length, blend=([str(prefix)], None), split="1,0,0",
        path_to_cache=folder, tokenizer=Pieces(), masking_probability=0.15, short_sequence_probability=0.1,
        masking_max_ngram=3, masking_do_full_word=True, masking_do_permutation=False, masking_use_longer_ngrams=False,
        masking_use_geometric_distribution=False, classification_head=True,
    )  # fmt: skip
    documents = np.arange(DOCUMENTS, dtype=np.int32)
    return BERTMaskedWordPieceDataset(MegatronDataset(str(prefix)), str(prefix), documents, 5000, Split.train, config)


class Pieces:
    """As much of a tokenizer as the dataset asks for."""

    cls, sep, mask, pad, vocab_size = 2, 3, 4, 0, PIECES
    unique_identifiers: dict[str, str] = {}
    inv_vocab = {number: "##x" if number % 4 == 0 and number > 4 else "x" for number in range(PIECES)}

    @property
    def vocab(self) -> dict[str, int]:
        return {f"{piece}{number}": number for number, piece in self.inv_vocab.items()}


@pytest.mark.parametrize("sequence_length", [128, 512])
def test_forming_and_packing(sequence_length: int, prefix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = Corpus.open([str(prefix)]).datasets[0]
    stream = RowStream(dataset, 0, "train", Data(split="1"), sequence_length)
    began = time.perf_counter()
    size = stream.size_of_epoch(stream.groups_per_epoch)
    seconds = time.perf_counter() - began
    with capsys.disabled():
        rate = len(dataset.lengths) / seconds
        print(f"\nan epoch of {sequence_length}: {rate:,.0f} sentences/s, filled {size.fill(sequence_length):.1%}")
    assert size.fill(sequence_length) > 0.95
    assert rate > 1e6


def test_a_hundred_million_sentences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Check, fingerprint and first batch, in a process of its own."""
    prefix = write_huge_dataset(tmp_path / "huge", 100_000_000)
    told = first_rows(prefix)
    with capsys.disabled():
        print(
            f"\n100 million sentences: first batch after {told['seconds']:.1f} s, {told['megabytes']:.0f} MB resident"
        )
    assert told["seconds"] < 10
    assert told["megabytes"] < 1000
