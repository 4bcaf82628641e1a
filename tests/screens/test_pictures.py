"""Every page as it looks, at the smallest window and at a large one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from bert_tui.app import BertTui
from bert_tui.screens.welcome import FoundRuns, OfferedRun
from bert_tui.wizard.answers import Page
from tests.screens.ground import laptop_app, server_app, settled
from trainer.spec.run_directory import RunDirectory

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
        picture(laptop_app, "review", "f7", id="save"),
        picture(laptop_app, "model", "down", "tab", "tab", "tab", "ctrl+u", "5", "f3", "f3", id="cautions"),
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
