"""Pages and lists that can be held against each other."""

from pathlib import Path

from bert_tui.settings_table import with_table


def test_the_table_of_settings_is_the_schema() -> None:
    page = Path("docs/presets.md").read_text(encoding="utf-8")
    assert page == with_table(page), "run: python -m bert_tui.settings_table"


def test_the_image_has_what_the_tests_run_with() -> None:
    constraints = Path("constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in Path("trainer/requirements.txt").read_text(encoding="utf-8").splitlines() if "==" in line]
    assert len(pins) == 3
    assert set(pins) <= set(constraints)
