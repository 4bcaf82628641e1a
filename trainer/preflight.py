"""A look around before training: ``python -m trainer.preflight ATTEMPT_DIR``, in a process of its own.

Imports everything that training will import and counts the GPUs. Prints one line of JSON: {"seen": words for the log,
"problem": a Problem or null}.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from trainer.process_tree import die_with_parent
from trainer.spec.preset import Preset
from trainer.spec.problem import EnvironmentRefused, Problem, SpecError
from trainer.spec.requirements import PACKAGES, floor_text, torch_is_old
from trainer.spec.resolved import Resolved, read_resolved
from trainer.spec.run_directory import AttemptDirectory
from trainer.torch_symbols import missing_symbols


def look_around(preset: Preset, resolved: Resolved) -> str:
    """What was found, in words.

    Raises:
        EnvironmentRefused: a package or a compiler is absent, broken or too old, torch lacks a name, or there are fewer
            GPUs than asked for.
    """
    seen = [f"{name} {_import(name)}" for name in PACKAGES]
    _require_symbols()
    if preset.train.compile:
        seen.append(f"compiler {_find_compiler(resolved.device)}")
    if resolved.device == "cuda":
        seen.append(f"{_count_gpus(len(resolved.gpus), preset.launch.launcher)} GPUs")
    return ", ".join(seen)


def _import(name: str) -> str:
    try:
        module = importlib.import_module(name)
        if name == "tensorboard":  # what writes the event files is found only through torch
            importlib.import_module("torch.utils.tensorboard")
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] == name:
            raise EnvironmentRefused(Problem("package.missing", sys.executable, name)) from error
        raise EnvironmentRefused(Problem("package.broken", sys.executable, name, {"reason": str(error)})) from error
    except (ImportError, OSError, RuntimeError) as error:  # a library that does not load raises any of these
        raise EnvironmentRefused(Problem("package.broken", sys.executable, name, {"reason": str(error)})) from error
    version = str(getattr(module, "__version__", "")) or importlib.metadata.version(name)
    if name == "torch" and torch_is_old(version):
        raise EnvironmentRefused(Problem("package.old", sys.executable, version, {"floor": floor_text()}))
    return version


def _require_symbols() -> None:
    lacking = missing_symbols(Path(__file__).parent)
    if lacking:
        import torch

        facts = {"version": torch.__version__, "floor": floor_text()}
        raise EnvironmentRefused(Problem("package.symbol", sys.executable, lacking[0], facts))


def _find_compiler(device: str) -> str:
    """What torch generates code for a CPU with; for a GPU it is Triton, which builds its launchers with a compiler."""
    if device == "cuda" and importlib.util.find_spec("triton") is None:
        raise EnvironmentRefused(Problem("package.compiler", sys.executable, "triton"))
    named = os.environ.get("CXX" if device == "cpu" else "CC")
    usual = ("g++", "clang++") if device == "cpu" else ("gcc", "clang")
    for name in (named,) if named else usual:
        found = shutil.which(name)
        if found:
            return found
    raise EnvironmentRefused(Problem("package.compiler", sys.executable, named or usual[0]))


def _count_gpus(wanted: int, launcher: str) -> int:
    import torch

    seen = torch.cuda.device_count()
    if seen < wanted:
        raise EnvironmentRefused(
            Problem("gpu.fewer", "container" if launcher == "docker" else "machine", str(wanted), {"seen": seen})
        )
    return seen


def main(arguments: list[str]) -> int:
    """Prints the answer; always 0 unless it crashes."""
    die_with_parent()
    preset, resolved = read_resolved(AttemptDirectory(Path(arguments[0])).preset)
    answer: dict[str, Any]
    try:
        answer = {"seen": look_around(preset, resolved), "problem": None}
    except SpecError as refusal:
        answer = {"seen": "", "problem": refusal.problems[0].as_json()}
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
