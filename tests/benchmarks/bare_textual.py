"""A trivial Textual application, stock: what any program of this kind costs."""

from textual.app import App, ComposeResult
from textual.widgets import Footer, Static


class Bare(App[None]):
    """One line and the keys."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS = [("ctrl+q", "quit", "Quit")]

    def compose(self) -> ComposeResult:
        """Both."""
        yield Static("Train a BERT model")
        yield Footer()


if __name__ == "__main__":
    Bare().run()
