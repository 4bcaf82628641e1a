"""torchrun in a process of ours: ``python -m trainer.torchrun RANKS FOLDER MODULE ARGUMENTS``.

The same as the command torchrun, with two things more: it ends with its supervisor, and it writes down how each rank
ended, since its own exit status is 1 for everything.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from trainer.process_tree import PARENT, die_with_parent
from trainer.spec.run_directory import write_whole

FAILURES = "torchrun.json"
"""In the folder of the ranks' errors: a list of {"rank", "exit", "time"}; ``exit`` is negative for a signal."""
SHUTDOWN_SECONDS = 120
"""How long ranks may take to end after one of them failed, before they are killed."""


def main(arguments: list[str]) -> int:
    """Runs the ranks to their end; 0 if all of them ended well."""
    die_with_parent()
    os.environ[PARENT] = str(os.getpid())
    ranks, folder, program = int(arguments[0]), Path(arguments[1]), arguments[2:]
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        run.main(_arguments(ranks, folder, program, "--shutdown-timeout" in run.get_args_parser().format_help()))
    except ChildFailedError as error:
        failures = [
            {"rank": rank, "exit": failure.exitcode, "time": failure.timestamp}
            for rank, failure in sorted(error.failures.items())
        ]
        write_whole(folder / FAILURES, json.dumps(failures))
        print(error, file=sys.stderr)
        return 1
    return 0


def _arguments(ranks: int, folder: Path, program: list[str], knows_shutdown_timeout: bool) -> list[str]:
    """``--standalone`` would hang without a network, where the host's name resolves to nothing."""
    return [
        "--nnodes=1",
        f"--nproc-per-node={ranks}",
        "--max-restarts=0",
        "--rdzv-backend=c10d",
        "--rdzv-endpoint=127.0.0.1:0",
        "--local-addr=127.0.0.1",
        f"--log-dir={folder}",  # else a folder beside the attempt, which stays if we are killed
        *([f"--shutdown-timeout={SHUTDOWN_SECONDS}"] if knows_shutdown_timeout else []),
        "-m",
        *program,
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
