"""Following a run as lines."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bert_tui.plain.progress import follow_run
from tests.staged_run import UNIGRAM, StagedRun, lm_loss, training_run
from trainer.spec.problem import Problem
from trainer.spec.records import NotSaved

ROOT = str(Path(__file__).parents[2])


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_a_run_to_its_end(tmp_path: Path) -> None:
    run = StagedRun(tmp_path, total=200)
    run.prepare("data")

    def go_on() -> None:
        time.sleep(0.7)
        run.prepare("launch")
        run.launch()
        run.train(1, 120)
        time.sleep(0.8)
        run.train(121, 200)
        run.checkpoint(200)
        run.end("finished")

    thread = threading.Thread(target=go_on)
    thread.start()
    out = io.StringIO()
    assert follow_run(run.directory, out, json=False) == 0
    thread.join()
    lines = out.getvalue().splitlines()
    assert lines[0].endswith("Building the sample text and its vocabulary")
    assert f"step 120 of 200  lm loss {lm_loss(120):.4f}" in out.getvalue()
    assert f"step 200 of 200  lm loss {lm_loss(200):.4f}" in out.getvalue()
    final = f"lm loss validation {lm_loss(200) + 0.05:.4f}  (guessing by word frequency: {UNIGRAM:.4f})"
    assert [line for line in lines if final in line] == lines[-1:]
    assert lines[-1].endswith("words right 17 %  sop loss validation 0.6940  order right 52 %")
    assert f"{run.directory.checkpoints / 'step-00000200'}" in lines[-2]
    assert "\x1b" not in out.getvalue()


def test_a_checkpoint_that_could_not_be_saved_is_told_once(tmp_path: Path) -> None:
    run = training_run(tmp_path, 150)
    problem = Problem("checkpoint.not_written", "/c/step-00000100", "", {"reason": "Read-only file system"})
    run.progress(not_saved=NotSaved(100, problem))
    threading.Timer(1.2, run.end, ["stopped"]).start()
    out = io.StringIO()
    assert follow_run(run.directory, out, json=False) == 3
    assert out.getvalue().count("checkpoint of step 100 not saved: Read-only file system") == 1


def test_a_run_that_has_ended_is_told_once(tmp_path: Path) -> None:
    run = training_run(tmp_path, 250)
    run.end("stopped")
    out = io.StringIO()
    assert follow_run(run.directory, out, json=False) == 3
    lines = out.getvalue().splitlines()
    assert len(lines) == len(set(lines)) == 4
    assert "step 200 of 700  lm loss validation" in lines[-1]


def test_a_failure_names_cause_and_remedy(tmp_path: Path) -> None:
    run = training_run(tmp_path, 150)
    run.end("failed", Problem("dataset.unreadable", "/data/wiki.bin", "", {"reason": "Input/output error"}))
    out = io.StringIO()
    assert follow_run(run.directory, out, json=False) == 4
    assert "Failed at step 150: /data/wiki.bin cannot be read: Input/output error." in out.getvalue()
    assert "ls -l /data/wiki.bin" in out.getvalue()


def test_each_line_of_json_is_an_object(tmp_path: Path) -> None:
    run = training_run(tmp_path, 250)
    run.progress(lm_loss=float("nan"), data_wait_share=0.25)
    run.end("stopped")
    out = io.StringIO()
    assert follow_run(run.directory, out, json=True) == 3
    events = [json.loads(line, parse_constant=pytest.fail) for line in out.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["step", "validation", "end"]
    assert {event["run"] for event in events} == {run.directory.id}
    assert events[0]["step"] == 250 and events[0]["lm_loss"] is None
    assert events[1]["unigram_loss"] == UNIGRAM
    assert events[0]["data_wait_share"] == 0.25
    assert events[1]["masked_accuracy"] == 0.173
    assert events[2]["state"] == "stopped"
    assert events[2]["checkpoint"] == str(run.directory.checkpoints / "step-00000400")


def test_ctrl_c_ends_the_lines_and_not_the_run(tmp_path: Path) -> None:
    run = training_run(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "bert_tui", "attach", str(run.directory.path), "--plain"],
        cwd=ROOT,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "Training: step 412 of 700" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    assert process.wait(10) == 5
    assert f"bert-tui attach {run.directory.id}" in rest
    assert f"bert-tui stop {run.directory.id}" in rest
    assert not run.attempt.stop_request.exists()
