"""Deleting a run from the command line."""

from __future__ import annotations

import sys

from bert_tui import diagnostics
from bert_tui.exit_status import ExitStatus
from bert_tui.metrics.sentences import size
from bert_tui.runs.delete import belongings_of, delete_run
from trainer.spec.run_directory import RunDirectory


def delete_after_asking(run: RunDirectory, *, asked: bool) -> int:
    """Says what will go, asks on a terminal unless the operator was ``asked`` already, and deletes."""
    print("\n".join(belongings_of(run).sentences()))
    if not asked and not sys.stdin.isatty():
        diagnostics.tell("there is no terminal to ask on; to delete it all the same, add --yes")
        return ExitStatus.USAGE
    if not asked and input("Type yes to delete it: ").strip().lower() != "yes":
        print("Nothing was deleted.")
        return ExitStatus.REFUSED
    print(f"Deleted; {size(delete_run(run).bytes)} are free again.")
    return ExitStatus.FINISHED
