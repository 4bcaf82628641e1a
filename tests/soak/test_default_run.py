"""What somebody gets who presses nothing but Enter, on a machine with neither Docker nor a GPU."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from bert_tui.runs.state import state_of
from tests.conftest import NO_ENGINE
from tests.end_to_end.operator import Operator

PAGES = (
    "Train a BERT model",
    "Is this machine fit?",
    "Which text",
    "How large is the model?",
    "How is the model split?",
    "This is what will happen",
)
FIRST_LOSS_SECONDS = 60
ALL_SECONDS = 300
NATS_BELOW_GUESSING = 0.6


@pytest.mark.soak
@pytest.mark.timeout(480)
def test_nothing_but_enter(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "home", {"DOCKER_HOST": NO_ENGINE})
    try:
        _press_enter_to_the_end(operator)
    finally:
        operator.end_everything()


def _press_enter_to_the_end(operator: Operator) -> None:
    with operator.terminal() as terminal:
        for heading in PAGES:
            terminal.wait_for(heading, 15)
            terminal.wait_for(lambda screen: "Looking" not in screen, 30)
            terminal.press("enter")
        began = time.monotonic()
        terminal.wait_for(lambda screen: bool(re.search(r"MLM loss +\d", screen)), FIRST_LOSS_SECONDS)
        first_loss = time.monotonic() - began
        screen = terminal.wait_for("Finished: all 2,000 steps are done", ALL_SECONDS - first_loss)
        everything = time.monotonic() - began
        terminal.press("ctrl+q")
        assert terminal.wait_exit(5) == 0

    view = state_of(operator.latest())
    assert view.progress is not None
    validation = view.progress.validation
    assert validation is not None
    assert validation.lm_loss is not None
    assert validation.unigram_loss is not None
    gain = validation.unigram_loss - validation.lm_loss
    print(
        f"\nfirst loss on the screen after {first_loss:.1f} s, finished after {everything:.1f} s; validation lm loss "
        f"{validation.lm_loss:.3f}, guessing by word frequency {validation.unigram_loss:.3f}: {gain:.3f} nats below"
    )
    assert validation.step == view.progress.total_steps
    assert gain >= NATS_BELOW_GUESSING
    assert re.search(rf"validation at step 2,000: +{validation.lm_loss:.3f}", screen), screen
    assert re.search(rf"word frequency +{validation.unigram_loss:.2f}", screen), screen
