"""Promise 25 for every shipped size and many layouts, worlds of 1 to 512: the table of ``docs/memory.md``."""

from __future__ import annotations

import pytest

from docs.memory_table import CASES, Case, row
from tests.trainer.simulation import SHAPES, simulate
from trainer.spec.memory import memory_per_rank
from trainer.spec.sizing import GIB


@pytest.mark.benchmark
@pytest.mark.parametrize("case", CASES, ids=str)
def test_predicted_and_simulated_peak(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    shape = SHAPES[case.size]
    seen, predicted = simulate(shape, case.layout, case.work), memory_per_rank(shape, case.layout, case.work)
    with capsys.disabled():
        print(f"\n{row(case, shape, seen.peak / GIB)} {predicted.tensors / seen.peak - 1:+.1%}", end="")
    assert predicted.tensors == pytest.approx(seen.peak, rel=0.10)
