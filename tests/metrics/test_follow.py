"""Following metrics.bin: what a reader knows equals what a full reading of the file gives."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_tui.metrics.binning import BINS
from bert_tui.metrics.follow import RECENT, MetricsFollower
from bert_tui.metrics.series import Series
from trainer.spec.metrics_file import COLUMNS, MAGIC, MetricsWriter


def append(writer: MetricsWriter, step: int, loss: float, **more: float) -> None:
    writer.append({"step": step, "time": 1000.0 + step, "lm_loss": loss, **more})


def points(series: Series) -> dict[int, tuple[float, float]]:
    return {int(item.step): (item.low, item.high) for item in series.bins}


def test_a_curve_grows_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.bin"
    follower = MetricsFollower(path)
    assert not follower.poll()
    assert follower.curve("lm_loss") == Series()
    writer = MetricsWriter(path)
    follower.poll()
    append(writer, 1, 8.0)
    append(writer, 2, 7.0, lm_loss_validation=7.5)
    assert follower.poll()
    assert not follower.poll()
    assert points(follower.curve("lm_loss")) == {1: (8.0, 8.0), 2: (7.0, 7.0)}
    assert points(follower.curve("lm_loss_validation")) == {2: (7.5, 7.5)}
    append(writer, 3, 6.0)
    assert follower.poll()
    assert follower.last("lm_loss") == 6.0


def test_a_torn_tail_is_not_yet(tmp_path: Path) -> None:
    path = tmp_path / "metrics.bin"
    writer = MetricsWriter(path)
    append(writer, 1, 8.0)
    whole = path.read_bytes()
    record = struct.pack(f"<{len(COLUMNS)}d", 2.0, *[1.5] * (len(COLUMNS) - 1))
    follower = MetricsFollower(path)
    for cut in range(len(record)):
        path.write_bytes(whole + record[:cut])
        follower.poll()
        assert len(follower.curve("lm_loss").bins) == 1
    path.write_bytes(whole + record)
    assert follower.poll()
    assert points(follower.curve("lm_loss"))[2] == (1.5, 1.5)


def test_a_resume_replaces_what_it_does_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.bin"
    writer = MetricsWriter(path)
    for step in range(1, 10_001):
        append(writer, step, 1.0, lm_loss_validation=3.0 if step % 100 == 0 else math.nan)
    follower = MetricsFollower(path)
    follower.poll()
    writer.close()
    writer = MetricsWriter(path)
    for step in range(6_002, 6_101):
        append(writer, step, 2.0)
    follower.poll()
    curve = follower.curve("lm_loss", most=BINS)
    by_step = points(curve)
    assert curve.width == 4
    assert curve.last_step // 4 == 6_100 // 4
    assert by_step[5_996] == (1.0, 1.0)
    assert by_step[6_000] == (1.0, 2.0)  # 6,000 and 6,001 of the first attempt, 6,002 and 6,003 of the second
    assert by_step[6_004] == (2.0, 2.0)
    assert max(points(follower.curve("lm_loss_validation"))) <= 6_000
    recent = follower.recent("lm_loss")
    assert [item.step for item in recent.bins][-3:] == [6_098, 6_099, 6_100]
    assert len(recent.bins) <= RECENT


def test_not_finite_losses_are_gaps_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "metrics.bin"
    writer = MetricsWriter(path)
    for step, loss in enumerate([5.0, math.nan, math.inf, -math.inf, 4.0], start=1):
        append(writer, step, loss)
    follower = MetricsFollower(path)
    follower.poll()
    assert [item.is_gap for item in follower.curve("lm_loss").bins] == [False, True, True, True, False]
    assert follower.not_finite == 3
    assert follower.last("lm_loss") == 4.0


def test_memory_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "metrics.bin"
    writer = MetricsWriter(path)
    follower = MetricsFollower(path)
    for step in range(1, 3 * BINS):
        append(writer, step, float(step))
        if step % 1000 == 0:
            follower.poll()
    follower.poll()
    curve = follower.curve("lm_loss", most=512)
    assert len(curve.bins) <= 512
    assert curve.bins[-1].high == 3 * BINS - 1
    assert curve.extent() == (1.0, 3 * BINS - 1)


def test_a_file_put_in_its_place_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "metrics.bin"
    append(MetricsWriter(path), 7, 1.0)
    follower = MetricsFollower(path)
    follower.poll()
    path.rename(tmp_path / "old.bin")
    append(MetricsWriter(path), 3, 2.0)
    assert follower.poll()
    assert points(follower.curve("lm_loss")) == {3: (2.0, 2.0)}


@pytest.mark.parametrize("content", [b"", b"nonsense", MAGIC, MAGIC + b"\xff\xff\xff\xff{}", MAGIC + b"\2\0\0\0{}abc"])
def test_a_foreign_file_has_no_curves(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "metrics.bin"
    path.write_bytes(content)
    follower = MetricsFollower(path)
    assert not follower.poll()
    assert follower.last("lm_loss") is None


step_values = st.one_of(st.integers(0, 60).map(float), st.floats(width=64))


@settings(max_examples=150, deadline=None)
@given(
    records=st.lists(st.tuples(step_values, st.floats()), max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=5),
    tail=st.binary(max_size=50),
)
def test_reading_in_pieces_equals_reading_at_once(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[tuple[float, float]],
    cuts: list[int],
    tail: bytes,
) -> None:
    path = tmp_path_factory.mktemp("wild") / "metrics.bin"
    writer = MetricsWriter(path)
    follower = MetricsFollower(path)
    for number, (step, loss) in enumerate(records):
        writer.append({"step": step, "lm_loss": loss})
        if number in cuts:
            follower.poll()
    with path.open("ab") as file:
        file.write(tail)
    follower.poll()
    at_once = MetricsFollower(path)
    at_once.poll()
    assert follower.curve("lm_loss_validation") == at_once.curve("lm_loss_validation")
    if all(step <= 60 for step, _ in records):
        expected = standing(records)
        seen = {item.step: item.low for item in at_once.curve("lm_loss").bins if not item.is_gap}
        assert seen == {step: loss for step, loss in expected.items() if math.isfinite(loss)}
        assert repr(follower.curve("lm_loss")) == repr(at_once.curve("lm_loss"))
        assert repr(follower.recent("lm_loss")) == repr(at_once.recent("lm_loss"))


def standing(records: list[tuple[float, float]]) -> dict[int, float]:
    """What counts: a record that goes back to a step does away with that step and all above it."""
    known: dict[int, float] = {}
    for step, loss in records:
        if step >= 0:
            number = math.floor(step)
            known = {other: value for other, value in known.items() if other < number}
            known[number] = loss
    return known
