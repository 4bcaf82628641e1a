"""Trains on a disk of a few megabytes that fills up and is emptied again; prints what was seen, as JSON.

``unshare --map-root-user --mount python -m tests.trainer.full_disk FOLDER LOG`` needs no rights: the disk is a tmpfs
that only this process and its children see.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from io import FileIO
from pathlib import Path
from typing import Any

from tests.trainer.small_run import metrics, progress_when, small_preset, start_torchrun, write_attempt, write_dataset
from trainer.spec.records import Progress
from trainer.spec.run_directory import AttemptDirectory

DISK_BYTES = 8 << 20
LEFT_BYTES = 512 << 10
"""Less than a checkpoint asks for, and enough for the small files."""
FULL_SECONDS = 3.0


def main(folder: Path, log: Path) -> None:
    """The disk fills up in two steps."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "disk", str(folder)], check=True)
    write_dataset(folder)
    preset = small_preset(folder, train__steps=100000, train__decay=100000, checkpoint__every=20)
    attempt = write_attempt(folder, 1, preset)
    with log.open("w") as output, start_torchrun(1, "trainer", attempt.path, output=output) as process:
        try:
            facts = fill_and_empty(folder / "filler", attempt)
            attempt.stop_request.touch()
            facts["exit"] = process.wait(60)
        finally:
            process.kill()
    facts["records"] = [(row["step"], row["time"]) for row in metrics(attempt.run)]
    print(json.dumps(facts))


def fill_and_empty(filler: Path, attempt: AttemptDirectory) -> dict[str, Any]:
    """What ``progress.json`` said meanwhile."""
    progress_when(attempt, lambda seen: seen.last_checkpoint is not None)
    with filler.open("wb", buffering=0) as file:
        fill(file, leave=LEFT_BYTES)
        refused = progress_when(attempt, lambda seen: seen.not_saved is not None)
        fill(file, leave=0)
        full = time.time()
        time.sleep(FULL_SECONDS)
    filler.unlink()
    emptied = time.time()

    def recovered(seen: Progress) -> bool:
        return seen.not_saved is None and (seen.last_checkpoint or 0) > (refused.last_checkpoint or 0)

    progress_when(attempt, recovered)
    assert refused.not_saved is not None
    return {"code": refused.not_saved.problem.code, "full": full, "emptied": emptied}


def fill(file: FileIO, leave: int) -> None:
    """Takes all room of the disk, then gives back ``leave`` bytes."""
    try:
        while file.write(bytes(4096)):
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    file.seek(-leave, os.SEEK_END)
    file.truncate()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
