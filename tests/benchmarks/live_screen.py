"""The live screen of a run that goes on once a second, on this terminal: what the byte benchmark measures."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from bert_tui.app import run_app
from tests.staged_run import StagedRun, lm_loss, sop_loss, training_run


def main(folder: Path, gpus: int, seconds: int) -> int:
    """Stages a run with so many GPUs and watches it until that many seconds are over."""
    run = training_run(folder, 300)
    run.telemetry(gpus)
    run.progress(device="cuda" if gpus else "cpu")
    threading.Thread(target=go_on, args=(run, gpus, seconds), daemon=True).start()
    return run_app(run.directory)


def go_on(run: StagedRun, gpus: int, seconds: int) -> None:
    """Four steps, a reading of every device and a line of log each second; the curve is rescaled on the way."""
    for second in range(1, seconds + 1):
        time.sleep(1)
        run.now = time.time()
        step = 300 + 4 * second
        run.train(step - 3, step)
        run.progress(
            device="cuda" if gpus else "cpu", tokens_per_second=41_000.0 + 17 * second, eta_seconds=0.25 * (700 - step)
        )
        run.log(f"[rank0] step {step}/700 lm loss {lm_loss(step):.4f} sop loss {sop_loss(step):.4f}")
        run.telemetry(gpus, at=second)
    run.end("finished")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
