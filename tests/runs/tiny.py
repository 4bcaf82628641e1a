"""A BERT small enough to train in seconds, and what tests want to know of its runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bert_tui.machine import read_machine
from bert_tui.plan import Plan, make_plan
from bert_tui.presets import find_preset
from bert_tui.runs.state import RunView, state_of
from trainer.spec.metrics_file import read_layout
from trainer.spec.preset_file import override, read_preset
from trainer.spec.run_directory import RunDirectory

STEPS = 80
SETTINGS = (
    "model.layers=1",
    f"train.steps={STEPS}",
    "train.global_batch=32",
    "train.warmup=5",
    "train.eval_every=40",
    "train.eval_steps=1",
    "checkpoint.every=10",
)


def tiny_plan(folder: Path, *settings: str) -> Plan:
    """Two ranks on this machine's cores, everything inside ``folder``."""
    paths = (f'checkpoint.path="{folder}/checkpoints"', f'logs.tensorboard_path="{folder}/tensorboard"')
    preset = override(read_preset(find_preset("bert-tiny"), find_preset), (*SETTINGS, *paths, *settings))
    return make_plan(preset, "bert-tiny", read_machine())


def wait_for(run: RunDirectory, wanted: Callable[[RunView], bool], seconds: float = 90) -> RunView:
    """The first view of the run that is as wanted."""
    until = time.monotonic() + seconds
    while not wanted(view := state_of(run)):
        assert time.monotonic() < until, f"{view}\n{_logs(run)}"
        time.sleep(0.05)
    return view


def over(view: RunView) -> bool:
    """Whether the attempt is over."""
    return not view.state.active


def training(view: RunView) -> bool:
    """Whether the attempt makes steps."""
    return view.progress is not None and view.progress.phase == "train" and view.progress.step > 0


def losses(run: RunDirectory) -> dict[int, float]:
    """MLM loss by step; where two attempts made the same step, the later one's."""
    layout = read_layout(run.metrics)
    assert layout is not None
    table = np.fromfile(run.metrics, dtype="<f8", offset=layout.offset).reshape(-1, len(layout.columns))
    step, loss = (table[:, layout.columns.index(name)] for name in ("step", "lm_loss"))
    return {int(number): float(value) for number, value in zip(step, loss, strict=True)}


def _logs(run: RunDirectory) -> str:
    attempt = run.latest()
    paths = [attempt.starter_log, attempt.supervisor_log, attempt.log] if attempt else []
    return "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in paths if path.exists())
