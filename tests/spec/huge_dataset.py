"""A dataset of any size whose text takes no room, and a process that reads its first batch."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from trainer.spec.corpus import Corpus
from trainer.spec.dataset_check import check_dataset
from trainer.spec.fingerprint import fingerprint
from trainer.spec.indexed_dataset import HEADER, MAGIC, VERSION, dataset_paths
from trainer.spec.preset import Data
from trainer.spec.samples import RowReader
from trainer.spec.vocabulary import Vocabulary

REPOSITORY = Path(__file__).parents[2]
DATA = Data(split="949,50,1")


def write_huge_dataset(prefix: Path, sentences: int, *, of_document: int = 20) -> Path:
    """Sentences of 3 to 49 pieces, each of them 0; ``.bin`` is one hole."""
    lengths = np.resize(np.random.default_rng(0).integers(3, 50, size=1 << 20, dtype=np.int32), sentences)
    index, content = dataset_paths(prefix)
    ends = 2 * np.cumsum(lengths, dtype=np.int64)
    documents = np.append(np.arange(0, sentences, of_document, dtype=np.int64), sentences)
    with index.open("wb") as file:
        file.write(HEADER.pack(MAGIC, VERSION, 8, sentences, len(documents)))
        for array in (lengths, ends - 2 * lengths, documents):
            array.tofile(file)
    with content.open("wb") as file:
        file.truncate(int(ends[-1]))
    return prefix


def first_rows(prefix: Path) -> dict[str, Any]:
    """What a process of its own tells of its first batch of a dataset: seconds, and megabytes beyond the maps."""
    command = [sys.executable, "-m", "tests.spec.huge_dataset", str(prefix)]
    told = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=True).stdout
    found: dict[str, Any] = json.loads(told)
    return found


def _read_first_batch(prefix: str) -> dict[str, Any]:
    """All that happens between a start and the first batch, and the validation rows counted."""
    began = time.perf_counter()
    vocabulary = Vocabulary(tuple(map(str, range(1000))), 0, 1, 2, 3, 4, np.zeros(1000, dtype=np.bool_))
    check_dataset(Path(prefix), vocabulary, DATA, scan=1 << 22)
    corpus = Corpus.open([prefix])
    fingerprint(corpus, DATA, 512)
    reader = RowReader(corpus, vocabulary, DATA, 512)
    pairs = reader.batch("train", range(32)).pairs_count
    seconds = time.perf_counter() - began
    resident = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    rows = reader.rows("validation", 320)
    return {"seconds": seconds, "megabytes": int(resident.split()[1]) / 1024, "pairs": pairs, "validation": rows}


if __name__ == "__main__":
    print(json.dumps(_read_first_batch(sys.argv[1])))
