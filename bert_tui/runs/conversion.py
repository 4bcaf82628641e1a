"""Weights to and from Hugging Face folders, in a process of its own with this program's Python: it needs torch."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import bert_tui
from bert_tui.places import state_folder
from trainer.spec.problem import ConversionError, Problem
from trainer.spec.run_directory import RunDirectory

PACKAGES = ("torch", "safetensors")
MODULE = "trainer.convert"


@dataclass(frozen=True)
class Progress:
    """What the conversion is doing."""

    phase: str
    """``read`` or ``write``."""
    detail: str
    """The file or tensor."""
    done: int
    total: int


def export_run(
    run: RunDirectory, output: Path, step: int | None, show: Callable[[Progress], None]
) -> Mapping[str, Any]:
    """Writes a run's checkpoint, its last or that of ``step``, as a Hugging Face folder.

    Returns:
        ``class``, ``step``, ``shape`` and ``sentence_order`` of what was exported.

    Raises:
        SpecError: what is wrong, as the conversion told it.
    """
    chosen = [] if step is None else ["--step", str(step)]
    return _convert(["export", *chosen, str(run.path), str(output.absolute())], show)


def import_folder(folder: Path, output: Path, show: Callable[[Progress], None]) -> Mapping[str, Any]:
    """Writes a Hugging Face folder's model as weights that ``train.init_from`` takes.

    Returns:
        ``shape``, ``sentence_order`` and ``cautions`` (problems as JSON) of what was imported.

    Raises:
        SpecError: what is wrong, as the conversion told it.
    """
    return _convert(["import", str(folder.absolute()), str(output.absolute())], show)


def _convert(arguments: Sequence[str], show: Callable[[Progress], None]) -> Mapping[str, Any]:
    if lacking := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise ConversionError(Problem("convert.package", "", lacking[0]))
    log = state_folder() / "convert.log"
    with log.open("w+", encoding="utf-8", errors="replace") as errors:
        with subprocess.Popen(
            [sys.executable, "-m", MODULE, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | {"PYTHONPATH": _python_path(), "PYTHONSAFEPATH": "1"},
        ) as process:
            assert process.stdout is not None
            answer = _follow(process.stdout, show)
        if "problems" in answer:
            raise ConversionError(*(Problem.from_json(problem) for problem in answer["problems"]))
        if "result" not in answer:
            raise ConversionError(_why_it_ended(process.returncode, errors))
    result: Mapping[str, Any] = answer["result"]
    return result


def _why_it_ended(status: int, errors: IO[str]) -> Problem:
    if status < 0:
        return Problem("convert.killed", "", str(-status))
    errors.seek(0)
    lines = errors.read().strip().splitlines()
    return Problem("convert.crashed", errors.name, str(status), {"reason": lines[-1] if lines else "it said nothing"})


def _follow(lines: IO[str], show: Callable[[Progress], None]) -> Mapping[str, Any]:
    """Shows progress; gives the last word, empty where the process had none."""
    for line in _objects(lines):
        if "phase" not in line:
            return line
        show(Progress(line["phase"], line["detail"], line["done"], line["total"]))
    return {}


def _objects(lines: IO[str]) -> Iterator[Mapping[str, Any]]:
    """A library may print lines of its own on the way."""
    for line in lines:
        if line.startswith("{"):
            yield json.loads(line)


def _python_path() -> str:
    """The trainer beside this very package is taken, and nothing in the folder we are called from."""
    package = str(Path(bert_tui.__file__).parent.parent)
    return os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
