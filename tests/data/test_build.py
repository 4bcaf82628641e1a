"""``bert-tui data build``: from text to a dataset, whatever comes between."""

import gzip
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bert_tui.data import build as building
from bert_tui.data.build import BuildStopped, build
from bert_tui.data.build_folder import BuildFolder, BuildStatus
from bert_tui.data.build_job import BuildView, find_builds, read_build, resume_build, start_build, stop_build
from bert_tui.data.build_records import BuildProgress
from bert_tui.data.order import BuildOrder, check_order
from bert_tui.data.sentences import split_sentences
from trainer.spec.dataset_check import check_dataset
from trainer.spec.indexed_dataset import IndexedDataset
from trainer.spec.preset import Data
from trainer.spec.problem import DatasetError
from trainer.spec.records import from_json, read_record, to_json
from trainer.spec.vocabulary import read_vocabulary

WORDS = (
    *("time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "world", "school", "state"),
    *("family", "student", "group", "天气", "café"),
)


def quiet(_: BuildProgress) -> None:
    return


def text_of(count: int, seed: int = 1) -> list[str]:
    """Documents of one to eight sentences."""
    draw = random.Random(seed)
    return [
        " ".join(
            " ".join(draw.choices(WORDS, k=draw.randint(3, 12))).capitalize() + "." for _ in range(draw.randint(1, 8))
        )
        for _ in range(count)
    ]


def write_lines(path: Path, texts: list[str], **more: str) -> Path:
    path.write_text("".join(json.dumps({"text": text, **more}) + "\n" for text in texts))
    return path


def digests(prefix: Path) -> dict[str, str]:
    files = sorted(prefix.parent.glob(f"{prefix.name}*"))
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.suffix in (".bin", ".idx", ".txt")
    }


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So that small input has many; links of builds stay in the test's folder."""
    monkeypatch.setattr(building, "SHARD_BYTES", 20_000)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vocabulary")
    write_lines(folder / "text", text_of(50))
    build(BuildOrder((str(folder / "text"),), folder / "out", 1, train_vocab=300), quiet)
    return folder / "out-vocab.txt"


def test_the_dataset_is_the_text(tmp_path: Path, vocabulary: Path) -> None:
    from transformers import BertTokenizerFast

    texts = text_of(400)
    (tmp_path / "in").mkdir()
    write_lines(tmp_path / "in" / "a.jsonl", texts[:200])
    (tmp_path / "in" / "b.gz").write_bytes(gzip.compress("\n\n".join(texts[200:300]).encode()))
    (tmp_path / "in" / "c.txt").write_text("\n \n\n".join([*texts[300:], " ", "\x01\x02", "[SEP] " + "long " * 700]))
    progress: list[BuildProgress] = []
    order = BuildOrder((str(tmp_path / "in"),), tmp_path / "out", 2, vocab_file=vocabulary)
    result = build(order, progress.append)

    dataset, known = IndexedDataset(tmp_path / "out"), read_vocabulary(vocabulary)
    check_dataset(tmp_path / "out", known, Data(split="1,0,0"), scan=1 << 30)
    theirs = BertTokenizerFast(vocab={piece: number for number, piece in enumerate(known.pieces)})
    for number, text in enumerate(texts):
        first, end = dataset.documents[number : number + 2].tolist()
        expected = theirs(split_sentences(text), add_special_tokens=False)["input_ids"]
        assert [dataset.sentence(sentence).tolist() for sentence in range(first, end)] == expected
    assert dataset.document_count == 401
    assert dataset.lengths[int(dataset.documents[400]) :].max() <= 510
    counts = result.datasets[0]
    assert (counts.documents, counts.sentences, counts.tokens) == (401, len(dataset.lengths), len(dataset.tokens))
    assert (counts.empty_documents, counts.cut_sentences) == (1, 1)
    assert counts.single_sentence == sum(len(split_sentences(text)) == 1 for text in texts)
    assert not {known.cls, known.sep, known.pad, known.mask} & set(dataset.tokens.tolist())
    assert json.loads((tmp_path / "out.json").read_text())["result"]["vocab_sha256"] == result.vocab_sha256
    assert {step.phase for step in progress} == {"look", "tokenize", "join"}
    assert progress[-1].done_bytes == progress[-1].total_bytes == (tmp_path / "out.bin").stat().st_size
    assert build(order, progress.append) == result
    assert progress[-1].cautions[0].code == "build.already"


def test_workers_change_no_byte(tmp_path: Path) -> None:
    write_lines(tmp_path / "text", text_of(1500), other="Another text. With two sentences.")
    orders = [
        BuildOrder(
            (str(tmp_path / "text"),),
            tmp_path / str(workers) / "out",
            workers,
            train_vocab=500,
            json_keys=("text", "other"),
        )
        for workers in (1, 3)
    ]
    for order in orders:
        assert [dataset.documents for dataset in build(order, quiet).datasets] == [1500, 1500]
    assert digests(orders[0].output) == digests(orders[1].output)
    assert set(digests(orders[0].output)) == {
        "out-vocab.txt",
        *(f"out_{k}.{e}" for k in ("text", "other") for e in ("bin", "idx")),
    }


def test_an_interrupted_build_goes_on(tmp_path: Path, vocabulary: Path) -> None:
    path = write_lines(tmp_path / "text", text_of(3000))
    whole, torn = (
        BuildOrder((str(path),), tmp_path / name / "out", 2, vocab_file=vocabulary) for name in ("whole", "torn")
    )
    build(whole, quiet)
    shards = torn.folder / "shards"

    def interrupt(progress: BuildProgress) -> None:
        if progress.phase == "tokenize" and len(list(shards.glob("0*"))) > 5:
            raise KeyboardInterrupt

    with pytest.raises(BuildStopped):
        build(torn, interrupt)
    assert read_build(BuildFolder(torn.folder)).state == "stopped"
    assert not (tmp_path / "torn" / "out.idx").exists()
    finished = {folder: folder.stat().st_ino for folder in shards.glob("0*")}
    resumed: list[int] = []

    def remember(progress: BuildProgress) -> None:
        resumed.append(progress.resumed_bytes)
        if progress.phase == "join":
            assert {folder: folder.stat().st_ino for folder in finished} == finished

    build(torn, remember)
    assert max(resumed) > 0
    assert digests(torn.output) == digests(whole.output)
    assert not shards.exists()

    for change in (lambda: path.touch(), lambda: path.write_text(path.read_text() + '{"text": "One more."}\n')):
        with pytest.raises(DatasetError) as caught:
            change()
            build(torn, quiet)
        assert caught.value.problems[0].code == "build.exists"
    for made in tmp_path.glob("torn/out.*x"):
        made.unlink()
    (tmp_path / "torn" / "out.bin").unlink()
    with pytest.raises(BuildStopped):
        build(torn, interrupt)
    path.touch()
    cautions: list[str] = []
    build(torn, lambda progress: cautions.extend(problem.code for problem in progress.cautions))
    assert set(cautions) == {"build.started_over"}


def test_what_is_left_out_is_named(tmp_path: Path, vocabulary: Path) -> None:
    texts = [json.dumps({"text": text}) for text in text_of(2000)]
    texts[700], texts[1900] = '{"text": 1}', "no"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "text").write_text("\n".join(texts))
    (tmp_path / "in" / "picture").write_bytes(b"\x89PNG\0\0")
    order = BuildOrder((str(tmp_path / "in"),), tmp_path / "out", 2, vocab_file=vocabulary, bad_text="skip")
    result = build(order, quiet)
    assert (result.skipped, result.datasets[0].documents) == (3, 1998)
    assert [(item.where, item.code) for item in result.left_out] == [
        (f"{tmp_path}/in/picture", "build.not_text"),
        (f"{tmp_path}/in/text:701", "build.no_text_in_key"),
        (f"{tmp_path}/in/text:1901", "build.not_json"),
    ]
    refusing = BuildOrder((str(tmp_path / "in" / "text"),), tmp_path / "again", 1, vocab_file=vocabulary)
    with pytest.raises(DatasetError) as caught:
        build(refusing, quiet)
    assert caught.value.problems[0].where == f"{tmp_path}/in/text:701"
    view = read_build(BuildFolder(refusing.folder))
    assert (view.state, view.problem) == ("failed", caught.value.problems[0])


def test_orders_and_what_is_wrong_with_them(tmp_path: Path) -> None:
    order = BuildOrder(("a", "b"), tmp_path, 2, train_vocab=30522, json_keys=("x", "y"))
    check_order(order)
    assert from_json(BuildOrder, to_json(order)) == order
    wrong = BuildOrder(
        (),
        Path("x.bin"),
        0,
        json_keys=("a/b", "c"),
        train_vocab=None,
        language="E n",
        bad_text="drop",  # type: ignore[arg-type]
    )
    with pytest.raises(DatasetError) as caught:
        check_order(wrong)
    assert [problem.where for problem in caught.value.problems] == [
        "inputs", "output", "vocab_file", "json_keys", "workers", "language", "bad_text",
    ]  # fmt: skip


def wait_until(folder: BuildFolder, fits: Callable[[BuildView], bool], seconds: float = 30) -> BuildView:
    until = time.monotonic() + seconds
    while not fits(view := read_build(folder)):
        assert time.monotonic() < until, view
        time.sleep(0.02)
    return view


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Path]:
    """Some seconds of work in shards of the usual size."""
    yield write_lines(tmp_path / "large", text_of(400) * 100)


def test_a_detached_build_is_watched_stopped_killed_and_resumed(tmp_path: Path, large: Path, vocabulary: Path) -> None:
    folder = start_build(BuildOrder((str(large),), tmp_path / "out", 2, vocab_file=vocabulary))
    assert find_builds() == [folder]
    assert read_build(folder).state == "running"
    with pytest.raises(DatasetError) as caught:
        start_build(read_build(folder).order)
    assert caught.value.problems[0].code == "build.busy"
    wait_until(folder, lambda view: view.progress is not None and view.progress.documents > 0)
    stop_build(folder)
    stopped = wait_until(folder, lambda view: view.state != "running", 3)
    assert (stopped.state, stopped.resumable) == ("stopped", True)

    resume_build(folder)
    wait_until(folder, lambda view: view.progress is not None and view.progress.documents > 0)
    status = read_record(BuildStatus, folder.status)
    assert status is not None
    children = Path(f"/proc/{status.pid}/task/{status.pid}/children").read_text().split()
    os.kill(status.pid, signal.SIGKILL)
    assert wait_until(folder, lambda view: view.state != "running", 3).state == "died"
    until = time.monotonic() + 10
    while any(Path(f"/proc/{child}/cmdline").exists() for child in children):
        assert time.monotonic() < until, "workers outlive their builder"
        time.sleep(0.05)

    resume_build(folder)
    done = wait_until(folder, lambda view: view.state != "running", 60)
    assert done.state == "finished", done
    assert done.result is not None
    assert done.progress is not None
    assert done.progress.documents == done.result.datasets[0].documents == 40_000
    assert IndexedDataset(tmp_path / "out").document_count == 40_000


def test_a_worker_that_is_killed_is_told(tmp_path: Path, large: Path, vocabulary: Path) -> None:
    folder = start_build(BuildOrder((str(large),), tmp_path / "out", 1, vocab_file=vocabulary))
    view = wait_until(folder, lambda view: view.progress is not None and view.progress.documents > 0)
    status = read_record(BuildStatus, folder.status)
    assert status is not None
    for child in Path(f"/proc/{status.pid}/task/{status.pid}/children").read_text().split():
        if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(int(child), signal.SIGKILL)
    view = wait_until(folder, lambda view: view.state != "running", 5)
    assert view.problem is not None
    assert (view.state, view.problem.code, view.problem.value) == ("failed", "build.worker_died", "-9")


def test_a_full_disk_is_told_and_the_build_goes_on(tmp_path: Path, vocabulary: Path) -> None:
    """A text of short words: its ids take more room than the text, and than was reckoned beforehand."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "text").write_text(("a b c d e f g h. " * 8 + "\n\n") * 15_000)
    command = ["unshare", "--map-root-user", "--mount", sys.executable, "-m", "tests.data.full_disk"]
    paths = [str(tmp_path / "disk"), str(tmp_path / "text"), str(vocabulary)]
    done = subprocess.run([*command, *paths], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"codes": ["build.no_space", "build.disk_full", "built"], "documents": 15_000}
