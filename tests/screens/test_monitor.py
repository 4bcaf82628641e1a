"""The live view: what it shows of a run's files as they are written, and what its keys do."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from bert_tui.app import BertTui
from bert_tui.runs.registry import link_run
from bert_tui.screens.monitor import MonitorScreen
from tests.screens.ground import reach, until
from tests.staged_run import StagedRun, lm_loss, training_run
from tests.terminal import Terminal
from trainer.spec.problem import Problem
from trainer.spec.records import NotSaved
from trainer.spec.run_directory import RunDirectory

SIZE = (80, 24)
ROOT = str(Path(__file__).parents[2])


def text_of(pilot: Pilot[int]) -> str:
    """The screen, as the compositor has it."""
    return "\n".join(strip.text.rstrip() for strip in pilot.app.screen._compositor.render_strips())


async def see(pilot: Pilot[int], *texts: str, seconds: float = 10.0) -> str:
    """Waits until all of these are on the screen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not all(text in text_of(pilot) for text in texts):
        await pilot.pause(0.05)
    shown = text_of(pilot)
    missing = [text for text in texts if text not in shown]
    assert not missing, f"not seen: {missing}\n{shown}"
    return shown


async def test_all_that_matters_is_on_one_small_screen(tmp_path: Path) -> None:
    run = training_run(tmp_path)
    async with BertTui(run.directory).run_test(size=SIZE) as pilot:
        shown = await see(
            pilot,
            run.directory.id,
            "Training: step 412 of 700, 1 min 21 s left",
            "58 %",
            f"MLM loss {lm_loss(412):.3f}",
            "sentence order 0.69",
            "tokens/s 41,233",
            "learning rate 1.0e-03",
            f"validation at step 400: {lm_loss(400) + 0.05:.3f}  words right 17 %  order right 52 %",
            "word frequency 6.02",
            "last checkpoint: step 400, 2 min",
            "94 % of 2 cores",
            "[rank0] step 400/700",
        )
        assert any("\u2801" <= character <= "\u28ff" for character in shown)
        await see(pilot, " F1 Help  F2 Curves  F3 Runs  F4 Log  F6 Stop  F7 Board  F8 Kill  F10 Leave")


async def test_eight_gpus_fit(tmp_path: Path) -> None:
    run = gpu_run(tmp_path)
    run.progress(data_wait_share=0.12)
    async with BertTui(run.directory).run_test(size=SIZE) as pilot:
        shown = await see(pilot, *(f"GPU {number}" for number in range(8)), "66.3/80.0 GiB", "380 W", "step 400/700")
        await see(pilot, "devices: 121 TFLOP/s a GPU, 39 % of its peak", "! the GPUs wait for data 12 % of the time")
        assert sum(any("\u2801" <= c <= "\u28ff" for c in line) for line in shown.splitlines()) >= 2


async def test_a_step_is_seen_within_two_seconds(tmp_path: Path) -> None:
    run = training_run(tmp_path, 100)
    async with BertTui(run.directory).run_test(size=SIZE) as pilot:
        await see(pilot, "step 100 of 700")
        run.train(101, 140)
        run.log("a new line in the log")
        await see(pilot, "step 140 of 700", "a new line in the log", seconds=2.0)


async def test_a_run_from_the_first_word_to_the_last(tmp_path: Path) -> None:
    run = StagedRun(tmp_path)
    async with BertTui(run.directory).run_test(size=SIZE) as pilot:
        await see(pilot, "Waiting for the preparation", "the curve begins with the first step")
        run.prepare("data", done=3.0, total=12.0, unit="MB")
        await see(pilot, "Building the sample text", "3 of 12 MB", "25 %")
        run.prepare("launch")
        run.launch()
        await see(pilot, "Starting the ranks")
        run.train(1, 700)
        run.checkpoint(700, age=0)
        await see(pilot, "step 700 of 700")
        run.end("finished")
        folder = str(run.directory.checkpoints / "step-00000700")
        shown = await see(
            pilot, "Finished: all 700 steps are done; validation loss", "100 %", "step 700, just now",
            "The trained model lies in", "tokens/s on average 40,118",
        )  # fmt: skip
        assert folder in "".join(line.strip() for line in shown.splitlines()[3:5])
        assert "41,233" not in shown and "cores" not in shown
        assert "Stop" not in shown.splitlines()[-1]
        await pilot.press("d")
    assert pilot.app.return_value == 0


async def test_a_failure_is_explained(tmp_path: Path) -> None:
    run = training_run(tmp_path, 231)
    run.log("RuntimeError: no space left on device")
    run.end("failed", Problem("run.unreadable", "/data", "", {"reason": "no such device"}))
    async with BertTui(run.directory).run_test(size=SIZE) as pilot:
        shown = await see(
            pilot, "Failed at step 231: /data cannot", "RuntimeError: no space left on device", "F5 Resume"
        )
        assert "F6 Stop" not in shown
        await pilot.press("d")
    assert pilot.app.return_value == 4


async def test_losses_that_are_no_numbers_are_announced(tmp_path: Path) -> None:
    run = StagedRun(tmp_path)
    run.prepare("launch")
    run.launch()
    run.train(1, 300, nan=range(120, 170))
    async with BertTui(run.directory).run_test(size=SIZE) as pilot:
        await see(pilot, "50 of the last 1,000 steps had no finite loss")


async def test_a_checkpoint_that_could_not_be_saved_is_announced(tmp_path: Path) -> None:
    run = training_run(tmp_path)
    problem = Problem("checkpoint.no_room", str(run.directory.checkpoints), "", {"megabytes": 1321.8, "free": 402.1})
    run.progress(not_saved=NotSaved(410, problem))
    async with BertTui(run.directory).run_test(size=SIZE) as pilot:
        await see(pilot, "! checkpoint of step 410 not saved: it takes 1321.8 MB, 402.1 MB are free")


async def test_stop_asks_first_and_cancel_is_the_safe_side(tmp_path: Path) -> None:
    run = training_run(tmp_path)
    async with BertTui(run.directory).run_test(size=SIZE) as pilot:
        await see(pilot, "F6 Stop")
        await pilot.press("s")
        await see(pilot, "saves a checkpoint, then ends", "Enter: Cancel")
        await pilot.press("f1")
        await see(pilot, "finishes its step, writes a checkpoint")
        await pilot.press("escape", "tab")
        await see(pilot, "Enter: Stop")
        await pilot.press("tab")
        await see(pilot, "Enter: Cancel")
        await pilot.press("enter")
        await see(pilot, "F6 Stop")
        assert not run.attempt.stop_request.exists()
        await pilot.press("f6")
        await see(pilot, "saves a checkpoint, then ends")
        await pilot.press("tab", "enter")
        await see(pilot, "Stopping at step 412: saving a checkpoint")
        assert run.attempt.stop_request.exists()


async def test_keys_help_and_log(tmp_path: Path) -> None:
    run = training_run(tmp_path)
    async with BertTui(run.directory).run_test(size=SIZE) as pilot:
        await see(pilot, "Training: step")
        await pilot.press("f1")
        await see(pilot, "masked language model", "word frequency", "Page Down show more")
        await pilot.press("end")
        await see(pilot, "save a checkpoint, then end the run", "close this view")
        await pilot.press("escape", "l")
        await see(pilot, str(run.attempt.log)[:60], "[rank0] 4,096 pieces")
        await pilot.press("f1")
        await see(pilot, "End goes back to the newest line")
        await pilot.press("escape")
        run.log("while the log is in front")
        await see(pilot, "while the log is in front")
        await pilot.press("escape")
        await see(pilot, "Training: step")
        await pilot.press("w")
        await see(pilot, "step 1,100")


async def test_the_list_leads_to_a_run(tmp_path: Path) -> None:
    run = training_run(tmp_path)
    link_run(run.directory)
    async with BertTui(run.directory).run_test(size=SIZE) as pilot:
        await see(pilot, "F3 Runs")
        await pilot.press("f3")
        await see(pilot, run.directory.id, "running", "412 of 700", f"{lm_loss(412):.3f}", "F6 Stop")
        await pilot.press("f1")
        await see(pilot, "Enter watches the run under the cursor,")
        await pilot.press("escape")
        await pilot.press("enter")
        await reach(pilot, "MonitorScreen")


async def test_a_run_is_deleted_from_the_list_after_asking(tmp_path: Path) -> None:
    live, ended = training_run(tmp_path / "live"), training_run(tmp_path / "ended")
    ended.end("stopped")
    aside = ended.directory.path.with_name("20200101-120000-over-0000")
    ended.directory.path.rename(aside)
    gone = RunDirectory(aside)
    for run in (live.directory, gone):
        link_run(run)
    async with BertTui(gone).run_test(size=SIZE) as pilot:
        await see(pilot, "Stopped at step 412")
        await pilot.press("f3")
        shown = await see(pilot, gone.id, live.directory.id)
        assert "F8 Delete" not in shown, "the cursor is on the run that trains"
        await pilot.press("down")
        await see(pilot, "F8 Delete")
        await pilot.press("f8")
        await see(pilot, "Delete this run?", "2 checkpoints", "this frees", "Enter: Cancel")
        await pilot.press("enter")
        await reach(pilot, "RunsScreen")
        assert gone.path.is_dir(), "Enter calls off: the cursor begins on Cancel"
        await pilot.press("f8")
        await see(pilot, "Delete this run?")
        await pilot.press("tab", "enter")
        await reach(pilot, "RunsScreen")
        await until(pilot, lambda: gone.id not in text_of(pilot))
        assert not gone.path.exists()
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.return_code == 0)


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[StagedRun]:
    """A run whose directory hangs: opening a pipe that nobody writes to waits for ever, as a dead mount does."""
    run = training_run(tmp_path)
    os.mkfifo(run.directory.path / "pipe")
    yield run
    for descriptor in [os.open(run.directory.path / "pipe", os.O_RDWR | os.O_NONBLOCK)]:
        os.close(descriptor)  # whoever waited is released


def hang(run: StagedRun) -> None:
    (run.directory.path / "pipe").replace(run.attempt.progress)
    (run.directory.path / "pipe").symlink_to(run.attempt.progress)


async def test_keys_are_answered_while_the_disk_hangs(hanging: StagedRun) -> None:
    async with BertTui(hanging.directory).run_test(size=SIZE) as pilot:
        await see(pilot, "Training: step 412")
        hang(hanging)
        await see(pilot, "No answer from the disk for", seconds=15)
        begun = time.monotonic()
        await pilot.press("f1")
        await see(pilot, "What is shown", seconds=0.5)
        assert time.monotonic() - begun < 0.5


@pytest.mark.timeout(60)
def test_leaving_gives_the_prompt_back_while_the_disk_hangs(hanging: StagedRun, clean_home: Path) -> None:
    program = f"from bert_tui.cli import main; import sys; sys.exit(main(['attach', {str(hanging.directory.path)!r}]))"
    # The shell finds bert-tui here, so the line to type begins with its name alone.
    found = {"PYTHONPATH": ROOT, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with Terminal([sys.executable, "-c", program], environment=dict(os.environ) | found) as terminal:
        terminal.wait_for("Training: step 412", 20)
        hang(hanging)
        terminal.read(2.5)
        begun = time.monotonic()
        terminal.press("d")
        assert terminal.wait_exit(5) == 5
        assert time.monotonic() - begun < 1.0
        assert f"The run goes on. See it again: bert-tui attach {hanging.directory.id}" in terminal.text


def preparing_run(folder: Path) -> StagedRun:
    run = StagedRun(folder)
    run.prepare("image", done=310.0, total=720.0, unit="MB", detail="layer 4 of 11")
    run.log(*(f"layer {number}: downloaded" for number in range(12)), starter=True)
    run.telemetry()
    return run


def finished_run(folder: Path) -> StagedRun:
    run = training_run(folder, 700)
    run.checkpoint(700)
    run.end("finished")
    return run


def failed_run(folder: Path) -> StagedRun:
    run = training_run(folder, 231)
    run.log("Traceback (most recent call last):", "OSError: [Errno 5] Input/output error: '/data/wiki.bin'")
    run.end("failed", Problem("dataset.unreadable", "/data/wiki.bin", "", {"reason": "Input/output error"}))
    return run


def gpu_run(folder: Path) -> StagedRun:
    run = training_run(folder)
    run.resolve("cuda")
    run.telemetry(8)
    run.progress(device="NVIDIA A100-SXM4-80GB", tflops_per_rank=121.4, share_of_peak=0.389)
    return run


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
@pytest.mark.parametrize("stage", [preparing_run, training_run, gpu_run, failed_run, finished_run])
def test_picture(
    clean_home: Path,
    snap_compare: Callable[..., bool],
    stage: Callable[[Path], StagedRun],
    size: tuple[int, int],
) -> None:
    run = stage(clean_home)  # so that a path begins with ~ on every machine
    assert snap_compare(BertTui(run.directory), run_before=shown, terminal_size=size)


@pytest.mark.parametrize("key", ["f1", "f6"], ids=["help", "stop"])
def test_picture_after_a_key(tmp_path: Path, snap_compare: Callable[..., bool], key: str) -> None:
    async def pressed(pilot: Pilot[int]) -> None:
        await shown(pilot)
        await pilot.press(key)
        await pilot.pause(0.3)

    assert snap_compare(BertTui(training_run(tmp_path).directory), run_before=pressed, terminal_size=SIZE)


async def shown(pilot: Pilot[int]) -> None:
    """Waits until the run is on the screen."""
    while not (isinstance(pilot.app.screen, MonitorScreen) and pilot.app.screen.shows_run):
        await pilot.pause(0.05)
    await pilot.pause(0.3)
