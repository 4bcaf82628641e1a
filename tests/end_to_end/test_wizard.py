"""The real program on a real terminal, from the first page to "finished"."""

import signal
import uuid
from collections.abc import Iterator

import docker
import pytest

from bert_tui.launchers.cpu_image import base_image
from tests.end_to_end.operator import Operator
from tests.terminal import Terminal
from trainer.spec.resolved import read_resolved


def walk_to_review(terminal: Terminal, *, launcher: str, steps: int, tensor: int = 2) -> None:
    """Through every page; only the launcher and the number of steps are typed."""
    terminal.wait_for("Train a BERT model", 15)
    terminal.press("enter")
    terminal.wait_for("Is this machine fit?", 10)
    terminal.wait_for(lambda screen: "Looking" not in screen, 30)
    choose_launcher(terminal, launcher)
    terminal.press("f3")
    terminal.wait_for("Which text", 10)
    terminal.press("f3")
    terminal.wait_for("How large is the model?", 10)
    terminal.wait_for("▸ bert-tiny", 10)
    terminal.press("tab", str(steps))
    terminal.press("f3")
    terminal.wait_for("How is the model split?", 10)
    terminal.press("f3")
    terminal.wait_for("This is what will happen", 10)
    terminal.wait_for(f"{steps:,} steps", 10)
    terminal.wait_for(f"{tensor} processes on the CPU share every layer", 10)


def choose_launcher(terminal: Terminal, launcher: str) -> None:
    wanted = {"docker": "▸ In a Docker container", "local": "▸ Without a container"}[launcher]
    if wanted not in terminal.text:
        terminal.press("up" if launcher == "docker" else "down")
    terminal.wait_for(wanted, 5)


def test_every_page_to_finished_without_a_container(operator: Operator) -> None:
    with operator.terminal() as terminal:
        walk_to_review(terminal, launcher="local", steps=100)
        terminal.press("f3")
        terminal.wait_for("Training: step", 60)
        terminal.wait_for("Finished: all 100 steps are done", 60)
        assert "word frequency" in terminal.text
        terminal.press("ctrl+q")
        assert terminal.wait_exit(5) == 0
    preset, resolved = read_resolved(operator.latest().preset)
    assert (preset.train.steps, preset.parallel.tensor, resolved.device) == (100, 2, "cpu")


def test_the_line_drops_in_the_middle_of_a_run(operator: Operator) -> None:
    with operator.terminal() as terminal:
        walk_to_review(terminal, launcher="local", steps=3000)
        terminal.press("f3")
        terminal.wait_for("Training: step", 60)
        terminal.hang_up()
        assert terminal.wait_exit(5) == 128 + signal.SIGHUP
    before = operator.wait_for_run(lambda run: run["state"] == "running", 10)
    with operator.terminal() as terminal:
        terminal.wait_for("Watch the training", 15)
        terminal.press("enter")
        terminal.wait_for("Training: step", 10)
        terminal.press("ctrl+q")
        assert terminal.wait_exit(5) == 5
    after = operator.wait_for_run(lambda run: run["step"] > before["step"], 60)
    assert after["attempt"] == before["attempt"] == 1


def test_the_terminal_is_killed_on_a_page(operator: Operator) -> None:
    with operator.terminal() as terminal:
        walk_to_review(terminal, launcher="local", steps=77)
        terminal.process.kill()
        terminal.process.wait(5)
    with operator.terminal() as terminal:
        terminal.wait_for("where you left", 15)
        terminal.press("enter")
        terminal.wait_for("77 steps", 20)
    assert operator.runs() == []


@pytest.mark.docker
def test_every_page_to_finished_in_a_container(operator: Operator) -> None:
    with operator.terminal() as terminal:
        walk_to_review(terminal, launcher="docker", steps=100)
        terminal.wait_for("docker run", 20)
        terminal.press("f3")
        terminal.wait_for("Training: step", 240)
        terminal.wait_for("Finished: all 100 steps are done", 60)
        terminal.press("ctrl+q")
        assert terminal.wait_exit(5) == 0


@pytest.fixture
def new_base_image() -> Iterator[str]:
    """The base image under another id, so that the image built on it is a new one; both are removed."""
    engine, name = docker.from_env(), f"bert-tui-test-base:{uuid.uuid4().hex[:8]}"
    container = engine.containers.create(base_image(), "true", labels={"test": name})
    repository, _, tag = name.partition(":")
    container.commit(repository, tag)
    container.remove()
    before = {image.id for image in engine.images.list()}
    yield name
    for image in engine.images.list():
        if image.id not in before:
            engine.images.remove(image.id, force=True)
    engine.images.remove(name, force=True)


@pytest.mark.docker
def test_the_terminal_is_killed_while_an_image_is_built(operator: Operator, new_base_image: str) -> None:
    operator.variables["BERT_TUI_BASE_IMAGE"] = new_base_image
    with operator.terminal() as terminal:
        walk_to_review(terminal, launcher="docker", steps=100)
        terminal.press("f3")
        terminal.wait_for(lambda screen: "image" in screen.lower(), 60)
        terminal.process.kill()
        terminal.process.wait(5)
    going_on = operator.runs()[0]
    assert going_on["state"] == "preparing"
    with operator.terminal() as terminal:
        terminal.wait_for("Watch the training", 15)
        terminal.press("enter")
        terminal.wait_for("Finished: all 100 steps are done", 200)
        terminal.press("ctrl+q")
        assert terminal.wait_exit(5) == 0
    assert operator.runs()[0]["attempt"] == 1
