"""The pages that can be held against the code."""

from pathlib import Path

from bert_tui.settings_table import with_table


def test_the_table_of_settings_is_the_schema() -> None:
    page = Path("docs/presets.md").read_text(encoding="utf-8")
    assert page == with_table(page), "run: python -m bert_tui.settings_table"
