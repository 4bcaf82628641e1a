"""How this program is called from the shell it was started in."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

NAME = "bert-tui"


def program() -> str:
    """``bert-tui`` where the shell finds it, else the path of its script: what a line to type has to begin with."""
    script = Path(sys.executable).with_name(NAME)
    if shutil.which(NAME) or not script.exists():
        return NAME
    here = Path.cwd()
    return shlex.quote(str(script.relative_to(here) if script.is_relative_to(here) else script))


def python() -> str:
    """The Python that runs this program, as a line to type has to name it: pip in another one installs elsewhere."""
    return shlex.quote(sys.executable)
