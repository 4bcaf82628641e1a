"""Windows stay within the run, whatever keys are pressed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bert_tui.metrics.window import NARROWEST, Window, last_steps

keys = st.sampled_from(["in", "out", "left", "right"])


@given(st.integers(1, 10**8), st.lists(keys, max_size=40), st.none() | st.integers(0, 10**8))
def test_a_window_never_leaves_the_run(end: int, pressed: list[str], cursor: int | None) -> None:
    window = Window(0, max(end, NARROWEST))
    for key in pressed:
        match key:
            case "in":
                window = window.zoomed(0.5, cursor, end)
            case "out":
                window = window.zoomed(2, cursor, end)
            case "left":
                window = window.panned(-0.25, end)
            case "right":
                window = window.panned(0.25, end)
        assert 0 <= window.low < window.high <= max(end, NARROWEST)
        assert window.width >= NARROWEST


def test_zooming_holds_the_crosshair_where_it_is() -> None:
    window = Window(1000, 2000).zoomed(0.5, 1200, 10_000)
    assert window == Window(1100, 1600)
    assert (1200 - window.low) / window.width == 0.2
    assert Window(1000, 2000).zoomed(0.5, None, 10_000) == Window(1250, 1750)


def test_the_last_steps_leave_room_and_seldom_move() -> None:
    assert last_steps(412, 100) == Window(310, 420)
    assert last_steps(419, 100) == Window(310, 420)
    assert last_steps(50, 100) == Window(0, 110)
