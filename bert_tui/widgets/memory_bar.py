"""How much of the memory that is there would be used."""

from __future__ import annotations

from textual.content import Content


def memory_bar(used: int, available: int, width: int = 12) -> Content:
    """A bar of ``width`` cells; its colour says how close to the limit it is, the filled cells say the same."""
    share = min(1.0, used / available) if available else 1.0
    filled = max(1, round(share * width)) if used else 0
    colour = "$error" if used > available else "$warning" if share > 0.9 else "$success"
    return Content.assemble(("━" * filled, colour), ("─" * (width - filled), "$faint"))
