"""What saving costs the training: BERT-base with AdamW's moments, from one process, to this machine's disk."""

import json
import statistics
from pathlib import Path

import pytest

from tests.trainer.small_run import torchrun, write_dataset

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]


def test_a_save(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_dataset(tmp_path)
    done = torchrun(1, "tests.benchmarks.checkpoint_saves", tmp_path, seconds=280)
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout)
    alone = statistics.median(seen["alone"])
    still = min(seen["standing still"])
    behind = min(seen["going on"], key=lambda save: save["pause"])
    meanwhile = statistics.median(behind["steps"])
    with capsys.disabled():
        print(
            f"\ncheckpoint of BERT-base, {seen['bytes'] / 1e9:.2f} GB: training waits {still:.2f} s for a save that it"
            f" stands still for, {behind['pause']:.2f} s for one that goes on behind it ({behind['seconds']:.2f} s in"
            f" all; a step takes {meanwhile:.2f} s meanwhile, {alone:.2f} s else);"
            f" {seen['verifying']:.2f} s to verify, {seen['loading']:.2f} s to verify and load"
        )
    assert behind["pause"] < 0.5 * still
