"""What lies at a path, as lines of text."""

from __future__ import annotations

from pathlib import Path

from bert_tui.advice.words import describe
from bert_tui.checks.path_description import describe_path
from bert_tui.exit_status import ExitStatus
from trainer.spec.problem import Problem, RunError


def print_description(path: Path) -> int:
    """Prints what lies at ``path``, and what is wrong with it; exit status 1 where nothing is, or it cannot be used.

    Raises:
        RunError: it cannot be looked at.
    """
    try:
        there = describe_path(path)
    except OSError as error:
        raise RunError(Problem("path.unusable", str(path), "", {"reason": error.strerror or str(error)})) from error
    print(f"{there.path}: {there.words[:1].lower()}{there.words[1:]}")
    if there.kind == "absent" and there.names:
        print(f"Beside it: {', '.join(there.names)}")
    if there.problem is not None:
        words = describe(there.problem)
        print(f"{words.what}\n{words.remedy}")
    return ExitStatus.REFUSED if there.kind == "absent" or there.problem is not None else ExitStatus.FINISHED
