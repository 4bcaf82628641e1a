"""How fast text becomes a dataset, against the loop that people write: Punkt and Hugging Face's tokenizer.

The text is Python's documentation, several times. Figures are for one core unless said.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bert_tui.data.build import build
from bert_tui.data.inputs import look_at
from bert_tui.data.order import BuildOrder
from bert_tui.data.sample_text import sample_documents
from bert_tui.data.sentences import split_sentences
from bert_tui.data.shards import SHARD_BYTES, cut_into_shards
from bert_tui.data.vocabulary_training import train_vocabulary
from bert_tui.data.wordpiece import WordPiece
from bert_tui.data.worker import TokenizeShard, tokenize_shard
from tests.benchmarks.sentences_by_hand import CHINESE, ENGLISH
from trainer.spec.records import to_json

pytestmark = pytest.mark.benchmark
COPIES = 24
GATHERED = 8
"""Pieces of documentation in a document, which so has 4 kB, as an article of an encyclopedia."""
SHARED_CORES_FACTOR = 1.2
"""Two workers on two cores that other processes use as well gain at least this."""


@pytest.fixture(scope="module")
def documents() -> list[str]:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    pieces = sample_documents(lambda *facts: None)
    return ["\n\n".join(pieces[start : start + GATHERED]) for start in range(0, len(pieces), GATHERED)]


@pytest.fixture(scope="module")
def text(documents: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    lines = "".join(json.dumps({"text": document}, ensure_ascii=False) + "\n" for document in documents)
    (folder / "text.jsonl").write_text(lines * COPIES, encoding="utf-8")
    pieces = train_vocabulary(lambda: documents, 30522, lower_case=True)
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
    return folder


def punkt() -> Any:
    """NLTK's Punkt with its English model."""
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer
    from punkt.data import english

    known = PunktParameters()
    known.abbrev_types = set(english.ABBREV_TYPES)
    known.collocations = set(english.COLLOCATIONS)
    known.sent_starters = set(english.SENT_STARTERS)
    known.ortho_context.update(english.ORTHO_CONTEXT)
    return PunktSentenceTokenizer(known)


def test_splitting_into_sentences(documents: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    size, splitter = sum(map(len, documents)), punkt()
    began = time.perf_counter()
    ours = [sentence for document in documents for sentence in split_sentences(document)]
    middle = time.perf_counter()
    theirs = [sentence for document in documents for sentence in splitter.tokenize(document)]
    ended = time.perf_counter()
    right = {
        f"{name} {language}": sum(_splits_right(split, case) for case in cases) / len(cases)
        for name, split in (("sentencex", split_sentences), ("Punkt", splitter.tokenize))
        for language, cases in (("English", ENGLISH), ("Chinese", CHINESE))
    }
    with capsys.disabled():
        print("\n" + ", ".join(f"{name} {share:.0%} right" for name, share in right.items()))
        print(
            f"sentences: sentencex {size / (middle - began) / 1e6:.0f} MB/s ({len(ours):,}), "
            f"Punkt {size / (ended - middle) / 1e6:.1f} MB/s ({len(theirs):,})"
        )
    assert ended - middle > 2 * (middle - began)


def _splits_right(split: Callable[[str], Iterable[str]], case: str) -> bool:
    """Whether a text is split as by hand."""
    expected = [sentence.strip() for sentence in case.split("|")]
    return [sentence.strip() for sentence in split(case.replace("|", ""))] == expected


def test_building(
    documents: list[str],
    text: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size = (text / "text.jsonl").stat().st_size
    seconds = {workers: _build_seconds(text, tmp_path / str(workers), workers) for workers in (1, 2)}
    loop = _loop_seconds(documents, text / "vocab.txt") * COPIES
    rest = 1 - _share_of_tokenizing(text, tmp_path / "shards", monkeypatch)
    with capsys.disabled():
        print(
            f"\nbuilding {size / 1e6:.0f} MB: {size / seconds[1] / 1e6:.2f} MB/s with 1 worker, "
            f"{size / seconds[2] / 1e6:.2f} with 2 ({seconds[1] / seconds[2]:.2f}x); loop of Punkt and "
            f"BertTokenizerFast {size / loop / 1e6:.2f} MB/s: {loop / seconds[1]:.2f}x; "
            f"all but tokenizing {rest:.1%} of a worker's time"
        )
    assert loop / seconds[1] >= 1.5
    assert rest < 0.1
    assert seconds[1] / seconds[2] > SHARED_CORES_FACTOR


def _build_seconds(text: Path, output: Path, workers: int) -> float:
    """From the first to the last byte, processes started and files synced."""
    order = BuildOrder((str(text / "text.jsonl"),), output, workers, vocab_file=text / "vocab.txt")
    began = time.perf_counter()
    build(order, lambda progress: None)
    return time.perf_counter() - began


def _pieces(vocab_file: Path) -> dict[str, int]:
    return {piece: number for number, piece in enumerate(vocab_file.read_text(encoding="utf-8").split("\n")[:-1])}


def _share_of_tokenizing(text: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> float:
    """Of a worker's processor time: what passes between sentences and the array of their ids."""
    order = BuildOrder((str(text / "text.jsonl"),), folder, 1, vocab_file=text / "vocab.txt")
    file = look_at(text / "text.jsonl", order)
    assert file is not None
    shards = cut_into_shards([file], SHARD_BYTES)
    spent = 0.0
    encode = WordPiece.encode

    def timed(self: WordPiece, sentences: Sequence[str]) -> Any:
        nonlocal spent
        began = time.process_time()
        encoded = encode(self, sentences)
        spent += time.process_time() - began
        return encoded

    monkeypatch.setattr(WordPiece, "encode", timed)
    folder.mkdir()
    tokenize_shard(TokenizeShard(order, text / "vocab.txt", shards[0], folder / "first"), lambda seen: None)
    spent, began = 0.0, time.process_time()  # the first has read the vocabulary, too
    tokenize_shard(TokenizeShard(order, text / "vocab.txt", shards[1], folder / "second"), lambda seen: None)
    return spent / (time.process_time() - began)


def _loop_seconds(documents: list[str], vocab_file: Path) -> float:
    from transformers import BertTokenizerFast

    tokenizer, splitter = BertTokenizerFast(vocab=_pieces(vocab_file)), punkt()
    began = time.perf_counter()
    for document in documents:
        for sentence in splitter.tokenize(document):
            tokenizer(sentence, add_special_tokens=False)["input_ids"]
    return time.perf_counter() - began


def test_memory_does_not_grow_with_the_input(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The peak of the builder and of its largest worker, for the text once and three times in one file, with
    a document of 16 MB at its end."""
    lines = (text / "text.jsonl").read_bytes()
    long = json.dumps({"text": "A sentence in a very long document. " * 450_000}).encode() + b"\n"
    peaks = {}
    for copies in (1, 3):
        (tmp_path / "text").write_bytes(lines * copies + long)
        order = BuildOrder((str(tmp_path / "text"),), tmp_path / f"out{copies}", 2, vocab_file=text / "vocab.txt")
        peaks[copies] = _peak(order)
    with capsys.disabled():
        print(
            "\nmemory, builder and largest worker: "
            + ", ".join(
                f"{len(lines) * copies / 1e6:.0f} MB of text {ours / 1e6:.0f} and {theirs / 1e6:.0f} MB"
                for copies, (ours, theirs) in peaks.items()
            )
        )
    assert sum(peaks[3]) < 1.15 * sum(peaks[1]) + 30e6
    assert peaks[3][0] + 2 * peaks[3][1] < 1e9


MEASURED = """
import re, resource, sys
from pathlib import Path
from bert_tui.data.build import build
from bert_tui.data.inputs import look_at
from bert_tui.data.order import BuildOrder
from trainer.spec.records import from_json
if __name__ == "__main__":
    build(from_json(BuildOrder, sys.argv[1]), lambda progress: None)
    own = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
    print(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def _peak(order: BuildOrder) -> tuple[int, int]:
    """Bytes resident at most: in the builder, and in the largest of its workers."""
    command = [sys.executable, "-c", MEASURED, to_json(order)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=250)
    ours, theirs = (int(number) * 1024 for number in done.stdout.split())
    return ours, theirs
