"""Promise 9: a network disk that is gone delays no key and no end, whichever field names it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bert_tui import presets
from bert_tui.wizard.answers import Answers, answers_file, save
from bert_tui.wizard.build_answers import BuildForm
from tests.terminal import Terminal
from trainer.spec.preset import replace
from trainer.spec.preset_file import read_preset

pytestmark = pytest.mark.compiler
ROOT = Path(__file__).parents[2]
DEAD = "/dead"
WIZARD = "from bert_tui.app import BertTui; BertTui(questions=(), last_questions=()).run()"
"""Without the checklist, which gives silent disks its own five seconds."""
END = "\x05"
KEY_SECONDS = 0.1
WIDE = 5
"""How many times longer a key may take before the test fails: this machine may be busy."""


@pytest.fixture(scope="module")
def silent_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To be preloaded by programs whose disk at /dead is to be silent."""
    library = tmp_path_factory.mktemp("library") / "silent_disk.so"
    source = ROOT / "tests" / "silent_disk.c"
    subprocess.run(["cc", "-O", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True, timeout=60)
    return library


@pytest.fixture
def terminal(silent_disk: Path) -> Iterator[Terminal]:
    """The wizard, left on its last page, every path on the silent disk."""
    preset = read_preset(presets.find_preset("bert-tiny"), presets.find_preset)
    dead = replace(
        preset,
        data__source="files",
        data__data_path=(f"{DEAD}/wiki",),
        data__vocab_file=f"{DEAD}/vocab.txt",
        checkpoint__path=f"{DEAD}/runs",
        logs__tensorboard_path=f"{DEAD}/logs",
        launch__launcher="local",
        launch__gpus="none",
    )
    form = BuildForm(f"{DEAD}/*.txt", output=f"{DEAD}/out", vocabulary="file", vocab_file=f"{DEAD}/vocab.txt")
    save(Answers(dead, "bert-tiny", "bert-tiny", "review", build=form), answers_file())
    silent = {"LD_PRELOAD": str(silent_disk), "BERT_TUI_SILENT_DISK": DEAD}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **silent}
    with Terminal([sys.executable, "-c", WIZARD], environment=environment, cwd=str(ROOT)) as terminal:
        terminal.wait_for("Go on where you left", 20)
        yield terminal


def press(terminal: Terminal, key: str, shown: str) -> None:
    """A key whose answer is seen at once."""
    begun = time.monotonic()
    terminal.press(key)
    terminal.wait_for(shown, KEY_SECONDS * WIDE)
    assert time.monotonic() - begun < KEY_SECONDS * WIDE + 0.15  # which press() itself takes


def test_a_silent_disk_delays_no_key(terminal: Terminal) -> None:
    terminal.press("enter")
    terminal.wait_for("This is what will happen", 30)
    press(terminal, "f2", "How is the model split?")
    press(terminal, "f2", "How large is the model?")
    press(terminal, "f2", "Which text")
    terminal.wait_for(lambda screen: screen.count("does not answer") == 4, 10)
    terminal.press("tab", END)
    for number in range(1, 6):
        press(terminal, "-tail"[number - 1], f"{DEAD}/wiki{'-tail'[:number]}")
    terminal.press("\x1bOS")  # F4, the browser
    press(terminal, "escape", "Which text")
    press(terminal, "f3", "Looking at the paths")
    press(terminal, "x", "-tailx")
    terminal.press("f7")
    terminal.wait_for("Build a dataset", 2)
    terminal.press(END)
    press(terminal, "y", f"{DEAD}/*.txty")
    terminal.press("f3")
    press(terminal, "z", f"{DEAD}/*.txtyz")
    press(terminal, "f2", "Which text")
    begun = time.monotonic()
    terminal.press("ctrl+q")
    assert terminal.wait_exit(5) == 0
    assert time.monotonic() - begun < 1 * WIDE
