"""The runs as a table of lines."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path

from bert_tui.exit_status import ExitStatus
from bert_tui.invocation import program
from bert_tui.metrics.sentences import duration
from bert_tui.runs.end import settle_all
from bert_tui.runs.registry import find_runs
from bert_tui.runs.state import RunView, state_of


def list_runs(roots: Iterable[Path], *, as_json: bool) -> int:
    """Prints every run that can be found, newest first."""
    views = settle_all(state_of(run) for run in find_runs(roots))
    if as_json:
        print(json.dumps([_facts(view) for view in views], ensure_ascii=False, indent=2))
    elif not views:
        print(f"There are no runs yet. {program()} opens the wizard; {program()} run bert-tiny --plain starts one.")
    else:
        print(f"{'RUN':<33} {'STATE':<9} {'STEP':>17} {'LOSS':>7} {'UPDATED':>10}")
        for view in views:
            print(_line(view))
    return ExitStatus.FINISHED


def _line(view: RunView) -> str:
    progress = view.progress
    step = f"{progress.step:,}/{progress.total_steps:,}" if progress else "-"
    loss = f"{progress.lm_loss:.4f}" if progress and progress.lm_loss is not None else "-"
    age = f"{duration(max(0.0, time.time() - progress.updated))}" if progress else "-"
    return f"{view.run.id:<33} {view.state:<9} {step:>17} {loss:>7} {age:>10}"


def _facts(view: RunView) -> dict[str, object]:
    progress = view.progress
    return {
        "run": view.run.id,
        "directory": str(view.run.path),
        "state": str(view.state),
        "attempt": view.attempt.number if view.attempt else None,
        "step": progress.step if progress else None,
        "total_steps": progress.total_steps if progress else None,
        "lm_loss": progress.lm_loss if progress else None,
        "last_checkpoint": progress.last_checkpoint if progress else None,
        "problem": view.problem.as_json() if view.problem else None,
    }
