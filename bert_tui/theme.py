"""Colours. Every one lies exactly on the 256-colour palette, so that a line without truecolor shows the same."""

from __future__ import annotations

from textual.theme import Theme

QUIET = Theme(
    name="quiet",
    primary="#87afff",
    secondary="#8a8a8a",
    accent="#87afff",
    success="#87d787",
    warning="#ffd75f",
    error="#ff8787",
    foreground="#d0d0d0",
    background="#1c1c1c",
    surface="#262626",
    panel="#303030",
    dark=True,
    variables={
        "muted": "#8a8a8a",
        "faint": "#585858",
        "strong": "#ffffff",
        "block-cursor-background": "#303030",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#1c1c1c",
        "block-cursor-blurred-foreground": "#d0d0d0",
        "block-cursor-blurred-text-style": "none",
        "block-hover-background": "#262626",
        "border": "#87afff",
        "border-blurred": "#444444",
        "text-disabled": "#6c6c6c",
        "input-cursor-background": "#87afff",
        "input-cursor-foreground": "#1c1c1c",
        "input-selection-background": "#444444",
        "footer-background": "#262626",
        "footer-foreground": "#d0d0d0",
        "footer-key-foreground": "#87afff",
        "footer-description-foreground": "#b2b2b2",
        "scrollbar": "#444444",
        "scrollbar-hover": "#585858",
        "scrollbar-active": "#87afff",
        "scrollbar-background": "#1c1c1c",
        "scrollbar-background-hover": "#1c1c1c",
        "scrollbar-background-active": "#1c1c1c",
        "scrollbar-corner-color": "#1c1c1c",
    },
)
"""Grey, one accent, three colours of state."""

ANSI_VARIABLES = {"muted": "ansi_default", "faint": "ansi_default", "strong": "ansi_default"}
"""What the theme's own names mean in the terminal's own colours (NO_COLOR)."""
