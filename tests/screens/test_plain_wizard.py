"""The wizard by lines: the same questions as the screens, the same answers, the same preset to the byte."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from bert_tui.exit_status import ExitStatus
from bert_tui.machine import Machine
from bert_tui.plain.dialogue import Dialogue, Left, Refused
from bert_tui.plain.wizard import PlainWizard, ask_by_lines
from bert_tui.plan import make_plan
from bert_tui.presets import find_preset
from bert_tui.runs.job import describe_plan
from bert_tui.runs.replay import name_of
from bert_tui.wizard.answers import answers_file
from bert_tui.wizard.session import Session
from bert_tui.wizard.topics import explained_topic
from tests.screens.ground import LAPTOP, LAPTOP_CHECKS, SERVER, SERVER_CHECKS, app_on, reach, settled
from trainer.spec.preset_file import read_preset

SIZE = (80, 24)
LEAVE = "3"


def answer(lines: list[str], machine: Machine = LAPTOP) -> str:
    """What the wizard says to these lines; it is left at their end."""
    out = io.StringIO()
    dialogue = Dialogue(io.StringIO("".join(f"{line}\n" for line in lines)), out, explained_topic)
    questions = LAPTOP_CHECKS if machine is LAPTOP else SERVER_CHECKS
    wizard = PlainWizard(dialogue, Session(answers_file()), machine=machine, questions=questions, last_questions=())
    with pytest.raises(Left):
        wizard.run()
    return out.getvalue()


async def test_lines_and_keys_give_the_same_preset(clean_home: Path) -> None:
    by_lines, by_keys = clean_home / "lines.toml", clean_home / "keys.toml"
    told = answer([
        "",  # without a container
        "1", str(clean_home / "runs"), "",  # sample text, checkpoints, TensorBoard
        "1", "500", "8", "5e-4", "",  # bert-tiny; steps, rows, learning rate, tokens
        "2", "3", "192", "", "", "", "", "", "",  # more: layers, width; heads follow it
        "1", "2", "2",  # tensor-parallel size; more: computed twice (attention)
        "2", str(by_lines), LEAVE,
    ])  # fmt: skip
    assert "8 rows" in told
    answers_file().unlink()
    app = app_on(LAPTOP, LAPTOP_CHECKS)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.press("enter")
        await reach(pilot, "EnvironmentPage")
        await pilot.press("enter")
        await reach(pilot, "DataPage")
        await pilot.press("tab", "ctrl+u", *str(clean_home / "runs"), "enter")
        await reach(pilot, "ModelPage")
        await pilot.press("tab", "ctrl+u", *"500", "tab", "ctrl+u", *"8", "tab", "ctrl+u", *"5e-4")
        await pilot.press("f6", "ctrl+u", "3", "tab", "ctrl+u", *"192", "enter")
        await reach(pilot, "TensorParallelPage")
        await pilot.press("tab", "right", "enter")
        await reach(pilot, "ReviewPage")
        await pilot.press("f7", "ctrl+u", *str(by_keys), "enter")
        await reach(pilot, "ReviewPage")
        answers = app.session.answers
    assert by_lines.read_bytes() == by_keys.read_bytes()
    on_screen = make_plan(answers.preset, answers.name, LAPTOP)
    saved = read_preset(by_keys, find_preset)
    assert answers.preset == saved
    assert json.dumps(on_screen.as_json()) == json.dumps(make_plan(saved, name_of(by_keys), LAPTOP).as_json())
    assert describe_plan(on_screen) == describe_plan(make_plan(saved, name_of(by_keys), LAPTOP))
    assert "heads = 3" in by_keys.read_text()
    assert 'recompute = "selective"' in by_keys.read_text()


def test_gpus_are_chosen_by_number_and_asking_goes_on_where_it_was_left(clean_home: Path) -> None:
    told = answer(["", "0 1 2 3"], SERVER)
    assert "GPU 7: NVIDIA A100-SXM4-80GB, 79 of 80 GiB free" in told
    session = Session(answers_file())
    assert session.preset.launch.gpus == ("GPU-0", "GPU-1", "GPU-2", "GPU-3")
    assert session.kept_page == "environment"
    assert "[0 1 2 3]" in answer([""], SERVER)


def test_help_back_and_what_cannot_be_chosen(clean_home: Path) -> None:
    told = answer(["?", "", "<", "", "1", "?"])
    assert told.count("1 of 5.") == 2
    assert "With or without a container" in told
    assert "CHECKPOINT_PATH is set, it fills this field" in told
    assert "-  In a Docker container  no Docker here" in told


def test_a_wrong_answer_from_a_pipe_ends_it_by_number_and_reason(
    clean_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Refused) as refused:
        answer(["", "1", "", "", "1", "500", "many"])
    assert refused.value.line == 7
    assert refused.value.answer == "many"
    assert refused.value.reason
    assert ask_by_lines(io.StringIO("nonsense\n"), io.StringIO()) == ExitStatus.REFUSED
    assert "answer 1, 'nonsense'" in capsys.readouterr().err
