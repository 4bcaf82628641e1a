from __future__ import annotations

import pytest

from bert_tui.step_time import PCIE, Batch, Speed, link_of, step_time
from trainer.spec.sizing import Layout, Shape

LARGE = Shape(24, 1024, 16, 512, 30522)
HUGE = Shape(48, 6144, 96, 512, 30522)
A100 = Speed("cuda", 78e12, 200e9)


def rate(shape: Shape, layout: Layout, rows: int, micro_batch: int = 4) -> float:
    """Rows a second of each GPU."""
    return rows / step_time(shape, layout, Batch(rows, micro_batch), A100).total / layout.ranks


def test_a_model_that_fits_one_gpu_is_about_four_times_as_fast_there_as_on_four() -> None:
    """As NVIDIA's recorded runs of BERT-large: 37.9 against 9.7 TFLOP/s a GPU."""
    assert 3 < rate(LARGE, Layout(1, 8), 128) / rate(LARGE, Layout(4, 2), 128) < 5


def test_a_large_model_loses_little_by_tensor_parallel() -> None:
    """77 to 95 % is published for 8 to 2 GPUs and models of billions of parameters (arXiv 1909.08053)."""
    assert 0.7 < rate(HUGE, Layout(8, 1), 32) / rate(HUGE, Layout(1, 8), 32) < 1


@pytest.mark.parametrize("layout", [Layout(2, 4), Layout(2, 4, sequence=True), Layout(1, 8, shard="full")])
def test_slower_links_and_computing_twice_cost_time(layout: Layout) -> None:
    batch, slow = Batch(64, 4), Speed("cuda", 78e12, 5e9)
    again = Layout(layout.tensor, layout.data, layout.sequence, layout.shard, "full")
    assert step_time(HUGE, layout, batch, slow).total > step_time(HUGE, layout, batch, A100).total
    assert step_time(HUGE, again, batch, A100).total > step_time(HUGE, layout, batch, A100).total


def test_links_are_known_by_the_drivers_name() -> None:
    assert link_of("NVIDIA A100-SXM4-80GB") == 200e9
    assert link_of("NVIDIA H100 80GB HBM3") == 370e9
    assert {link_of(name) for name in ("NVIDIA A100 80GB PCIe", "NVIDIA H100 PCIe", "NVIDIA L4")} == {PCIE}
