"""An operator: a home folder, the commands typed in it, and the runs left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.terminal import Terminal
from trainer.spec.run_directory import RunDirectory

PROGRAM = (sys.executable, "-m", "bert_tui")
KEPT_VARIABLES = ("BERT_TUI_BASE_IMAGE", "DOCKER_HOST", "PIP_", "SSL_CERT", "REQUESTS_CA", "LD_LIBRARY_PATH", "TMPDIR")


@dataclass
class Operator:
    """Everything typed here happens in ``home``, apart from the account's own files."""

    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    """Exported beside what every shell has."""

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        """What the shell exports."""
        kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT_VARIABLES)}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {"HOME": str(self.home), "PATH": path, "LANG": "C.UTF-8", **kept, **self.variables}

    def type(self, *words: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """A command without a terminal: ``bert-tui WORDS``, to its end."""
        return subprocess.run(
            [*PROGRAM, *words],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A command without a terminal, left running; its output comes by its pipe."""
        return subprocess.Popen(
            [*PROGRAM, *words],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def terminal(self, *words: str, size: tuple[int, int] = (80, 24)) -> Terminal:
        """``bert-tui WORDS`` on a terminal."""
        return Terminal([*PROGRAM, *words], environment=self.environment, size=size, cwd=str(self.home))

    def runs(self) -> list[dict[str, Any]]:
        """What ``bert-tui runs --json`` says of this operator's runs, newest first; containers show everybody's."""
        result = self.type("runs", "--json")
        assert result.returncode == 0, result.stderr
        listed: list[dict[str, Any]] = json.loads(result.stdout)
        return [run for run in listed if Path(run["directory"]).is_relative_to(self.home.parent)]

    def latest(self) -> RunDirectory:
        """The newest run."""
        return RunDirectory(Path(self.runs()[0]["directory"]))

    def wait_for_run(self, wanted: Callable[[dict[str, Any]], bool], seconds: float) -> dict[str, Any]:
        """The newest run as soon as it is as wanted."""
        until = time.monotonic() + seconds
        while True:
            runs = self.runs()
            if runs and wanted(runs[0]):
                return runs[0]
            assert time.monotonic() < until, (runs, self.logs())
            time.sleep(0.5)

    def logs(self) -> str:
        """What the newest run left to read, for the report of a failing test."""
        files = sorted(self.home.rglob("attempts/*/*.log"))
        return "\n".join(f"--- {path}\n{path.read_text(errors='replace')[-2000:]}" for path in files)

    def end_everything(self) -> None:
        """Ends runs that a failing test left alive."""
        for run in self.runs():
            if run["state"] in ("created", "preparing", "running", "stopping"):
                self.type("stop", run["run"], "--now")
