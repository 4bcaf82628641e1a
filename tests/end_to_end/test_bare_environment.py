"""The trainer on a Python that has what a stock image has."""

import json
import shutil
import subprocess

from tests.end_to_end.bare_venv import bare_venv
from tests.end_to_end.operator import Operator


def test_training_needs_exactly_torch_numpy_and_tensorboard(operator: Operator) -> None:
    """The run's own code, started anew in a venv that has nothing else."""
    few = ("--set", "train.steps=12", "--set", "train.warmup=2", "--set", "train.eval_every=6")
    assert operator.type("run", "bert-tiny", "--launcher", "local", "--plain", *few, seconds=200).returncode == 0
    first = operator.latest()
    attempt = first.attempt(1)
    for leftover in (attempt.exit, attempt.status, attempt.progress, first.metrics):
        leftover.unlink()
    shutil.rmtree(first.checkpoints)
    python = bare_venv(operator.home / "venv", "torch", "numpy", "tensorboard")
    environment = {**operator.environment, "PYTHONPATH": str(first.code), "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(
        [str(python), "-m", "trainer.supervise", str(attempt.path)],
        env=environment,
        cwd=first.path,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert json.loads(attempt.exit.read_text())["outcome"] == "finished", result.stderr + operator.logs()
    assert not json.loads(attempt.exit.read_text())["problem"]
