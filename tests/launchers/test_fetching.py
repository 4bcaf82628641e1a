"""Images fetched by a real engine from a registry that is slow, stalls, breaks off and refuses, and from files."""

from __future__ import annotations

import gzip
import io
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bert_tui.cli import main
from bert_tui.launchers.engine import connect
from bert_tui.launchers.fetching.folder import FetchFolder, FetchStatus
from bert_tui.launchers.fetching.job import (
    FetchView,
    cancel_fetch,
    find_fetches,
    load_order,
    pull_order,
    read_fetch,
    start_fetch,
    wait_for,
)
from bert_tui.launchers.fetching.progress import FetchProgress, LayerTable
from bert_tui.launchers.fetching.pulling import pull
from bert_tui.launchers.fetching.room import ImageDisk, keeps_layers
from bert_tui.launchers.image import image_id, prepare_image
from bert_tui.launchers.protocol import Step
from bert_tui.machine import Machine
from bert_tui.plain.dialogue import Dialogue, Refused
from bert_tui.plain.image import ask_for_image
from bert_tui.wizard.image_words import progress_line, silence
from bert_tui.wizard.topics import explained_topic
from tests.launchers.registry import Registry, serving
from trainer.spec.problem import EnvironmentRefused
from trainer.spec.records import read_record

SIZES = (400_000, 600_000, 2_000_000)
PATIENCE = 20.0


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def registry() -> Iterator[Registry]:
    """Its image is removed from the engine afterwards, and no job is left."""
    with serving(SIZES) as served:
        yield served
        for view in find_fetches():
            cancel_fetch(view.folder)
            wait_for(view.folder, lambda progress: None)
        client = connect(seconds=60)
        if image_id(client, served.image()):
            client.remove_image(served.image(), force=True)


def until(condition: Callable[[], Any]) -> Any:
    """What ``condition`` gives once it gives something."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def ended(folder: FetchFolder) -> FetchView:
    return wait_for(folder, lambda progress: None)


def code_of(refusal: pytest.ExceptionInfo[EnvironmentRefused]) -> str:
    return refusal.value.problems[0].code


@pytest.mark.docker
def test_a_job_that_is_cancelled_and_started_again(registry: Registry) -> None:
    """It tells layer by layer how far it is, stands still where the registry does, is the only one of its image, and
    ends on request; the next one brings the image, and fetches again just what this engine has not kept."""
    top, lower = registry.layers[-1], registry.layers[:-1]
    registry.stalled.add(top)
    image, client = registry.image(), connect(seconds=60)
    folder = start_fetch(pull_order(image))

    def half_way() -> FetchProgress | None:
        progress = read_fetch(folder).progress
        return progress if progress is not None and progress.ready_layers == len(lower) else None

    seen = until(half_way)
    assert [layer.stage for layer in seen.layers] == ["ready", "ready", "downloading"]
    assert seen.sizes_known
    assert seen.total_bytes == sum(len(registry.blobs[digest]) for digest in registry.layers)
    assert sum(SIZES[:-1]) < seen.done_bytes < seen.total_bytes
    assert silence(seen, now=seen.moved + 70).startswith("Nothing has come for 1 min 10 s")
    assert start_fetch(pull_order(image)) == folder, "one job for an image"
    assert [view.state for view in find_fetches()] == ["running"]

    cancel_fetch(folder)
    assert ended(folder).state == "cancelled"
    assert image_id(client, image) is None

    registry.stalled.clear()
    registry.sent.clear()
    time.sleep(0.5)  # the engine lets go of the layers
    start_fetch(pull_order(image))
    view = ended(folder)
    assert (view.state, view.images) == ("finished", (image,)), view.problem
    assert image_id(client, image) is not None
    fetched_again = [digest for digest in lower if registry.sent[digest]]
    assert fetched_again == ([] if keeps_layers(client.info()) else list(lower))


@pytest.mark.docker
def test_a_run_waits_for_the_job_that_pulls_its_image(registry: Registry) -> None:
    """Also where the job is killed half-way: then it pulls the image itself. A killed job has left no word."""
    top = registry.layers[-1]
    registry.stalled.add(top)
    folder = start_fetch(pull_order(registry.image()))
    status = until(lambda: (found := read_record(FetchStatus, folder.status)) and found.progress.done_bytes and found)
    steps: list[Step] = []

    def show(step: Step) -> None:
        if step.total and not any(before.total for before in steps):
            os.kill(status.pid, signal.SIGKILL)
            registry.stalled.clear()
        steps.append(step)

    name, identity = prepare_image(registry.image(), True, show)
    assert (name, identity) == (registry.image(), image_id(connect(), name))
    assert steps[0].total is None
    assert steps[-1].done == steps[-1].total
    assert read_fetch(folder).state == "died"
    before = registry.requests
    prepare_image(registry.image(), True, show)
    assert registry.requests == before, "an image that is there is not pulled again"


@pytest.mark.docker
def test_a_line_that_breaks_is_told_of(registry: Registry) -> None:
    """The engine takes the layer up again by itself, five seconds later; the pull ends when its listener does."""
    registry.broken[registry.layers[-1]] = 1

    def listen(progress: FetchProgress) -> None:
        if any(layer.stage == "retrying" for layer in progress.layers):
            raise InterruptedError(progress_line(progress))

    with pytest.raises(InterruptedError):
        pull(connect(seconds=60), registry.image(), listen)


@pytest.mark.docker
def test_what_a_registry_refuses(registry: Registry) -> None:
    client = connect(seconds=60)

    def refusal_of(image: str) -> str:
        with pytest.raises(EnvironmentRefused) as refusal:
            pull(client, image, lambda progress: None)
        return code_of(refusal)

    assert refusal_of(registry.image("2")) == "docker.image_unknown"
    assert refusal_of("127.0.0.1:1/some/image:1") == "docker.registry"
    for status, code in ((401, "docker.unauthorised"), (404, "docker.image_unknown"), (500, "docker.registry_refused")):
        registry.refusal = status
        assert refusal_of(registry.image()) == code


@pytest.mark.docker
def test_a_disk_without_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked of the registry."""
    with pytest.raises(EnvironmentRefused) as refusal:
        pull(
            connect(),
            "nvcr.io/nvidia/pytorch:26.09-py3",
            lambda progress: None,
            lambda info: ImageDisk("/var/lib/docker", 24 << 30),
        )
    (problem,) = refusal.value.problems
    assert (problem.code, problem.where) == ("docker.no_room", "/var/lib/docker")
    assert problem.params == {"needed": "25.0", "free": "24.0"}


@pytest.mark.docker
def test_loading_from_a_file_that_the_engine_saved(registry: Registry, tmp_path: Path) -> None:
    """Plain and packed; the file is read to its end, and a part of one is refused."""
    image, client = registry.image(), connect(seconds=60)
    pull(client, image, lambda progress: None)
    plain, packed, part = tmp_path / "image.tar", tmp_path / "image.tar.gz", tmp_path / "part.tar"
    plain.write_bytes(b"".join(client.get_image(image)))
    packed.write_bytes(gzip.compress(plain.read_bytes(), 1))
    part.write_bytes(plain.read_bytes()[:1_500_000])
    for file in (plain, packed):
        client.remove_image(image, force=True)
        view = ended(start_fetch(load_order(file)))
        assert (view.state, view.images) == ("finished", (image,)), view.problem
        assert image_id(client, image) is not None
    client.remove_image(image, force=True)
    view = ended(start_fetch(load_order(part)))
    assert view.state == "failed"
    assert view.problem is not None
    assert (view.problem.code, view.problem.where) == ("image.file", str(part))


@pytest.mark.docker
def test_the_verbs(registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, file = registry.image(), tmp_path / "image.tar.gz"
    assert main(["image", "pull", image]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{image} is here"
    assert main(["image", "pull", image]) == 0
    assert capsys.readouterr().out == f"{image} is here already.\n"
    assert main(["image", "status"]) == 0
    assert main(["image", "list"]) == 0
    assert image in capsys.readouterr().out
    assert main(["image", "cancel", image]) == 1
    file.write_text("no archive")
    assert main(["image", "load", str(file)]) == 1
    registry.refusal = 401
    assert main(["image", "pull", registry.image("2")]) == 4
    assert "docker login" in capsys.readouterr().err


@pytest.mark.docker
def test_the_questions_by_lines(registry: Registry) -> None:
    """Fetched on the spot, from a name that is not the proposed one; a tag that is not there refuses the answer."""
    out = io.StringIO()
    machine = Machine(cores=2, memory_total=1 << 34, memory_available=1 << 34)
    dialogue = Dialogue(io.StringIO("2\n"), out, explained_topic)
    assert ask_for_image(dialogue, registry.image(), machine, False) == registry.image()
    assert f"{registry.image()} is here" in out.getvalue()
    dialogue = Dialogue(io.StringIO("2\n"), out, explained_topic)
    with pytest.raises(Refused, match="manifest unknown"):
        ask_for_image(dialogue, registry.image("2"), machine, False)


def test_files_that_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no archive" * 100)
    (tmp_path / "empty.tar").touch()
    for path in (tmp_path / "absent.tar", tmp_path, tmp_path / "text", tmp_path / "empty.tar"):
        with pytest.raises(EnvironmentRefused) as refusal:
            load_order(path)
        assert code_of(refusal) == "image.file"


def test_names_that_are_refused() -> None:
    assert pull_order("debian") == pull_order("debian:latest")
    for name in ("", "two words", "a\nb"):
        with pytest.raises(EnvironmentRefused) as refusal:
            pull_order(name)
        assert code_of(refusal) == "image.name"


def test_time_left_is_told_once_all_sizes_are_known() -> None:
    """And layers that were here before count for nothing."""
    table = LayerTable()
    for event in (
        {"status": "Pulling from some/image", "id": "1"},
        {"status": "Already exists", "progressDetail": {}, "id": "aa"},
        {"status": "Pulling fs layer", "progressDetail": {}, "id": "bb"},
        {"status": "Waiting", "progressDetail": {}, "id": "cc"},
        {"status": "Downloading", "progressDetail": {"current": 3_000_000, "total": 9_000_000}, "id": "bb"},
    ):
        table.note(event)
    seen = table.progress()
    assert (seen.done_bytes, seen.total_bytes, seen.sizes_known, seen.ready_layers) == (3_000_000, 9_000_000, False, 1)
    assert progress_line(seen) == ("Downloading, 3 MB of 9 MB and 1 layers of unknown size, 1 of 3 layers ready")
    table.note({"status": "Downloading", "progressDetail": {"current": 1_000_000, "total": 1_000_000}, "id": "cc"})
    time.sleep(0.6)
    table.note({"status": "Extracting", "progressDetail": {"current": 7, "units": "s"}, "id": "bb"})
    seen = table.progress()
    assert (seen.done_bytes, seen.unpacked_bytes, seen.sizes_known) == (10_000_000, 0, True)
    assert progress_line(seen).startswith("Unpacking: 1 of 3 layers ready, 10 MB of 10 MB")
