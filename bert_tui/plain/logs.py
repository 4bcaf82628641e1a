"""A run's log as lines."""

from __future__ import annotations

import time

from bert_tui.exit_status import ExitStatus
from bert_tui.metrics.log_tail import LogTail
from bert_tui.runs.state import state_of
from trainer.spec.run_directory import AttemptDirectory, RunDirectory

POLL_SECONDS = 0.5


def print_log(run: RunDirectory, *, follow: bool) -> int:
    """Prints the end of the last attempt's log; with ``follow`` goes on until the run ends or Ctrl-C."""
    attempt = run.latest() or run.attempt(1)
    tail, seen = _tail(attempt), 0
    try:
        while True:
            active = follow and state_of(run).state.active
            lines = tail.poll()
            fresh = lines.count - seen
            for line in lines.lines[-fresh:] if fresh else ():
                print(line)
            seen = lines.count
            if not active:
                return ExitStatus.FINISHED
            time.sleep(POLL_SECONDS)
            if seen == 0:
                tail = _tail(attempt)
    except KeyboardInterrupt:
        return ExitStatus.DETACHED


def _tail(attempt: AttemptDirectory) -> LogTail:
    """Of what the trainer printed; of the preparation as long as there is nothing else."""
    return LogTail(attempt.log if attempt.log.exists() else attempt.starter_log)
