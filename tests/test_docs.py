"""Pages and lists that can be held against each other."""

from pathlib import Path

from bert_tui.presets import find_preset
from bert_tui.settings_table import with_table
from docs import layouts_at_scale, memory_table
from trainer.spec import scalar_tags
from trainer.spec.gpu_peak import PEAKS
from trainer.spec.preset_file import read_preset
from trainer.spec.sizing import shape_of


def test_the_table_of_settings_is_the_schema() -> None:
    page = Path("docs/presets.md").read_text(encoding="utf-8")
    assert page == with_table(page), "run: python -m bert_tui.settings_table"


def test_the_page_of_reports_has_every_tag_and_every_gpu() -> None:
    page = Path("docs/reports.md").read_text(encoding="utf-8")
    tags = [tag for name, tag in vars(scalar_tags).items() if name.isupper()]
    assert [tag for tag in tags if f"`{tag}`" not in page] == []
    rows = [f"| {peak.model} | {peak.tflops:g} | {peak.source} |" for peak in PEAKS]
    assert rows == [line for line in page.split("## Peaks of GPUs")[1].splitlines() if line.startswith("| ")][1:]


def test_layouts_at_scale_are_as_reckoned() -> None:
    page = layouts_at_scale.PAGE.read_text(encoding="utf-8")
    assert page == layouts_at_scale.with_table(page), "run: python docs/layouts_at_scale.py"


def test_memory_is_as_predicted() -> None:
    seen = memory_table.rows_of(memory_table.PAGE.read_text(encoding="utf-8"))
    assert len(seen) == len(memory_table.CASES)
    for line, case in zip(seen, memory_table.CASES, strict=True):
        shape = shape_of(read_preset(find_preset(f"bert-{case.size}"), find_preset).model, 4096 * (case.size == "tiny"))
        assert line == memory_table.row(case, shape, memory_table.simulated_of(line)), "run: docs/memory_table.py"


def test_the_image_has_what_the_tests_run_with() -> None:
    constraints = Path("constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in Path("trainer/requirements.txt").read_text(encoding="utf-8").splitlines() if "==" in line]
    assert len(pins) == 3
    assert set(pins) <= set(constraints)
