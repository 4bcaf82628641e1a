"""``python -m bert_tui``."""

from bert_tui.cli import entry

entry()
