"""``bert-tui run`` off a terminal: what scripts and logs see."""

import hashlib
import json
import os
import re
import signal
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bert_tui.presets import find_preset
from tests.end_to_end.operator import Operator
from trainer.spec.metrics_file import read_layout
from trainer.spec.preset_file import read_preset, render
from trainer.spec.resolved import read_resolved
from trainer.spec.run_directory import RunDirectory

FEW = ("--set", "train.steps=12", "--set", "train.warmup=2", "--set", "train.eval_every=6", "--set", "model.layers=1")


@pytest.fixture(scope="module")
def finished(module_operator: Operator) -> str:
    """What a small run printed from start to finish."""
    result = module_operator.type("run", "bert-tiny", "--launcher", "local", "--plain", *FEW, seconds=200)
    assert result.returncode == 0, result.stdout + result.stderr + module_operator.logs()
    return result.stdout


def test_lines_name_step_and_loss_and_end_with_the_validation_loss(finished: str) -> None:
    lines = finished.splitlines()
    steps = [line for line in lines if line.startswith("step ")]
    assert steps
    assert all(re.match(r"step \d+ of 12 .*lm loss", line) for line in steps)
    last = re.match(
        r"step 12 of 12  lm loss validation (\d\.\d+)  \(guessing by word frequency: (\d\.\d+)\)", lines[-1]
    )
    assert last, finished
    assert "\x1b" not in finished


def test_a_finished_run_explains_itself(finished: str, module_operator: Operator) -> None:
    run = module_operator.latest()
    assert module_operator.runs()[0]["state"] == "finished"
    preset, resolved = read_resolved(run.preset)
    assert preset.train.steps == 12
    assert resolved.run_id == run.id
    assert resolved.vocab_sha256 == hashlib.sha256(run.vocabulary.read_bytes()).hexdigest()
    assert (run.path.stat().st_mode & 0o777, run.request.stat().st_mode & 0o777) == (0o700, 0o600)
    attached = module_operator.type("attach", "--plain")
    assert attached.returncode == 0
    assert "lm loss validation" in attached.stdout
    assert "iteration" in module_operator.type("logs").stdout


def test_the_runs_own_preset_repeats_it_bit_for_bit(finished: str, module_operator: Operator) -> None:
    first = module_operator.latest()
    result = module_operator.type("run", str(first.preset), "--plain", seconds=200)
    assert result.returncode == 0, result.stdout + result.stderr
    again = module_operator.latest()
    assert again.id != first.id
    assert losses(again) == losses(first)


def losses(run: RunDirectory) -> list[bytes]:
    """The MLM loss of each step, to the bit."""
    layout = read_layout(run.metrics)
    assert layout is not None
    table = np.fromfile(run.metrics, dtype="<f8", offset=layout.offset).reshape(-1, len(layout.columns))
    return [value.tobytes() for value in table[:, layout.columns.index("lm_loss")]]


def test_tensorboards_own_server_shows_the_scalars(finished: str, module_operator: Operator) -> None:
    shown = module_operator.type("board")
    assert shown.returncode == 0, shown.stderr
    address, pid = re.search(r"http://\S+", shown.stdout), re.search(r"kill (\d+)", shown.stdout)
    assert address
    assert pid
    assert "ssh -L" in shown.stdout
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        tags = until_loaded(lambda: json.load(opener.open(f"{address[0]}data/plugin/scalars/tags", timeout=10)))
        (run_tags,) = tags.values()
        assert {"lm loss", "sop loss", "learning-rate", "grad-norm", "lm loss validation"} <= set(run_tags)
    finally:
        os.kill(int(pid[1]), signal.SIGTERM)


def until_loaded(get: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """TensorBoard loads in the background; its answer once it has something to say."""
    for _ in range(60):
        if found := get():
            return found
        time.sleep(0.5)
    raise AssertionError("TensorBoard shows no run")


def test_json_lines(operator: Operator) -> None:
    result = operator.type("run", "bert-tiny", "--json", *FEW, seconds=200)
    assert result.returncode == 0, result.stdout + result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(isinstance(line, dict) for line in lines)
    assert lines[-1]["state"] == "finished"


def test_detach_stop_resume(operator: Operator) -> None:
    long = [word.replace("train.steps=12", "train.steps=4000") for word in FEW]
    started = operator.type("run", "bert-tiny", "--detach", "--json", "--set", "checkpoint.every=1000", *long)
    assert started.returncode == 0, started.stderr
    run_id = json.loads(started.stdout)["run"]
    operator.wait_for_run(lambda run: (run["step"] or 0) > 3, 90)
    assert operator.type("stop", run_id[:20]).returncode == 0
    stopped = operator.wait_for_run(lambda run: run["state"] == "stopped", 60)
    assert stopped["last_checkpoint"] == stopped["step"] > 3
    assert operator.type("attach", "--plain").returncode == 3
    resumed = operator.type("resume", run_id, "--detach", "--set", f"train.steps={stopped['step'] + 3}")
    assert resumed.returncode == 0, resumed.stderr
    ended = operator.wait_for_run(lambda run: run["state"] in ("finished", "failed"), 90)
    assert (ended["state"], ended["step"]) == ("finished", stopped["step"] + 3)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ((), 2, "no terminal"),
        (("run", "bert-340m", "--plain"), 1, "checkpoint.path has no value"),
        (("run", "nonsense.toml"), 1, "no preset"),
        (("run", "bert-tiny", "--set", "train.stepz=3"), 1, "did you mean train.steps"),
        (("run", "bert-tiny", "--set", "train.steps=0"), 1, "at least 1"),
        (("run", "bert-tiny", "--set", "parallel.tensor=3"), 1, "does not divide"),
        (("run", "bert-tiny", "--set", 'launch.gpus="all"'), 1, "GPU"),
        (("run", "bert-tiny", "--set", "checkpoint.path=/proc/nowhere"), 1, "/proc"),
        (("attach", "nothing"), 1, "nothing"),
        (("stop",), 1, "run"),
        (("frobnicate",), 2, "invalid choice"),
    ],
)
def test_refusals_say_what_and_start_nothing(
    operator: Operator, words: tuple[str, ...], status: int, said: str
) -> None:
    result = operator.type(*words)
    assert (result.returncode, "Traceback" in result.stderr) == (status, False), result.stderr
    assert said in result.stderr
    assert operator.runs() == []


def test_plan_is_the_same_for_what_the_wizard_saves(operator: Operator) -> None:
    """A preset and its own rendering give the same plan, byte for byte."""
    saved = operator.home / "bert-tiny.toml"
    saved.write_text(render(read_preset(find_preset("bert-tiny"), find_preset)))
    first, second = operator.type("plan", "bert-tiny", "--json"), operator.type("plan", str(saved), "--json")
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    assert "command" in json.loads(first.stdout)
