"""What was found in a vocabulary file, as lines of text."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

from bert_tui.data.flaw import Flaw
from bert_tui.data.vocabulary_repair import Examination, examine_vocabulary, write_repaired
from bert_tui.exit_status import ExitStatus
from bert_tui.invocation import program

WIDTH = 80
CASES = {
    "lower": "lower-case: build datasets with --lower",
    "cased": "cased: build datasets with --cased",
    "none": "neither lower-case nor cased",
}


def print_vocabulary(path: Path, output: Path | None, *, in_place: bool, renumber: bool, as_json: bool) -> int:
    """Looks at a vocabulary and repairs it where asked; exit status 1 if it cannot be used as it is and stays so."""
    found = examine_vocabulary(path)
    print(json.dumps(found.as_json(), ensure_ascii=False, indent=2) if as_json else "\n".join(vocabulary_lines(found)))
    target = path if in_place else output
    if target is None:
        return ExitStatus.FINISHED if found.usable else ExitStatus.REFUSED
    write_repaired(found, target, renumber=renumber, replace=in_place)
    if not as_json:
        moved = " Datasets made with the old file must be built anew." if found.moves_ids else ""
        print(f"\nThe repaired vocabulary is in {target}: {len(found.repaired):,} pieces.{moved}")
    return ExitStatus.FINISHED


def vocabulary_lines(found: Examination) -> list[str]:
    """All of it, in 80 columns."""
    lines = [
        f"Vocabulary {found.path}",
        f"  {found.size:,} pieces; the model's table has {found.padded_size:,} rows (a multiple of 128)",
        f"  {found.continuations:,} go on inside a word (##), {found.unused:,} are placeholders ([unused7])",
        *_wrapped(f"{CASES[found.case.kind]} ({found.case.reason})", "  ", "  "),
        "",
    ]
    if not found.flaws:
        return [*lines, "ok  Nothing wrong was found."]
    for flaw in found.flaws:
        lines += _flaw_lines(flaw)
    if any(flaw.repair for flaw in found.flaws):
        renumber = " --renumber" if found.moves_ids else ""
        lines += ["", f"To repair it: {program()} data vocabulary {found.path} --fix NEW{renumber}"]
    return lines


def _flaw_lines(flaw: Flaw) -> list[str]:
    words = flaw.words
    lines = _wrapped(words.what, " x  " if flaw.fatal else " !  ")
    lines += _wrapped(words.remedy, "    ")
    if flaw.repair:
        keeps = "moves ids, needs --renumber" if flaw.moves_ids else "moves no ids"
        lines += _wrapped(f"--fix ({keeps}): {flaw.repair}", "    ")
    return lines


def _wrapped(text: str, beginning: str, further: str = "    ") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=beginning, subsequent_indent=further, break_long_words=False, break_on_hyphens=False
    )
