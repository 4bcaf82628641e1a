"""Makes the pictures of the README from the real program: python docs/make_pictures.py HOME

Walks through the wizard as somebody whose home folder is HOME and empty, chooses the container, starts the training,
and takes the review page and the live view half-way. Takes some minutes; the run is ended afterwards.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

PICTURES = Path(__file__).parent / "pictures"
SIZE = (96, 30)
STEP = 1200


async def make_pictures() -> None:
    """Writes ``review.svg`` and ``monitor.svg``."""
    from textual.pilot import Pilot

    from bert_tui.app import BertTui
    from bert_tui.runs.control import kill_run
    from bert_tui.runs.registry import find_run
    from bert_tui.runs.state import state_of

    async def until(pilot: Pilot[int], page: str) -> None:
        while page not in type(pilot.app.screen).__name__:
            await pilot.pause(0.2)
        await pilot.pause(1)

    app = BertTui()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, "Welcome")
        while not app.session.settled:
            await pilot.pause(0.2)
        await pilot.press("f3")
        await until(pilot, "Environment")
        await pilot.press("up")
        for page in ("Data", "Model", "TensorParallel", "Review"):
            await pilot.press("f3")
            await until(pilot, page)
        (PICTURES / "review.svg").write_text(app.export_screenshot(title="bert-tui"), encoding="utf-8")
        await pilot.press("f3")
        await until(pilot, "Monitor")
        run = find_run("latest")
        while (progress := state_of(run).progress) is None or progress.step < STEP:
            await pilot.pause(1)
        await pilot.pause(3)
        (PICTURES / "monitor.svg").write_text(app.export_screenshot(title="bert-tui"), encoding="utf-8")
        kill_run(run)


if __name__ == "__main__":
    os.environ.update(HOME=sys.argv[1], XDG_STATE_HOME="", XDG_CACHE_HOME="")
    for variable in ("CHECKPOINT_PATH", "TENSORBOARD_LOGS_PATH", "VOCAB_FILE", "DATA_PATH"):
        os.environ.pop(variable, None)
    asyncio.run(make_pictures())
