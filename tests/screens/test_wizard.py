"""The wizard, driven by keys."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from textual.widgets import Footer, Input, Static

from bert_tui import presets
from bert_tui.checks.check import Check
from bert_tui.checks.runner import Question, Subject
from bert_tui.runs.control import kill_run
from bert_tui.runs.registry import link_run
from bert_tui.screens.welcome import FoundRuns, OfferedRun
from bert_tui.widgets.choice_list import ChoiceList
from bert_tui.widgets.field import Field
from bert_tui.widgets.tick_list import TickList
from bert_tui.wizard.answers import answers_file, load
from tests.screens.ground import (
    LAPTOP,
    LAPTOP_CHECKS,
    SERVER,
    SERVER_CHECKS,
    app_on,
    asks,
    check_of,
    laptop_app,
    reach,
    real_app,
    server_app,
    settled,
    until,
)
from tests.staged_run import StagedRun, training_run
from trainer.spec.preset import replace
from trainer.spec.preset_file import as_tables, read_preset
from trainer.spec.records import Request, to_json
from trainer.spec.run_directory import write_once

PAGES = ["EnvironmentPage", "DataPage", "ModelPage", "TensorParallelPage", "ReviewPage"]
SIZE = (80, 24)


async def test_enter_on_every_page_leads_to_the_review_of_a_tiny_model(clean_home: Path) -> None:
    app = real_app()
    async with app.run_test(size=SIZE) as pilot:
        for page in PAGES:
            await pilot.press("enter")
            await reach(pilot, page, seconds=20)
        await pilot.press("f7", "f1")
        await reach(pilot, "HelpScreen")
        await pilot.press("escape", "ctrl+u", *str(clean_home / "saved"), "enter")
        await reach(pilot, "ReviewPage")
        cores = app.session.known_machine.cores
        notice = str(app.screen.query_one("#notice", Static).render())
    shipped = read_preset(presets.find_preset("bert-tiny"), presets.find_preset)
    saved = read_preset(clean_home / "saved.toml", presets.find_preset)
    assert saved == replace(shipped, parallel__tensor=min(2, cores))
    assert saved == app.session.preset
    assert f"bert-tui run {clean_home / 'saved.toml'}" in notice


async def test_going_back_and_forward_keeps_what_was_answered() -> None:
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.show_page("model")
        await reach(pilot, "ModelPage")
        await pilot.press("down", "tab", *"500")
        await pilot.press("f2")
        await reach(pilot, "DataPage")
        await pilot.press("f3")
        await reach(pilot, "ModelPage")
        assert app.screen.query_one("#sizes", ChoiceList).value == "bert-base"
        assert app.session.preset.train.steps == 500
        assert app.session.preset.train.warmup == round(9900 * 500 / 1_000_000)


async def test_a_number_typed_faster_than_it_is_answered_is_judged_whole() -> None:
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.show_page("model")
        await reach(pilot, "ModelPage")
        length = app.screen.query_one("#knob-model-sequence_length", Input)
        for typed in ("5", "512"):
            length.value = typed
        await pilot.pause()
        assert app.session.preset.model.sequence_length == 512


async def test_a_killed_terminal_costs_no_answer() -> None:
    first = laptop_app()
    async with first.run_test(size=SIZE) as pilot:
        await settled(pilot)
        first.show_page("tensor")
        await reach(pilot, "TensorParallelPage")
        await pilot.press("up")
        await pilot.pause()
        kept = load(answers_file()).answers  # nothing is written when the application ends: this is all that counts
    assert kept is not None
    assert (kept.page, kept.preset.parallel.tensor) == ("tensor", 1)
    assert answers_file().stat().st_mode & 0o777 == 0o600

    second = laptop_app()
    async with second.run_test(size=SIZE) as pilot:
        await settled(pilot)
        assert second.screen.query_one("#ways", ChoiceList).value == "continue"
        await pilot.press("enter")
        await reach(pilot, "TensorParallelPage")
        assert second.session.preset == kept.preset


async def test_going_on_at_once_waits_for_the_machine_and_forgets_no_page() -> None:
    first = laptop_app()
    async with first.run_test(size=SIZE) as pilot:
        await settled(pilot)
        first.show_page("review")
        await reach(pilot, "ReviewPage")
    second = laptop_app()
    async with second.run_test(size=SIZE) as pilot:
        await pilot.press("enter")
        await reach(pilot, "ReviewPage")


async def test_starting_over_forgets_the_answers() -> None:
    first = laptop_app()
    async with first.run_test(size=SIZE) as pilot:
        await settled(pilot)
        first.show_page("model")
        await reach(pilot, "ModelPage")
        await pilot.press("down", "f2")
    second = laptop_app()
    async with second.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("down", "enter")
        await reach(pilot, "EnvironmentPage")
        assert second.session.answers.size == "bert-tiny"


async def test_damaged_answers_are_set_aside_and_told() -> None:
    answers_file().write_text("schema = 1\n[wizard]\npage = 7\n")
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        assert "answers.toml.damaged" in str(app.screen.query_one("#notice", Static).render())
        assert app.screen.query_one("#ways", ChoiceList).value == "new"


async def test_next_goes_to_the_first_bad_path_and_says_what_to_do(tmp_path: Path) -> None:
    app = laptop_app()
    (tmp_path / "file").touch()
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.show_page("data")
        await reach(pilot, "DataPage")
        await pilot.press("tab", "ctrl+u", *str(tmp_path / "file"), "f3")
        await pilot.pause(1)
        field = app.screen.query_one("#field-checkpoint-path", Field)
        assert type(app.screen).__name__ == "DataPage"
        assert app.focused is field.input
        assert "file" in field.problem
        assert "Choose" in field.problem
        await pilot.press("ctrl+u", *str(tmp_path / "new"), "enter")
        await reach(pilot, "ModelPage")


async def test_own_files_are_asked_for_and_checked() -> None:
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.show_page("data")
        await reach(pilot, "DataPage")
        await pilot.press("down", "enter")
        await pilot.pause(1)
        dataset = app.screen.query_one("#field-data-data_path", Field)
        assert app.session.preset.data.source == "files"
        assert app.session.preset.data.split == "949,50,1"
        assert app.focused is dataset.input
        assert dataset.problem == "Type a path."


async def test_variables_of_the_original_fill_the_paths_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CHECKPOINT_PATH", str(tmp_path))
    monkeypatch.setenv("DATA_PATH", "/data/wiki_text_sentence")
    monkeypatch.setenv("VOCAB_FILE", "/data/vocab.txt")
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.show_page("data")
        await reach(pilot, "DataPage")
        preset = app.session.preset
        assert preset.checkpoint.path == str(tmp_path)
        assert (preset.data.source, preset.data.data_path) == ("files", ("/data/wiki_text_sentence",))
        lead = str(app.screen.query_one("#lead", Static).render())
        assert all(name in lead for name in ("CHECKPOINT_PATH", "DATA_PATH", "VOCAB_FILE"))


async def test_impossible_tensor_sizes_are_shown_with_the_reason_and_passed_over() -> None:
    app = server_app()
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.show_page("tensor")
        await reach(pilot, "TensorParallelPage")
        table = app.screen.query_one("#tensors", ChoiceList)
        shown = [
            (table.get_option_at_index(row).disabled, str(table.get_option_at_index(row).prompt)) for row in range(8)
        ]
        assert [row + 1 for row, (disabled, _) in enumerate(shown) if not disabled] == [1, 2, 4, 8]
        assert "does not divide the 16 attention heads" in shown[2][1]
        await pilot.press("down", "down")
        assert app.session.preset.parallel.tensor == 4


async def test_a_learning_rate_that_is_none_is_told_beside_the_field() -> None:
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.show_page("model")
        await reach(pilot, "ModelPage")
        await pilot.press("tab", "tab", "tab", "ctrl+u", *"-1", "enter")
        assert type(app.screen).__name__ == "ModelPage"
        assert app.focused is not None
        assert app.focused.id == "knob-train-learning_rate"
        assert "Choose a value that is above 0" in str(app.screen.query_one("#effect", Static).render())
        assert app.session.preset.train.learning_rate == 1e-3


async def test_an_existing_preset_is_replaced_only_when_asked_twice(clean_home: Path) -> None:
    target = clean_home / "mine.toml"
    target.write_text("precious")
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.show_page("review")
        await reach(pilot, "ReviewPage")
        await pilot.press("f7", "ctrl+u", *str(target), "enter")
        assert target.read_text() == "precious"
        await pilot.press("enter")
        await reach(pilot, "ReviewPage")
    assert read_preset(target, presets.find_preset) == app.session.preset


async def test_what_is_shown_is_copied_and_lies_in_a_file(tmp_path: Path) -> None:
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.show_page("review")
        await reach(pilot, "ReviewPage")
        await pilot.press("f6")
        assert app.clipboard == "run bert-tiny"
        assert str(tmp_path / "state" / "bert-tui" / "command.sh") in str(
            app.screen.query_one("#notice", Static).render()
        )
        await pilot.press("f5", "f5", "f6")
        assert read_preset(tmp_path / "state" / "bert-tui" / "preset.toml", presets.find_preset) == app.session.preset
        await pilot.press("f5", "f6")
        assert app.clipboard == "Nothing differs from bert-tiny."
        assert (tmp_path / "state" / "bert-tui" / "changes.txt").read_text() == "Nothing differs from bert-tiny.\n"
    assert (tmp_path / "state" / "bert-tui" / "command.sh").read_text() == "run bert-tiny\n"


async def test_f1_explains_whatever_has_the_cursor_on_every_page() -> None:
    app = server_app()
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        for page in ("welcome", "environment", "data", "model", "tensor", "review"):
            app.show_page(page)
            await until(pilot, lambda: bool(app.screen.query_one(Footer).children) and app.screen.focused is not None)
            await pilot.pause(0.2)
            for _ in range(len(app.screen.focus_chain)):
                await pilot.press("f1")
                assert type(app.screen).__name__ == "HelpScreen"
                await pilot.press("escape", "tab")


async def test_gpus_are_chosen_by_space() -> None:
    app = server_app()
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.show_page("environment")
        await reach(pilot, "EnvironmentPage")
        assert app.session.preset.launch.gpus == "all"
        await pilot.press("tab", "enter")
        await reach(pilot, "GpuDialog")
        assert len(app.screen.query_one(TickList).ticked) == 8
        await pilot.press(*(["down", "space"] * 4), "enter")
        await reach(pilot, "EnvironmentPage")
        assert len(app.session.preset.launch.gpus) == 4


async def test_a_failure_that_the_run_needs_repaired_holds_it_back() -> None:
    full = Check("system.disk", "Disk", "fail", "0 GiB free", "Nothing can be saved.", "df -h /data")
    app = app_on(SERVER, (*SERVER_CHECKS, *asks(full)))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.show_page("environment")
        await reach(pilot, "EnvironmentPage")
        await pilot.press("enter")
        assert type(app.screen).__name__ == "EnvironmentPage"
        assert str(app.screen.query_one("#notice", Static).render()) == "x Disk: df -h /data"


async def test_another_image_is_looked_at_before_going_on() -> None:
    asked: list[str] = []

    def image(subject: Subject) -> Check:
        asked.append(subject.preset.launch.image)
        return Check("docker.image", "Container image", "pass", "there")

    app = app_on(SERVER, (*SERVER_CHECKS, Question("docker.image", "Container image", image)))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.show_page("environment")
        await reach(pilot, "EnvironmentPage")
        await pilot.press("tab", "tab", *"mine:1", "enter")
        await reach(pilot, "DataPage")
        assert asked == ["auto", "mine:1"]


async def test_a_last_look_holds_back_what_cannot_start() -> None:
    gone = Check("data.dataset", "Dataset", "fail", "The file has gone.", repair="Bring it back.")
    app = app_on(LAPTOP, LAPTOP_CHECKS, last_questions=asks(gone))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.show_page("review")
        await reach(pilot, "ReviewPage")
        await pilot.press("enter")
        await until(pilot, lambda: str(app.screen.query_one("#notice", Static).render()).startswith("x Dataset"))
        assert type(app.screen).__name__ == "ReviewPage"
        assert str(app.screen.query_one("#notice", Static).render()) == "x Dataset: The file has gone. Bring it back."


async def test_without_docker_and_torch_the_page_says_what_to_repair() -> None:
    lacking = [check_of(question) for question in LAPTOP_CHECKS if question.name != "local.torch"]
    absent = Check("local.torch", "PyTorch", "fail", "not installed", "Nothing can train.", "pip install torch")
    app = app_on(LAPTOP, asks(*lacking, absent))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.show_page("environment")
        await reach(pilot, "EnvironmentPage")
        await pilot.press("f3")
        assert type(app.screen).__name__ == "EnvironmentPage"
        assert "Repair" in str(app.screen.query_one("#notice", Static).render())


@pytest.mark.parametrize("page", ["welcome", "environment", "data", "model", "tensor", "review"])
async def test_the_footer_is_whole_at_80_columns(page: str) -> None:
    app = server_app()
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.show_page(page)  # type: ignore[arg-type]
        await until(pilot, lambda: any(key.region.width for key in app.screen.query_one(Footer).children))
        keys = [key for key in app.screen.query_one(Footer).children if key.display]
        assert 0 < len(keys) <= 7
        assert keys[-1].region.right <= 80


@pytest.mark.parametrize("page", ["welcome", "environment", "data", "model", "tensor", "review"])
async def test_a_window_of_60_by_18_asks_to_be_enlarged(page: str) -> None:
    app = server_app()
    async with app.run_test(size=(60, 18)) as pilot:
        await settled(pilot)
        app.show_page(page)  # type: ignore[arg-type]
        await until(pilot, lambda: app.screen.query_one("#small").display)
        small = app.screen.query_one("#small", Static)
        assert small.display
        assert "60 x 18" in str(small.render())
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert not small.display


async def test_leaving_asks_only_where_answers_would_be_lost() -> None:
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        folder = answers_file().parent
        away = folder.rename(folder.with_name("away"))
        folder.touch()  # no answers can be kept in a file
        app.show_page("model")
        await reach(pilot, "ModelPage")
        await until(pilot, lambda: bool(app.session.unsaved))
        await pilot.press("ctrl+q")
        await reach(pilot, "Leave")
        await pilot.press("escape")
        folder.unlink()
        away.rename(folder)
        app.show_page("tensor")
        await until(pilot, lambda: not app.session.unsaved)
        await pilot.press("ctrl+c")
    assert app.return_value == 0


async def test_a_check_that_hangs_holds_up_no_key() -> None:
    release = threading.Event()

    def hang(subject: Subject) -> Check:
        release.wait(20)
        return Check("docker.slow", "Slow", "pass", "at last")

    app = app_on(LAPTOP, (*LAPTOP_CHECKS, Question("docker.slow", "Slow", hang, 15)))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("enter")
        await reach(pilot, "EnvironmentPage")
        await pilot.press("enter")
        await pilot.pause(0.3)
        assert type(app.screen).__name__ == "EnvironmentPage"
        assert "as soon as" in str(app.screen.query_one("#notice", Static).render())
        assert "6 of 7" in str(app.screen.query_one("#lead", Static).render())
        await pilot.press("f2")
        await reach(pilot, "WelcomePage")
        await pilot.press("enter")
        await reach(pilot, "EnvironmentPage")
        await pilot.press("enter")
        release.set()
        await reach(pilot, "DataPage")


async def test_a_run_that_cannot_be_created_is_told_and_f2_leads_back(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.session.change(replace(app.session.preset, checkpoint__path=str(tmp_path / "file")))
        app.show_page("review")
        await reach(pilot, "ReviewPage")
        await pilot.press("enter")
        await reach(pilot, "LaunchingScreen")
        await pilot.pause(1)
        assert str(app.screen.query_one("#title", Static).render()) == "Nothing was started"
        assert str(tmp_path / "file") in str(app.screen.query_one("#refusal", Static).render())
        await pilot.press("f2")
        await reach(pilot, "ReviewPage")


async def test_a_run_that_is_alive_is_offered_first_and_enter_watches_it(tmp_path: Path) -> None:
    run = StagedRun(tmp_path / "runs").directory
    app = laptop_app(find_runs=lambda: FoundRuns((OfferedRun(run, "running"),), None, 1))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await until(pilot, lambda: app.screen.query_one("#ways", ChoiceList).value == f"run:{run.id}")
        await pilot.press("enter")
        await reach(pilot, "MonitorScreen")


async def test_a_stopped_run_is_offered_below_and_goes_on_from_there(tmp_path: Path) -> None:
    staged = training_run(tmp_path / "runs")
    staged.end("stopped")
    tables = as_tables(read_preset(staged.directory.request, presets.find_preset))
    write_once(staged.attempt.request, to_json(Request("bert-tiny", tables, "cpu", (), 2, 1)))
    link_run(staged.directory)
    app = laptop_app(find_runs=None)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await until(pilot, lambda: app.runs.resumable is not None)
        assert app.runs.resumable == OfferedRun(staged.directory, "stopped, step 400")
        assert app.screen.query_one("#ways", ChoiceList).value == "new"  # Enter alone resumes nothing
        await pilot.press("down", "enter")
        await reach(pilot, "MonitorScreen")
        kill_run(staged.directory)
    assert [attempt.number for attempt in staged.directory.attempts()] == [1, 2]


async def test_a_run_that_cannot_go_on_is_told_where_it_was_offered(tmp_path: Path) -> None:
    staged = training_run(tmp_path / "runs")  # it has no request
    staged.end("failed")
    app = laptop_app(find_runs=lambda: FoundRuns((), OfferedRun(staged.directory, "failed, step 400"), 1))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await until(pilot, lambda: app.runs.resumable is not None)
        await pilot.press("down", "enter")
        notice = app.screen.query_one("#notice", Static)
        await until(pilot, lambda: "cannot be looked at: no request" in str(notice.render()))


async def test_two_wizards_at_once_keep_whole_answers() -> None:
    first, second = laptop_app(), laptop_app()
    async with first.run_test(size=SIZE) as pilot, second.run_test(size=SIZE) as other:
        await settled(pilot)
        await settled(other)
        for steps in range(1, 20):
            for app in (first, second):
                app.session.change(replace(app.session.preset, train__steps=steps))
                kept = load(answers_file()).answers
                assert kept is not None
                assert kept.preset.train.steps == steps


async def test_the_right_arrow_completes_a_path(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.show_page("data")
        await reach(pilot, "DataPage")
        await pilot.press("tab", "ctrl+u", *str(tmp_path / "chec"))
        await pilot.pause(0.5)
        await pilot.press("right")
        assert app.screen.query_one("#field-checkpoint-path", Field).value == f"{tmp_path}/checkpoints/"
