"""Pages and lists that can be held against each other."""

from pathlib import Path

from bert_tui.settings_table import with_table
from trainer.spec import scalar_tags
from trainer.spec.gpu_peak import PEAKS


def test_the_table_of_settings_is_the_schema() -> None:
    page = Path("docs/presets.md").read_text(encoding="utf-8")
    assert page == with_table(page), "run: python -m bert_tui.settings_table"


def test_the_page_of_reports_has_every_tag_and_every_gpu() -> None:
    page = Path("docs/reports.md").read_text(encoding="utf-8")
    tags = [tag for name, tag in vars(scalar_tags).items() if name.isupper()]
    assert [tag for tag in tags if f"`{tag}`" not in page] == []
    rows = [f"| {peak.model} | {peak.tflops:g} | {peak.source} |" for peak in PEAKS]
    assert rows == [line for line in page.split("## Peaks of GPUs")[1].splitlines() if line.startswith("| ")][1:]


def test_the_image_has_what_the_tests_run_with() -> None:
    constraints = Path("constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in Path("trainer/requirements.txt").read_text(encoding="utf-8").splitlines() if "==" in line]
    assert len(pins) == 3
    assert set(pins) <= set(constraints)
