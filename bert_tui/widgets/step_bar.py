"""Where the operator is on the way through the wizard."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from bert_tui.wizard.answers import PAGES, Page

NAMES: dict[Page, str] = {
    "welcome": "Welcome",
    "environment": "Machine",
    "data": "Data",
    "model": "Model",
    "tensor": "Split",
    "review": "Review",
}
"""What each page is called."""


class StepBar(Static):
    """One line: pages done, the page at hand, pages to come; told apart by signs as well as colours."""

    DEFAULT_CSS = """
    StepBar { height: 1; background: $surface; padding: 0 2; color: $muted; text-wrap: nowrap; }
    """

    def __init__(self, page: Page) -> None:
        super().__init__(self._line(page))

    @staticmethod
    def _line(page: Page) -> Content:
        here = PAGES.index(page)
        parts: list[Content | tuple[str, str]] = [("bert-tui", "bold $accent"), ("   ", "")]
        for number, name in enumerate(NAMES.values()):
            if number == here:
                parts.append((f"▸ {name}", "bold $strong"))
            else:
                parts.append((f"✓ {name}" if number < here else f"  {name}", "$muted"))
            parts.append(("   ", ""))
        return Content.assemble(*parts)
