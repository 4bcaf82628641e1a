"""A run directory with a tiny dataset of made-up sentences, ready for ``python -m trainer``."""

from __future__ import annotations

import hashlib
import json
import os
import random
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from trainer.spec import preset as schema
from trainer.spec.corpus import Corpus
from trainer.spec.fingerprint import fingerprint
from trainer.spec.indexed_dataset import IndexedDatasetWriter
from trainer.spec.metrics_file import read_layout
from trainer.spec.preset import Preset
from trainer.spec.records import Progress, read_record
from trainer.spec.resolved import Resolved, render_resolved
from trainer.spec.run_directory import AttemptDirectory, RunDirectory
from trainer.spec.samples import RowReader
from trainer.spec.vocabulary import read_vocabulary

REPOSITORY = Path(__file__).parents[2]
PIECES = 131
"""Odd, and so few that of four tensor ranks the last holds nothing but padding."""


def small_preset(folder: Path, **values: Any) -> Preset:
    """A model that trains in no time; ``values`` as in ``preset.replace``."""
    preset = schema.replace(
        Preset(),
        model__layers=2, model__hidden=32, model__heads=4, model__sequence_length=32, model__dropout=0.0,
        model__vocab_size=PIECES,
        data__data_path=("7", str(folder / "text_sentence"), "3", str(folder / "more_sentence")),
        data__vocab_file=str(folder / "vocab.txt"), data__split="80,20,0",
        train__steps=12, train__global_batch=8, train__micro_batch=2, train__learning_rate=1e-3,
        train__warmup=2, train__decay=12, train__eval_every=5, train__eval_steps=1, parallel__data=1,
        checkpoint__path=str(folder), checkpoint__every=6, logs__tensorboard_path=str(folder / "tensorboard"),
        launch__launcher="local", launch__gpus="none",
    )  # fmt: skip
    return schema.replace(preset, **values)


def write_dataset(folder: Path) -> None:
    """A vocabulary, and two datasets whose documents are sentences in which words tend to be followed by their
    successors: in the second one to the far side of them."""
    words = [f"w{number}" for number in range(PIECES - 6)]
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, "##s"]) + "\n")
    for name, documents, first_words in (("text_sentence", 100, (5, 90)), ("more_sentence", 40, (60, 105))):
        draw = random.Random(7)
        with IndexedDatasetWriter(folder / name, PIECES) as writer:
            for _ in range(documents):
                first = draw.randrange(*first_words)
                sentences = draw.randrange(2, 7)
                writer.add_document([[first + n + k for k in range(draw.randrange(3, 13))] for n in range(sentences)])


def open_reader(folder: Path, preset: Preset) -> RowReader:
    """The rows of the datasets in ``folder``."""
    corpus = Corpus.open(preset.data.data_path)
    return RowReader(corpus, read_vocabulary(folder / "vocab.txt"), preset.data, preset.model.sequence_length)


def write_attempt(folder: Path, number: int, preset: Preset) -> AttemptDirectory:
    """The directory of one attempt, as the starter leaves it."""
    run = RunDirectory(folder / "20261124-120000-small-0001")
    attempt = run.attempt(number)
    for path in (attempt.control, attempt.telemetry, attempt.rank_errors):
        path.mkdir(parents=True)
    run.vocabulary.write_bytes((folder / "vocab.txt").read_bytes())
    assert isinstance(preset.parallel.data, int)
    resolved = Resolved(
        run_id=run.id, preset_name="small", device="cpu", ranks=preset.parallel.tensor * preset.parallel.data,
        threads=1, gpus=(), data_path=preset.data.data_path,
        data_fingerprint=fingerprint(
            Corpus.open(preset.data.data_path), preset.data, preset.model.sequence_length
        ),
        vocab_sha256=hashlib.sha256(run.vocabulary.read_bytes()).hexdigest(),
        image="", image_id="", code_sha256="", program_version="test",
        micro_batch=8 if preset.train.micro_batch == "auto" else preset.train.micro_batch,
    )  # fmt: skip
    attempt.preset.write_text(render_resolved(preset, resolved, "for a test"))
    return attempt


def torchrun(ranks: int, module: str, *arguments: object, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Runs a module on so many ranks of one thread each."""
    with start_torchrun(ranks, module, *arguments) as process:
        try:
            output, errors = process.communicate(timeout=seconds)
        finally:
            process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def start_torchrun(
    ranks: int, module: str, *arguments: object, output: int | IO[str] = subprocess.PIPE
) -> subprocess.Popen[str]:
    """Starts it; both its outputs go there."""
    command = [
        sys.executable, "-m", "torch.distributed.run", "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0",
        "--local-addr=127.0.0.1", f"--nproc-per-node={ranks}", "-m", module, *map(str, arguments),
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output, text=True)


def train(attempt: AttemptDirectory, preset: Preset) -> subprocess.CompletedProcess[str]:
    """Trains as the supervisor does."""
    assert isinstance(preset.parallel.data, int)
    return torchrun(preset.parallel.tensor * preset.parallel.data, "trainer", attempt.path)


def metrics(run: RunDirectory) -> list[dict[str, float]]:
    """All records of ``metrics.bin``."""
    layout = read_layout(run.metrics)
    assert layout is not None
    rows = struct.iter_unpack(f"<{len(layout.columns)}d", run.metrics.read_bytes()[layout.offset :])
    return [dict(zip(layout.columns, row, strict=True)) for row in rows]


def progress_when(attempt: AttemptDirectory, fits: Callable[[Progress], bool], seconds: float = 60) -> Progress:
    """The first progress that fits, of a running attempt."""
    until = time.monotonic() + seconds
    while (progress := read_record(Progress, attempt.progress)) is None or not fits(progress):
        assert time.monotonic() < until, progress
        time.sleep(0.05)
    return progress


def rank_error(attempt: AttemptDirectory, rank: int = 0) -> dict[str, Any]:
    """What a rank left when it failed."""
    record: dict[str, Any] = json.loads((attempt.rank_errors / f"{rank}.error.json").read_text())
    return record
