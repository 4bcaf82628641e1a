"""The pages about the model and its layout: setting back, and a calibration that goes on beside them."""

from __future__ import annotations

import os
from pathlib import Path

from textual.widgets import Static

from bert_tui.measured import measured_folder
from bert_tui.processes import host_name, started
from bert_tui.runs.calibration import STATUS, CalibrationStatus
from tests.screens.ground import laptop_app, reach, server_app, settled, until
from trainer.spec.records import to_json

SIZE = (80, 24)


async def test_a_changed_size_is_named_and_set_back_by_one_key() -> None:
    app = server_app()
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.show_page("model")
        await reach(pilot, "ModelPage")
        shipped = app.session.preset
        await pilot.press("f6", "ctrl+u", "6", "tab", "ctrl+u", *"640")
        await pilot.pause()
        effect = app.screen.query_one("#effect", Static)
        assert "bert-340m, changed: layers 6, width 640." in str(effect.render())
        assert (app.session.preset.model.heads, app.session.preset.train.warmup) == (10, 9900)
        await pilot.press("f5")
        await pilot.pause()
        assert app.session.preset == shipped
        assert "changed" not in str(effect.render())


async def test_a_calibration_under_way_is_found_and_its_end_is_told(clean_home: Path) -> None:
    alive = CalibrationStatus(host_name(), os.getpid(), started(os.getpid()) or 0.0, 2, 1, "tensor 2 x data 1")
    status = measured_folder() / STATUS
    status.write_text(to_json(alive))
    app = laptop_app()
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.show_page("tensor")
        await reach(pilot, "TensorParallelPage")
        notice = app.screen.query_one("#notice", Static)
        await until(pilot, lambda: "Measuring 2 of 2: tensor 2 x data 1." in str(notice.render()))
        assert {"f8", "f7"} & app.screen.active_bindings.keys() == {"f8"}
        status.write_text(to_json(CalibrationStatus(host_name(), os.getpid(), -1.0, 2, 2)))
        await until(pilot, lambda: "Measured 2 of 2 layouts." in str(notice.render()))
        assert {"f8", "f7"} & app.screen.active_bindings.keys() == {"f7"}
