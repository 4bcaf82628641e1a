"""How a rank ends: an error is recorded for the supervisor, and nothing lingers."""

from __future__ import annotations

import json
import os
import re
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import torch

from trainer.process_tree import die_with_parent
from trainer.spec.problem import Problem, SpecError
from trainer.spec.run_directory import FULL_DISK, write_whole

LOST_PEER = re.compile(
    "Connection closed by peer|Connection reset by peer|Broken pipe|Timed out waiting|caused pair closure"  # gloo
    "|communicator was aborted|remote process exiting|operation timeout"  # NCCL
    "|Connection was likely closed"  # the store through which ranks find each other
)
"""torch has no exception of its own for a rank that is gone or silent; these are the words of its transports."""
NO_MEMORY = re.compile("can't allocate memory|out of memory|std::bad_alloc|could not create a (primitive|memory)")
"""Nor for a CPU without memory, nor for NCCL on a GPU without: the words of torch, NCCL, C++ and oneDNN."""


def run_rank(work: Callable[[], None], errors: Path) -> int:
    """Does the work of a rank that torchrun has started; an error is recorded in ``errors``. Returns the status."""
    die_with_parent()
    try:
        work()
    except Exception as error:
        traceback.print_exc()
        _record(error, errors / f"{os.environ['RANK']}.error.json")
        return 1
    return 0


def end(status: int) -> NoReturn:
    """Ends the process at once.

    The interpreter's own ending races with gloo's threads, which may abort the process after a good run
    (pytorch#179291); all files are closed by now.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def problem_of(error: Exception) -> Problem:
    """What an exception that ends a rank stands for."""
    if isinstance(error, SpecError):
        return error.problems[0]
    reason = (str(error) or type(error).__name__).splitlines()[0]
    if _lacks_memory(error):
        return Problem("training.out_of_memory", type(error).__name__, "", {"reason": reason})
    if isinstance(error, RuntimeError) and LOST_PEER.search(str(error)):
        return Problem("training.peer_lost", f"rank {os.environ['RANK']}", "", {"reason": reason})
    if isinstance(error, OSError) and error.errno in FULL_DISK:
        return Problem("training.disk_full", str(error.filename or ""), "", {"reason": reason})
    return Problem("training.exception", type(error).__name__, "", {"reason": reason})


def _lacks_memory(error: Exception) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and NO_MEMORY.search(str(error)) is not None


def _record(error: Exception, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    record = {
        "problem": problem_of(error).as_json(),
        "message": f"{type(error).__name__}: {error}".splitlines()[0],
        "traceback": "".join(traceback.format_exception(error)),
        "time": time.time(),
    }
    write_whole(path, json.dumps(record))
