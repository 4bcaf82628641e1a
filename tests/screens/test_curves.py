"""The screen of curves: opened from the live view, zoomed, read off."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from bert_tui.app import BertTui
from bert_tui.runs.registry import link_run
from bert_tui.screens.curves import KEYS, CurvesScreen
from tests.screens.test_monitor import SIZE, see, text_of
from tests.staged_run import StagedRun, lm_loss, training_run
from trainer.spec.run_directory import RunDirectory


async def test_zoom_crosshair_smoothing_and_charts(tmp_path: Path) -> None:
    run = training_run(tmp_path)
    async with BertTui(run.directory).run_test(size=SIZE) as pilot:
        await see(pilot, "F2 Curves")
        await pilot.press("f2")
        shown = await see(
            pilot, "whole run", f"step 412: MLM loss {lm_loss(412):.6g}", "word frequency 6.02", "step 700",
            "The loss falls, by", "No reference for this setting: NVIDIA's run had 24 layers (here 2)",
        )  # fmt: skip
        assert shown.splitlines()[-1].split() == [
            word for key in KEYS if key.shown for word in (key.names[0].upper(), key.label)
        ]
        await pilot.press("comma", "less_than_sign", "full_stop")
        step = 412 - 9 * round(700 / 74)
        await see(pilot, f"step {step}: MLM loss {lm_loss(step):.6g}")
        await pilot.press("plus", "plus", "plus", "plus", "s", "y")
        await see(pilot, "zoomed, logarithmic, smoothed 0.9", "not smoothed", f"step {step}:")
        await pilot.press("left")
        await pilot.press("0", "s", "s", "s", "s", "s", "s", "y", "n", "x")
        await see(pilot, "Sentence order", "whole run", "tokens")
        await pilot.press("p", "p")
        await see(pilot, "Loss scale", "not recorded in this run")
        await pilot.press("f1")
        await see(pilot, "What tossing a coin gives")
        await pilot.press("escape", "f2")
        await see(pilot, "Training: step 412 of 700")


async def test_new_steps_come_in_and_runs_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, other = training_run(tmp_path / "one", 100), training_run(tmp_path / "two", 300)
    renamed = RunDirectory(tmp_path / "two" / "20260102-120000-bert-tiny-00ac")
    other.directory.path.rename(renamed.path)
    link_run(renamed)
    async with BertTui(run.directory).run_test(size=SIZE) as pilot:
        await see(pilot, "F2 Curves")
        await pilot.press("c")
        await see(pilot, "step 100: MLM loss")
        run.train(101, 140)
        await see(pilot, "step 140: MLM loss", seconds=2.5)
        await pilot.press("o")
        await see(pilot, "[ ] 20260102-120000-bert-tiny-00ac", "same model")
        await pilot.press("space", "enter")
        await see(pilot, "a bert-tiny-00ac", f"  a {lm_loss(140):.6g}")


async def test_a_poor_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERT_TUI_ASCII", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    run = training_run(tmp_path)
    run.train(413, 450, nan=range(420, 430))
    shown = await chart_of(run)
    assert shown.isascii()
    assert "! no finite number at steps 420 to 429" in shown


async def chart_of(run: StagedRun) -> str:
    """The screen as text."""
    async with BertTui(run.directory).run_test(size=SIZE) as pilot:
        await see(pilot, "F2 Curves")
        await pilot.press("f2")
        assert isinstance(pilot.app.screen, CurvesScreen)
        await see(pilot, "MLM loss")
        return await settled_text(pilot)


async def settled_text(pilot: Pilot[int]) -> str:
    """When the chart is there."""
    await see(pilot, "word frequency")
    return text_of(pilot)
