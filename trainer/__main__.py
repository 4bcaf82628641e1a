"""What torchrun starts on every rank: ``python -m trainer ATTEMPT_DIR``."""

from __future__ import annotations

import sys
from pathlib import Path

from trainer.rank_end import end, run_rank
from trainer.spec.run_directory import AttemptDirectory
from trainer.train import train


def main() -> int:
    """Trains. Returns the exit status."""
    attempt = AttemptDirectory(Path(sys.argv[1]).resolve())
    return run_rank(lambda: train(attempt), attempt.rank_errors)


if __name__ == "__main__":
    end(main())
