"""TensorBoard from the command line."""

from __future__ import annotations

from bert_tui.exit_status import ExitStatus
from bert_tui.runs.board import start_board
from bert_tui.runs.job import tensorboard_folder
from trainer.spec.preset_file import read_preset
from trainer.spec.run_directory import RunDirectory


def serve_board(run: RunDirectory) -> int:
    """Starts a TensorBoard for a run, or finds the one there is, and says how to look at it."""
    from bert_tui.presets import find_preset

    board = start_board(tensorboard_folder(run, read_preset(run.request, find_preset)))
    print(f"TensorBoard of {run.id}: {board.url}")
    print(f"On your own computer type: {board.tunnel}")
    print(f"and open the same address there. It goes on in the background; end it with: kill {board.pid}")
    return ExitStatus.FINISHED
