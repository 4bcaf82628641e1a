"""The data page with real files: paths told in words, the browser, building without leaving, a sample."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from bert_tui.data.build_job import find_builds, read_build, stop_build
from bert_tui.screens import browser
from bert_tui.widgets.choice_list import ChoiceList
from bert_tui.widgets.field import Field
from bert_tui.wizard.look import look_at_field
from tests.screens.ground import laptop_app, reach, settled, until
from trainer.spec.indexed_dataset import IndexedDatasetWriter

SIZE = (80, 24)
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "##s"]


@pytest.fixture
def corpus(clean_home: Path) -> Path:
    """A folder in the home with a dataset, its vocabulary, and text as JSON lines."""
    folder = clean_home / "corpus"
    folder.mkdir()
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in PIECES))
    with IndexedDatasetWriter(folder / "wiki", len(PIECES)) as writer:
        for _ in range(300):
            writer.add_document([[5, 6, 7], [5, 6, 8, 7]])
    lines = (json.dumps({"text": f"The cat number {number} sat. It slept on mat {number}."}) for number in range(500))
    (folder / "cats.jsonl").write_text("\n".join(lines))
    return folder


async def data_page(pilot: Pilot[int], *keys: str) -> None:
    """Turns to the page, to the dataset's field on request."""
    app = await settled(pilot)
    app.show_page("data")
    await reach(pilot, "DataPage")
    for key in keys:  # one by one: which fields there are follows from the keys before
        await pilot.press(key)


def field(pilot: Pilot[int], name: str) -> Field:
    return pilot.app.screen.query_one(f"#field-{name.replace('.', '-')}", Field)


def fill(pilot: Pilot[int], name: str, text: str) -> None:
    """As if it were pasted."""
    field(pilot, name).input.value = text


def shown(pilot: Pilot[int], selector: str) -> str:
    return str(pilot.app.screen.query_one(selector, Static).render())


async def test_what_lies_there_is_told_at_once(corpus: Path) -> None:
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await data_page(pilot, "down", "tab", *"~/corpus")
        await until(pilot, lambda: "Folder with 1 dataset: wiki" in field(pilot, "data.data_path").problem)
        await pilot.press(*"/wiki")
        await until(pilot, lambda: "which vocabulary?" in field(pilot, "data.data_path").seen)
        fill(pilot, "data.vocab_file", "~/corpus/vocab.txt")
        await until(pilot, lambda: "9 pieces" in field(pilot, "data.vocab_file").seen)
        await until(pilot, lambda: field(pilot, "data.data_path").seen.endswith("fits the vocabulary"))
        await pilot.press("f3")
        await reach(pilot, "ModelPage")


async def test_a_blend_is_kept_as_megatron_writes_it(corpus: Path) -> None:
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await data_page(pilot, "down")
        fill(pilot, "data.data_path", "0.5 ~/corpus/wiki 1.5 ~/corpus/wiki")
        await until(pilot, lambda: field(pilot, "data.data_path").seen.startswith("2 datasets, 25% wiki, 75% wiki"))
        assert app.session.preset.data.data_path == ("0.5", "~/corpus/wiki", "1.5", "~/corpus/wiki")
        await pilot.press("f2", "f3")
        await reach(pilot, "DataPage")
        assert field(pilot, "data.data_path").value == "0.5 ~/corpus/wiki 1.5 ~/corpus/wiki"


async def test_a_dataset_is_found_by_browsing(corpus: Path) -> None:
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await data_page(pilot, "down", "tab", "f4")
        await reach(pilot, "Browser")
        listed = app.screen.query_one(ChoiceList)
        await until(pilot, lambda: listed.value == "corpus/")
        await pilot.press("enter")
        await until(pilot, lambda: listed.value == "wiki")
        assert next(line for line in listed.lines if line.value == "vocab.txt").disabled
        await pilot.press("backspace")
        await until(pilot, lambda: listed.value == "corpus/")
        await pilot.press("enter")
        await until(pilot, lambda: listed.value == "wiki")
        await pilot.press("enter")
        await reach(pilot, "DataPage")
        assert field(pilot, "data.data_path").value == "~/corpus/wiki"
        fill(pilot, "data.vocab_file", "~/corpus")
        await pilot.press("tab", "f4")
        await until(pilot, lambda: bool(app.screen.query_one(ChoiceList).lines))
        await pilot.press("v", "enter")
        await reach(pilot, "DataPage")
        assert field(pilot, "data.vocab_file").value == "~/corpus/vocab.txt"


async def test_a_dead_disk_holds_up_no_key(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(folder: str) -> None:
        released.wait(30)
        raise OSError("gone")

    monkeypatch.setattr("os.scandir", hang)
    monkeypatch.setattr(browser, "READ_SECONDS", 0.5)
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await data_page(pilot, "down", "tab")
        fill(pilot, "data.data_path", "~/corpus")
        await pilot.press("f4")
        await reach(pilot, "Browser")
        await until(pilot, lambda: "does not answer" in shown(pilot, "#dialog-notice"))
        await pilot.press("escape")
        await reach(pilot, "DataPage")
        await until(pilot, lambda: "does not answer" in field(pilot, "data.data_path").problem)
        released.set()


async def test_a_sample_is_shown_as_the_model_sees_it(corpus: Path) -> None:
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await data_page(pilot, "down", "f6")
        assert "first" in shown(pilot, "#notice")
        fill(pilot, "data.data_path", "~/corpus/wiki")
        fill(pilot, "data.vocab_file", "~/corpus/vocab.txt")
        await pilot.pause()
        await pilot.press("f6")
        await reach(pilot, "SampleScreen")
        await until(pilot, lambda: "[CLS]" in shown(pilot, "#sample-lines"))
        assert "[MASK]" in shown(pilot, "#sample-lines")
        await pilot.press("f1")
        await reach(pilot, "HelpScreen")
        await pilot.press("escape", "escape")
        await reach(pilot, "DataPage")


async def test_a_dataset_is_built_without_leaving_and_found_again(corpus: Path) -> None:
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await data_page(pilot, "down")
        fill(pilot, "data.data_path", "~/corpus/cats.jsonl")
        await until(pilot, lambda: "F7 builds a dataset" in field(pilot, "data.data_path").problem)
        await pilot.press("f7")
        await reach(pilot, "BuildPage")
        await until(pilot, lambda: "the key text" in field(pilot, "build.text").seen)
        assert "The cat number 0 sat." in shown(pilot, "#build-words")
        assert field(pilot, "build.output").value == "~/bert-tui/data/cats"
        await pilot.press("tab", "tab", "tab", "tab", "ctrl+u", *"600", "f3")
        await reach(pilot, "BuildingScreen")
        await pilot.press("ctrl+q")

    again = laptop_app()
    async with again.run_test(size=SIZE) as pilot:
        await data_page(pilot)
        source = again.screen.query_one("#source", ChoiceList)
        await until(pilot, lambda: "cats is ready" in str(source.lines[2].text), seconds=60)
        await pilot.press("end", "enter")
        await reach(pilot, "BuildingScreen")
        await until(pilot, lambda: "The dataset is ready" in shown(pilot, "#build-headline"))
        assert "500" in shown(pilot, "#build-facts")
        await pilot.press("enter")
        await reach(pilot, "DataPage")
        await until(pilot, lambda: "500 documents" in field(pilot, "data.data_path").seen)
        data = again.session.preset.data
        assert (data.source, Path(data.data_path[0]).name) == ("files", "cats")
        assert look_at_field("data.vocab_file", data.vocab_file or "", data).seen.startswith("Vocabulary, ")


async def test_a_build_that_fails_says_why_and_what_to_do(corpus: Path) -> None:
    (corpus / "cats.jsonl").write_bytes(b'{"text": "fine"}\n{"text": "\xff\xfe"}\n')
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await data_page(pilot, "f7")
        fill(pilot, "build.text", "~/corpus/cats.jsonl")
        await until(pilot, lambda: bool(field(pilot, "build.text").seen))
        await pilot.press("f3")
        await reach(pilot, "BuildingScreen")
        await until(pilot, lambda: "Failed: " in shown(pilot, "#build-headline"), seconds=60)
        view = read_build(find_builds()[0])
        assert view.problem is not None
        assert view.problem.code == "build.not_utf8"
        assert shown(pilot, "#build-advice")
        await pilot.press("f7")
        await reach(pilot, "BuildPage")


async def test_a_build_is_stopped_by_a_key_and_goes_on(corpus: Path) -> None:
    line = json.dumps({"text": "The cat sat on a mat and slept. " * 40}) + "\n"
    (corpus / "cats.jsonl").write_text(line * 20_000)
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await data_page(pilot, "f7")
        fill(pilot, "build.text", "~/corpus/cats.jsonl")
        await until(pilot, lambda: bool(field(pilot, "build.text").seen))
        await pilot.press("f3")
        await reach(pilot, "BuildingScreen")
        await until(pilot, lambda: app.screen.check_action("stop", ()) is True)
        await pilot.press("f6")
        await reach(pilot, "StopBuild")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: "Stopped" in shown(pilot, "#build-headline"), seconds=60)
        await pilot.press("f3")
        await until(pilot, lambda: read_build(find_builds()[0]).state == "running")
        await pilot.press("f2")
        await reach(pilot, "DataPage")
        stop_build(find_builds()[0])
        await until(pilot, lambda: read_build(find_builds()[0]).state != "running", seconds=30)


async def test_what_is_missing_on_the_build_page_is_told_by_its_field(corpus: Path) -> None:
    (corpus / "cats.bin").touch()
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await data_page(pilot, "f7", "f3")
        assert "Name the text" in shown(pilot, "#notice")
        fill(pilot, "build.text", "~/corpus/cats.jsonl")
        await pilot.pause()
        fill(pilot, "build.output", "~/corpus/cats")
        await until(pilot, lambda: "cats.bin is there already" in field(pilot, "build.output").problem)
        await pilot.press("f3")
        assert app.focused is field(pilot, "build.output").input


async def test_f1_explains_every_field_of_the_build_page() -> None:
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await data_page(pilot, "f7")
        await reach(pilot, "BuildPage")
        for _ in range(len(app.screen.focus_chain) + 1):
            await pilot.press("f1")
            assert type(app.screen).__name__ == "HelpScreen"
            await pilot.press("escape")
            if getattr(app.focused, "field", "") == "build.pieces":
                await pilot.press("shift+tab", "right")
            await pilot.press("tab")
