"""The page of the image: what it shows of every state, and fetching for real."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from bert_tui.launchers.fetching.folder import FetchFolder, FetchOrder
from bert_tui.launchers.fetching.here import ImageHere
from bert_tui.launchers.fetching.job import FetchState, FetchView
from bert_tui.launchers.fetching.progress import FetchProgress, Layer
from bert_tui.launchers.fetching.room import ImageDisk
from bert_tui.launchers.image import propose_image
from bert_tui.machine import Machine
from bert_tui.screens.image import ImageScreen
from bert_tui.wizard.image_look import ImageLook, facts, fetch_words, loaded_name
from tests.launchers.registry import Registry, serving
from tests.screens.ground import SERVER, reach, server_app, settled, until
from trainer.spec.problem import Problem
from trainer.spec.sizing import GIB

ENGINE = os.environ.get("DOCKER_HOST", "")
PROPOSED = "nvcr.io/nvidia/pytorch:25.02-py3"
NVIDIA_TELLS = {"PYTORCH_VERSION": "2.7.0a0+6c54963f75", "CUDA_VERSION": "12.8.0"}
NOW = 1_795_500_000.0
LAYERS = (
    Layer("83fb018d511c", "ready", 30_000_000, 30_000_000, 30_000_000),
    Layer("965ba367fead", "unpacking", 900_000_000, 900_000_000, 450_000_000),
    Layer("7fcd04556302", "downloading", 1_200_000_000, 2_400_000_000),
    Layer("5ca85bc8e570", "downloading", 300_000_000, 5_100_000_000),
    Layer("a64f2fb7f115", "downloaded", 40_000_000, 40_000_000),
)
PULLING = FetchProgress("pull", 2_470_000_000, 8_470_000_000, 48_000_000.0, 125.0, LAYERS, moved=NOW)
ABSENT = ImageLook(
    propose_image(SERVER.driver, True), PROPOSED, disk=ImageDisk("/var/lib/docker", 70 * GIB), needed=25 * GIB
)


def with_job(state: FetchState, problem: Problem | None = None, progress: FetchProgress | None = PULLING) -> ImageLook:
    order = FetchOrder(PROPOSED)
    return dataclasses.replace(
        ABSENT, fetch=FetchView(FetchFolder(Path("/state")), order, state, progress, NOW - 60, problem)
    )


def test_the_proposed_image_and_why() -> None:
    assert dict(facts(ABSENT)) == {
        "Proposed": f"{PROPOSED}\nThe newest for driver 570.124.06: later images need driver 580.",
        "Here": "not yet",
        "Room": "needs about 25 GiB; 70 GiB free in /var/lib/docker",
    }
    here = dataclasses.replace(ABSENT, here=ImageHere(PROPOSED, 21_300_000_000, environment=NVIDIA_TELLS))
    assert dict(facts(here))["Here"] == "yes, 21.3 GB, PyTorch 2.7.0a0+6c54963f75, CUDA 12.8.0"
    full = dataclasses.replace(ABSENT, disk=ImageDisk("/var/lib/docker", 7 * GIB))
    assert dict(facts(full))["Room"].endswith("too little")
    assert "580" not in propose_image("595.10", True).reason
    assert propose_image("470.1", True).image == ""


def test_a_fetch_in_words() -> None:
    words = fetch_words(with_job("running"), now=NOW + 1)
    assert words is not None
    assert (words.headline, words.left, words.amount) == (
        "Downloading",
        "about 2 min 5 s left",
        "2.47 GB of 8.47 GB, 48 MB/s",
    )
    assert words.lines == (
        "965ba367fead  unpacking, 50% of 900 MB",
        "7fcd04556302  downloading, 1.2 GB of 2.4 GB",
        "5ca85bc8e570  downloading, 300 MB of 5.1 GB",
        "and 2 more layers; 1 of 5 are ready",
    )
    silent = fetch_words(with_job("running"), now=NOW + 130)
    assert silent is not None
    assert (silent.tone, silent.left) == ("caution", "")
    assert silent.lines[0].startswith("Nothing has come for 2 min 10 s")


def test_a_failure_without_a_way_out_tells_of_the_other_machine() -> None:
    problem = Problem("docker.registry", "", "dial tcp: lookup nvcr.io: no such host")
    words = fetch_words(with_job("failed", problem))
    assert words is not None
    assert f"    docker pull {PROPOSED}" in words.lines
    assert f"    docker save -o pytorch-25.02-py3.tar {PROPOSED}" in words.lines


def test_the_name_of_what_a_file_brought() -> None:
    view = with_job("finished").fetch
    assert view is not None
    assert loaded_name(dataclasses.replace(view, images=("sha256:0a1b", "own/image:1"))) == "own/image:1"
    assert loaded_name(dataclasses.replace(view, images=("sha256:0a1b",))) == ""


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
def test_the_page_while_it_fetches(snap_compare: Any, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bert_tui.wizard.image_words.time.time", lambda: NOW + 1)
    seen = with_job("running")

    def ask(answer: str, machine: Machine, gpus_wanted: bool) -> ImageLook:
        return seen

    async def open_page(pilot: Pilot[int]) -> None:
        app = await settled(pilot)
        screen = ImageScreen("", True, ask)
        screen._follow = lambda: None  # type: ignore[method-assign]  # there is no such folder
        app.push_screen(screen)
        await reach(pilot, "ImageScreen")
        await pilot.pause(0.5)

    assert snap_compare(server_app(), run_before=open_page, terminal_size=size)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """In the reach of the real engine, which the other tests of screens have not got."""
    if ENGINE:
        monkeypatch.setenv("DOCKER_HOST", ENGINE)
    else:
        monkeypatch.delenv("DOCKER_HOST", raising=False)
    from bert_tui.launchers.engine import connect
    from bert_tui.launchers.image import image_id

    with serving((300_000, 900_000)) as served:
        yield served
        client = connect(seconds=60)
        if image_id(client, served.image()):
            client.remove_image(served.image(), force=True)


@pytest.mark.docker
async def test_fetching_from_the_page(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Typed, fetched, stopped, fetched again, left while it goes on, found again, taken."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    registry.stalled.add(registry.layers[-1])
    app = server_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        app.show_page("environment")
        await pilot.press("f7")
        await reach(pilot, "ImageScreen")
        await pilot.press(*registry.image())

        def next_step() -> str:
            seen = app.screen._seen if isinstance(app.screen, ImageScreen) else None
            return seen.next_step if seen is not None and seen.image == registry.image() else ""

        await until(pilot, lambda: next_step() == "fetch")
        await pilot.press("enter")
        await until(pilot, lambda: next_step() == "wait")
        await pilot.press("f6")
        await reach(pilot, "CancelFetch")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: next_step() == "fetch")
        await pilot.press("enter")
        await until(pilot, lambda: next_step() == "wait")
        await pilot.press("f2")
        await reach(pilot, "EnvironmentPage")
        assert app.session.preset.launch.image == registry.image()
        registry.stalled.clear()
        await settled(pilot)
        await pilot.press("f7")
        await until(pilot, lambda: next_step() == "take")
        await pilot.press("enter")
        await reach(pilot, "EnvironmentPage")
        assert app.session.preset.launch.image == registry.image()
