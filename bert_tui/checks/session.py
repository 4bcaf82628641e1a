"""The checklist's questions about the operator's own session: line and terminal. They advise and never forbid."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping

from bert_tui.checks.check import Finding
from bert_tui.checks.runner import Subject, question
from bert_tui.invocation import program

TERMINAL = (80, 24)
"""The smallest window, in columns and rows, in which nothing is cut off."""
TMUX_SECONDS = 1.0


def line(subject: Subject) -> Finding:
    """Whether this is a remote session; the run survives it either way."""
    return describe_line(os.environ, tmux_installed=shutil.which("tmux") is not None)


def describe_line(environment: Mapping[str, str], *, tmux_installed: bool) -> Finding:
    """The session that these variables tell of."""
    remote = "over SSH" if environment.get("SSH_CONNECTION") else "at this machine"
    if environment.get("TMUX"):
        return Finding("pass", f"{remote}, in tmux", *_copying())
    if environment.get("STY"):
        return Finding("pass", f"{remote}, in screen")
    meaning = f"If the line drops, the run goes on; {program()} shows it again."
    wants_tmux = bool(environment.get("SSH_CONNECTION")) and tmux_installed
    return Finding("pass", remote, meaning, "To come back to this very screen: tmux new -A -s bert" * wants_tmux)


def terminal(subject: Subject) -> Finding:
    """Window size and character set."""
    size = shutil.get_terminal_size()
    seen = f"{size.columns} x {size.lines}"
    if size.columns < TERMINAL[0] or size.lines < TERMINAL[1]:
        return Finding("warn", seen, "Some lines are cut off.", "Enlarge it to 80 x 24.")
    encoding = getattr(sys.__stdout__, "encoding", "utf-8")
    if "utf" not in encoding.lower():
        return Finding("warn", f"{seen}, {encoding}", "Some signs may look wrong.", "export LANG=C.UTF-8")
    return Finding("pass", seen)


def _copying() -> tuple[str, str]:
    """What tmux has to be told so that what is copied here reaches the operator's computer: by default it keeps that
    to itself (option ``set-clipboard`` is "external")."""
    command = ["tmux", "show-options", "-sv", "set-clipboard"]
    try:
        asked = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TMUX_SECONDS)
    except (OSError, subprocess.TimeoutExpired):  # it cannot be asked, so there is nothing to advise
        return "", ""
    if asked.returncode or asked.stdout.strip() == "on":
        return "", ""
    return "tmux keeps what is copied here to itself; a file has it too.", "tmux set -s set-clipboard on"


SESSION_CHECKS = (
    question("session.line", "Session", line),
    question("session.terminal", "Terminal", terminal),
)
"""Every question about the session, in the order in which they are shown."""
