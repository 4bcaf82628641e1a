"""Which GPUs the live runs have."""

from __future__ import annotations

from bert_tui.runs.registry import find_runs
from bert_tui.runs.state import RunState, state_of
from trainer.spec.records import Request, read_record
from trainer.spec.run_directory import RunDirectory


def held_gpus() -> dict[str, str]:
    """The run's id for the UUID of each GPU that a live run has or is about to take. A lost run counts as live: its
    processes may still be there."""
    return {uuid: run.id for run in find_runs() if (gpus := _gpus_of(run)) and _is_live(run) for uuid in gpus}


def _gpus_of(run: RunDirectory) -> tuple[str, ...]:
    attempt = run.latest()
    request = read_record(Request, attempt.request) if attempt else None
    return request.gpus if request else ()


def _is_live(run: RunDirectory) -> bool:
    state = state_of(run).state
    return state.active or state is RunState.LOST
