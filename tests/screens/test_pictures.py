"""Every page as it looks, at the smallest window and at a large one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from bert_tui.app import BertTui
from bert_tui.data.build_folder import BuildEnd, BuildFolder, BuildStatus, open_folder
from bert_tui.data.build_records import BuildProgress, BuildResult, DatasetCounts
from bert_tui.data.order import BuildOrder
from bert_tui.folder_lock import FolderLock
from bert_tui.screens.welcome import FoundRuns, OfferedRun
from bert_tui.wizard.answers import Page
from tests.screens.ground import laptop_app, server_app, settled
from trainer.spec.indexed_dataset import IndexedDatasetWriter
from trainer.spec.records import to_json
from trainer.spec.run_directory import RunDirectory, write_whole

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
COMMAND = (
    "env --chdir=/var/tmp/bert-tui/checkpoints/RUN_ID PYTHONPATH=/var/tmp/bert-tui/checkpoints/RUN_ID/code "
    "PYTHONSAFEPATH=1 python3 -m trainer.supervise /var/tmp/bert-tui/checkpoints/RUN_ID/attempts/001"
)

Compare = Callable[..., bool]


@pytest.fixture(autouse=True)
def known_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same on every machine, and writable on every machine."""
    monkeypatch.setenv("CHECKPOINT_PATH", "/var/tmp/bert-tui/checkpoints")
    monkeypatch.setenv("TENSORBOARD_LOGS_PATH", "/var/tmp/bert-tui/tensorboard")


def at(page: Page, *keys: str) -> Callable[[Pilot[int]], Any]:
    """Turns to a page and presses keys."""

    async def turn(pilot: Pilot[int]) -> None:
        app = await settled(pilot)
        app.show_page(page)
        await pilot.pause(0.5)
        await pilot.press(*keys)
        await pilot.pause(0.5)

    return turn


def two_runs() -> FoundRuns:
    live = RunDirectory(Path("/data/runs/20261124-101112-bert-base-0a1b"))
    ended = RunDirectory(Path("/data/runs/20261123-171513-bert-base-0a1c"))
    return FoundRuns((OfferedRun(live, "running, step 1,200 of 10,000"),), OfferedRun(ended, "stopped, step 400"), 3)


@SIZES
@pytest.mark.parametrize("page", ["welcome", "environment", "data", "model", "tensor", "review"])
def test_page_of_a_machine_without_gpu(snap_compare: Compare, page: Page, size: tuple[int, int]) -> None:
    app = laptop_app(describe=lambda plan: COMMAND)
    assert snap_compare(app, run_before=at(page), terminal_size=size)


@SIZES
@pytest.mark.parametrize("page", ["environment", "data", "model", "tensor"])
def test_page_of_a_machine_with_eight_gpus(snap_compare: Compare, page: Page, size: tuple[int, int]) -> None:
    assert snap_compare(server_app(), run_before=at(page), terminal_size=size)


def picture(app: Callable[[], BertTui], page: Page, *keys: str, id: str) -> Any:
    return pytest.param(app, page, keys, id=id)


@pytest.mark.parametrize(
    ("app", "page", "keys"),
    [
        picture(lambda: laptop_app(find_runs=two_runs), "welcome", id="runs-alive"),
        picture(laptop_app, "data", "tab", "ctrl+u", *"/proc/version/x", id="bad-path"),
        picture(laptop_app, "model", "tab", *"many", "enter", id="bad-number"),
        picture(laptop_app, "model", "tab", "tab", "tab", "f1", id="help"),
        picture(laptop_app, "review", "f5", "f5", id="preset"),
        picture(laptop_app, "review", "f5", "f5", "f5", id="changes"),
        picture(laptop_app, "review", "f7", id="save"),
        picture(laptop_app, "model", "down", "tab", "tab", "tab", "ctrl+u", "5", "f3", "f3", id="cautions"),
        picture(server_app, "environment", "shift+tab", "down", "down", "space", id="unfolded"),
        picture(server_app, "environment", "tab", "enter", "down", "space", id="gpus"),
    ],
)
def test_moment(snap_compare: Compare, app: Callable[[], BertTui], page: Page, keys: tuple[str, ...]) -> None:
    assert snap_compare(app(), run_before=at(page, *keys), terminal_size=(80, 24))


def test_small_window(snap_compare: Compare) -> None:
    assert snap_compare(server_app(), run_before=at("environment"), terminal_size=(60, 18))


def test_no_colour(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(laptop_app(), run_before=at("model"), terminal_size=(80, 24))


@pytest.mark.parametrize(
    ("moment", "size"),
    [
        *((moment, (80, 24)) for moment in ("dataset", "browser", "build", "built", "building", "sample")),
        *((moment, (120, 40)) for moment in ("dataset", "build")),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value[0]}x{value[1]}",
)
def test_data(
    snap_compare: Compare, moment: str, size: tuple[int, int], clean_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data page's further screens, on a small corpus in the home folder."""
    corpus = small_corpus(clean_home)
    monkeypatch.setenv("DATA_PATH", "~/corpus/wiki")
    monkeypatch.setenv("VOCAB_FILE", "~/corpus/vocab.txt")
    keys: dict[str, tuple[str, ...]] = {
        "dataset": ("tab",),
        "browser": ("tab", "f4"),
        "build": ("f7", *"~/corpus/cats.jsonl"),
        "built": ("end", "enter"),
        "building": ("end", "enter"),
        "sample": ("f6",),
    }
    lock = staged_build(corpus) if moment == "building" else None
    if moment == "built":
        end_staged_build(corpus)

    async def press(pilot: Pilot[int]) -> None:
        app = await settled(pilot)
        app.show_page("data")
        await pilot.pause(0.6)
        await pilot.press(*keys[moment])
        await pilot.pause(0.8)

    try:
        assert snap_compare(laptop_app(), run_before=press, terminal_size=size)
    finally:
        if lock is not None:
            lock.release()


def small_corpus(home: Path) -> Path:
    """A dataset with its vocabulary, and text."""
    folder = home / "corpus"
    (folder / "older").mkdir(parents=True)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "on", "a", "mat", "it", "slept", "##s"]
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces))
    with IndexedDatasetWriter(folder / "wiki", len(pieces)) as writer:
        for number in range(12345):
            writer.add_document([[5, 6, 7, 8, 9, 10], [11, 12, 8, 5, 10, 13][number % 3 :]])
    (folder / "cats.jsonl").write_text('{"title": "Cats", "text": "The cat sat on a mat. It slept."}\n' * 500)
    (folder / "picture.png").write_bytes(b"\x89PNG\0")
    return folder


def staged_build(corpus: Path) -> FolderLock:
    """A build under way, as its files tell it, for as long as the lock is held."""
    order = BuildOrder((str(corpus / "cats.jsonl"),), corpus / "cats", 2, train_vocab=8000)
    folder, lock = open_folder(order)
    progress = BuildProgress(
        "tokenize", 1_400_000_000, 3_400_000_000, 123_456, 1_234_567, 34_500_000, 3, 12.3e6, 163.0, "cats.jsonl"
    )
    write_whole(folder.status, to_json(BuildStatus(1, 0.0, "host", 0.0, 7, progress)))
    return lock


def end_staged_build(corpus: Path) -> None:
    """The same, done."""
    staged_build(corpus).release()
    counts = DatasetCounts("text", corpus / "cats", 500, 0, 1000, 0, 12_000, 0, 0)
    result = BuildResult((counts,), corpus / "cats-vocab.txt", 8000, "", 1, 3_400_000_000, 271.0)
    write_whole(BuildFolder(corpus / "cats.build").end, to_json(BuildEnd("finished", 0.0, result=result)))
