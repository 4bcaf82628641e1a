"""F1: what is under the cursor, with an example."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static

from bert_tui.wizard.topics import explained_topic

CLOSES, SCROLLS = "Enter or Escape closes", "Arrow keys and Page Down show more"


def explanation(widget: Widget | None) -> tuple[str, str]:
    """Title and text for what has the cursor."""
    return explained_topic(
        next((found for node in _upwards(widget) if (found := getattr(node, "field", ""))), "buttons")
    )


def _upwards(widget: Widget | None) -> list[Widget]:
    return [] if widget is None else [node for node in widget.ancestors_with_self if isinstance(node, Widget)]


class HelpScreen(ModalScreen[None]):
    """A box with the explanation; any of Enter, Escape and F1 closes it."""

    BINDINGS = [Binding("escape,enter,f1,f2,f3,q", "dismiss", "Close")]

    DEFAULT_CSS = """
    HelpScreen {
        align: center middle;
        #help { width: 72; max-width: 100%; height: auto; max-height: 100%; background: $surface; padding: 1 2; }
        #help-text { height: auto; scrollbar-size-vertical: 1; background: $surface; }
        #help-keys { height: 1; margin-top: 1; color: $muted; }
    }
    """

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._heading = title
        self._text = text

    def compose(self) -> ComposeResult:
        """The box."""
        with Vertical(id="help"):
            with VerticalScroll(id="help-text"):
                yield Static(Content.assemble((self._heading, "bold $strong"), "\n\n", self._text))
            yield Static(CLOSES, id="help-keys")

    def on_resize(self) -> None:
        """Leaves room for the line of keys."""
        self.query_one("#help-text").styles.max_height = max(1, self.size.height - 4)
        self.call_after_refresh(self._name_keys)

    def _name_keys(self) -> None:
        """Those that move the text too, where there is more of it than fits."""
        text = self.query_one("#help-text", VerticalScroll)
        self.query_one("#help-keys", Static).update(f"{SCROLLS}. {CLOSES}." if text.max_scroll_y else CLOSES)
