"""``export`` and ``import`` as lines of text."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from bert_tui import diagnostics
from bert_tui.advice.words import describe
from bert_tui.exit_status import ExitStatus
from bert_tui.runs.conversion import Progress, export_run, import_folder
from trainer.spec.problem import Problem
from trainer.spec.run_directory import RunDirectory
from trainer.spec.toml_text import toml_value

LINE_SECONDS = 2.0
"""At most one line of progress in this time, beside those that begin and end something."""


def export(run: RunDirectory, output: Path, step: int | None) -> int:
    """Exports a run's checkpoint and says how to load it."""
    result = export_run(run, output, step, _ProgressLines().show)
    print(f"Step {result['step']} of {run.id} is in {output}. Load it with transformers:")
    print(f"    {result['class']}.from_pretrained({str(output)!r})")
    print(f"    BertTokenizerFast.from_pretrained({str(output)!r})")
    return ExitStatus.FINISHED


def import_(folder: Path, output: Path) -> int:
    """Imports a Hugging Face folder and says how to train on from it."""
    result = import_folder(folder, output, _ProgressLines().show)
    for caution in result["cautions"]:
        words = describe(Problem.from_json(caution))
        diagnostics.tell(f"{words.what} {words.remedy}")
    print(f"The weights of {folder} are in {output}. To train on from them, write into a preset:")
    print(_preset_lines(result["shape"], result["sentence_order"], output.absolute()))
    print("The dataset must be made with that vocabulary.")
    return ExitStatus.FINISHED


def _preset_lines(shape: dict[str, Any], sentence_order: bool, output: Path) -> str:
    data = {"vocab_file": str(output / "vocab.txt"), "sentence_order": sentence_order}
    tables = {"model": shape, "data": data, "train": {"init_from": str(output)}}
    lines = []
    for section, table in tables.items():
        lines += [f"    [{section}]", *(f"    {key} = {toml_value(value)}" for key, value in table.items())]
    return "\n".join(lines)


class _ProgressLines:
    """Prints where the conversion is, not more often than can be read."""

    def __init__(self) -> None:
        self._printed = 0.0

    def show(self, progress: Progress) -> None:
        """One line, or none if there was one just now."""
        now = time.monotonic()
        if progress.done not in (1, progress.total) and now < self._printed + LINE_SECONDS:
            return
        self._printed = now
        word = {"read": "Reading", "write": "Writing"}[progress.phase]
        count = f" ({progress.done} of {progress.total})" if progress.total > 1 else ""
        print(f"{word} {progress.detail}{count}", flush=True)
