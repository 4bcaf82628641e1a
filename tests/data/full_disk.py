"""Builds on a disk that is too small, then on one that has room; prints what was seen, as JSON.

``unshare --map-root-user --mount python -m tests.data.full_disk FOLDER TEXT VOCABULARY`` needs no rights: the disk is a
tmpfs that only this process and its children see.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bert_tui.data.build import build
from bert_tui.data.build_folder import BuildFolder
from bert_tui.data.build_job import read_build
from bert_tui.data.order import BuildOrder
from trainer.spec.problem import DatasetError


def main(folder: Path, text: str, vocabulary: Path) -> None:
    """What a build says in each case."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "disk", str(folder)], check=True)
    order = BuildOrder((text,), folder / "out", 1, vocab_file=vocabulary)
    seen = [_code(order)]
    for size in ("3m", "6m"):
        # Named in full: else mount repeats the options it finds, of which an ordinary user may not set the owner.
        remount = ["mount", "-n", "-t", "tmpfs", "-o", f"remount,size={size}", "disk", str(folder)]
        subprocess.run(remount, check=True)
        seen.append(_code(order))
    print(json.dumps({"codes": seen, "documents": _documents(order)}))


def _code(order: BuildOrder) -> str:
    try:
        build(order, lambda progress: None)
    except DatasetError as error:
        view = read_build(BuildFolder(order.folder))
        assert (view.state, view.problems) == ("failed", error.problems), view
        assert not Path(f"{order.output}.idx").exists()
        return error.problems[0].code
    return "built"


def _documents(order: BuildOrder) -> int:
    result = read_build(BuildFolder(order.folder)).result
    return result.datasets[0].documents if result else 0


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
