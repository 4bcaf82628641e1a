"""The few signs beyond ASCII that the live view draws, and what stands in for them on a poor terminal."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Glyphs:
    """One set of signs."""

    ascii_only: bool
    bar_full: str
    bar_empty: str
    axis: str
    corner: str
    degree: str


RICH = Glyphs(False, "█", "░", "│", "└", "°")
ASCII = Glyphs(True, "#", ".", "|", "+", " ")


def glyphs() -> Glyphs:
    """ASCII where ``BERT_TUI_ASCII`` asks for it, on the Linux console, or where the terminal takes no UTF-8."""
    poor = os.environ.get("TERM") in ("linux", "vt100", "vt220", "dumb")
    encoding = (getattr(sys.__stdout__, "encoding", "") or "").lower().replace("-", "")
    return ASCII if poor or os.environ.get("BERT_TUI_ASCII", "0") not in ("", "0") or encoding != "utf8" else RICH
