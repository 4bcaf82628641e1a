"""Everything this program says on stderr: problems in words, and where a traceback lies."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Iterable

from bert_tui.advice.words import describe
from bert_tui.checks.check import Check, answer_lines
from bert_tui.places import state_folder
from trainer.spec.problem import Problem, SpecError


def tell_problems(error: SpecError) -> None:
    """Prints each problem of an error: what is wrong, then what to do."""
    for problem in error.problems:
        words = describe(problem)
        print(f"bert-tui: {words.what}\n          {words.remedy}", file=sys.stderr)


def tell_failed_checks(checks: Iterable[Check]) -> None:
    """Prints the checks that forbid a start."""
    tell("nothing was started; the checklist found:")
    for check in checks:
        print("\n".join(answer_lines(check)), file=sys.stderr)


def tell_cautions(cautions: Iterable[Problem]) -> None:
    """Prints what is allowed and hardly meant, a line each."""
    for caution in cautions:
        words = describe(caution)
        tell(f"caution: {words.what} {words.remedy}")


def tell(message: str) -> None:
    """Prints one line."""
    print(f"bert-tui: {message}", file=sys.stderr)


def tell_crash(error: BaseException) -> None:
    """Says that this program failed, in one line, and where the traceback lies."""
    log = state_folder() / "crash.log"
    with log.open("a", encoding="utf-8") as file:
        log.chmod(0o600)
        file.write(time.strftime("\n%Y-%m-%d %H:%M:%S\n"))
        traceback.print_exception(error, file=file)
    tell(f"this program made a mistake ({type(error).__name__}); runs go on. The details are in {log}")
