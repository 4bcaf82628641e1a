"""A chart equals what a full reading of the file gives, at every zoom."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bert_tui.metrics.chart_picture import ChartWish
from bert_tui.metrics.chart_reader import ChartReader
from bert_tui.metrics.chart_words import reading, remarks
from bert_tui.metrics.charts import CHARTS, TOKENS_PER_SECOND
from bert_tui.metrics.follow import MetricsFollower
from bert_tui.metrics.normality import verdict
from bert_tui.metrics.reference import NoReference, Reference, reference_for, references
from bert_tui.metrics.series import Bin, Gap, Series
from bert_tui.metrics.window import Window
from tests.staged_run import lm_loss, training_run
from trainer.spec.metrics_file import MetricsWriter
from trainer.spec.preset import Data, Model, Preset, Train


def write(path: Path, steps: Iterable[int]) -> dict[int, float]:
    """Records of these steps in this order; gives what stands at the end."""
    writer = MetricsWriter(path)
    standing: dict[int, float] = {}
    for number, step in enumerate(steps):
        standing = {known: value for known, value in standing.items() if known < step} | {step: float(number)}
        writer.append({"step": step, "time": 1000 + number, "lm_loss": number, "tokens": 10 * step, "step_seconds": 2})
    writer.close()
    return standing


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 1500)), min_size=1, max_size=5),
    st.integers(0, 3000),
    st.integers(1, 600),
    st.integers(0, 1),
)
def test_a_window_shows_what_stands_in_the_file(
    tmp_path: Path, attempts: list[tuple[int, int]], low: int, width: int, late: int
) -> None:
    """Attempts begin anywhere, and go on from there; the follower may have read the first before the others came."""
    path = tmp_path / "metrics.bin"
    path.unlink(missing_ok=True)
    steps = [[*range(first, first + length)] for first, length in attempts]
    follower = MetricsFollower(path, {"lm_loss": True, TOKENS_PER_SECOND: False}, bins=64)
    if late:
        write(path, steps[0])
        follower.poll()
        path.unlink()
    standing = write(path, [step for attempt in steps for step in attempt])
    follower.poll()
    shown = follower.window(low, low + width, 1024)
    inside = {step: value for step, value in standing.items() if low <= step <= low + width}
    exact = {int(item.step): item.mean for item in shown["lm_loss"].bins if low <= item.step <= low + width}
    if shown["lm_loss"].width == 1:
        assert exact == inside
        assert all(item.mean == pytest.approx(5.0) for item in shown[TOKENS_PER_SECOND].bins)
    else:
        assert not inside or math.isclose(max(inside.values()), max(item.high for item in shown["lm_loss"].bins))
    for step in (low, low + width):
        below = [known for known in standing if known <= step]
        assert follower.record(step).get("lm_loss") == (standing[max(below)] if below else None)


def test_the_chart_of_a_run(tmp_path: Path) -> None:
    run = training_run(tmp_path)
    reader = ChartReader(run.directory)
    picture = reader.read(ChartWish())
    assert {line.kind for line in picture.lines} == {"training", "validation", "baseline"}
    assert picture.x.high == 700
    told = reading(reader.read(ChartWish(cursor=333)))
    assert told.startswith(f"step 333: MLM loss {lm_loss(333):.6g}  validation {lm_loss(300) + 0.05:.6g} (step 300)")
    zoomed = reader.read(ChartWish(window=Window(100, 140)))
    training = next(line for line in zoomed.lines if line.kind == "training")
    assert [item.step for item in training.series.bins] == list(range(100, 141))
    by_time = reader.read(ChartWish(x="time", window=Window(101, 141)))
    assert (by_time.x.low, by_time.x.high) == pytest.approx((20.0, 28.0))
    for chart in CHARTS:
        reader.read(ChartWish(chart=chart, x="tokens", logarithmic=True))


def test_gaps_are_named_to_the_step(tmp_path: Path) -> None:
    run = training_run(tmp_path, 100)
    run.train(101, 300, nan=range(150, 200))
    run.train(301, 320, nan=range(310, 311))
    picture = ChartReader(run.directory).read(ChartWish())
    assert picture.gaps == (Gap(150, 199), Gap(310, 310))
    assert "! no finite number at steps 150 to 199, step 310" in remarks(picture)


def test_other_runs_are_laid_over(tmp_path: Path) -> None:
    one, other = training_run(tmp_path / "one"), training_run(tmp_path / "other", 600)
    picture = ChartReader(one.directory).read(ChartWish(cursor=50, overlays=(other.directory.path,)))
    assert picture.end == 600
    assert [line.label for line in picture.lines if line.kind == "first"] == ["bert-tiny-00ab"]
    assert f"a {lm_loss(50):.6g}" in reading(picture)


LARGE = Preset(
    model=Model(layers=24, hidden=1024, heads=16), data=Data(sentence_order=False), train=Train(global_batch=32)
)


def test_a_reference_is_shown_for_its_own_setting_only() -> None:
    found = reference_for(LARGE)
    assert isinstance(found, Reference)
    assert found.loss_at(1000) == 6.2
    assert found.loss_at(20_001) is None
    other = reference_for(Preset(model=LARGE.model, train=Train(global_batch=256)))
    assert other == NoReference(
        "No reference for this setting: NVIDIA's run had 32 rows a step (here 256), no sentence order."
    )


def flat(loss: float, last: int = 3000) -> Series:
    return Series(1, tuple(Bin(step, loss, loss, loss) for step in range(1, last)))


def test_whether_a_loss_is_normal() -> None:
    reference = references()[0]
    assert "6.16 at step 2,999, this one has 6.30: normal. It too stood near 6.1" in verdict(flat(6.3), reference)
    assert "higher than it should be" in verdict(flat(9.0), reference)
    assert "A pause at 6 to 7 early on is normal for BERT" in verdict(flat(6.3), None)
    assert verdict(flat(2.0), None) == "The loss has levelled off near 2.00."
    risen = Series(1, (*flat(3.0).bins, *(Bin(step, 8.0, 8.0, 8.0) for step in range(3000, 4000))))
    assert verdict(risen, reference).startswith("The loss has risen by 5.00 from its lowest, 3.00.")
    assert verdict(flat(6.0, 10), None) == ""
