"""The trainer on a Python that has what a stock image has."""

import json
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

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


def bare_venv(folder: Path, *distributions: str) -> Path:
    """A Python with these distributions and what they require, linked from this one's; nothing else."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    target = next((folder / "lib").glob("python3*")) / "site-packages"
    here = Path(sysconfig.get_paths()["purelib"])
    for name in closure(distributions):
        for file in metadata.distribution(name).files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (target / top).exists():
                (target / top).symlink_to(here / top)
    return folder / "bin" / "python"


def closure(names: tuple[str, ...]) -> set[str]:
    """Distributions and everything they require here."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found
