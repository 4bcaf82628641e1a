"""The table of every setting in ``docs/presets.md``, derived from the schema.

``python -m bert_tui.settings_table`` writes it anew; a test compares it with the page.
"""

from __future__ import annotations

from pathlib import Path

from trainer.spec.preset import Preset, get, settings
from trainer.spec.toml_text import toml_value

BEGIN = "<!-- settings: derived from trainer/spec/preset.py; a test compares -->"
END = "<!-- end of settings -->"


def settings_table() -> str:
    """A Markdown table: name, default, meaning."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for section, key, setting in settings():
        value = get(Preset(), f"{section}.{key}")
        default = "open" if value in (None, ()) else f"`{toml_value(value)}`"
        rows.append(f"| `{section}.{key}` | {default} | {setting.help} Example: `{setting.example}` |")
    return "\n".join(rows)


def with_table(page: str) -> str:
    """The page with its table as it should be."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{settings_table()}\n{END}{after}"


if __name__ == "__main__":
    path = Path("docs/presets.md")
    path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")
