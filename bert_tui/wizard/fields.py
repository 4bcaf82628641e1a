"""What the pages ask for, and in which words; one for the screens and the plain lines."""

from __future__ import annotations

from dataclasses import dataclass

from bert_tui.wizard.answers import Page
from bert_tui.wizard.browsing import Wanted

HEADINGS: dict[Page, str] = {
    "environment": "Is this machine fit?",
    "data": "Which text, and where do the results go?",
    "model": "How large is the model?",
    "tensor": "How is the model split?",
    "review": "This is what will happen",
}


@dataclass(frozen=True)
class AskedPath:
    """How one of the four paths is asked for."""

    label: str
    wanted: Wanted
    hint: str


PATHS = {
    "data.data_path": AskedPath("Dataset", "dataset", "DATA_PATH: the path without .bin and .idx"),
    "data.vocab_file": AskedPath("Vocabulary", "vocabulary", "VOCAB_FILE: WordPiece, one piece a line"),
    "checkpoint.path": AskedPath("Checkpoints", "folder", "CHECKPOINT_PATH: gets a folder for each training"),
    "logs.tensorboard_path": AskedPath("TensorBoard", "folder", "TENSORBOARD_LOGS_PATH: gets the curves"),
}
"""The four paths of Megatron-LM's examples/bert, in the order of the page."""
KNOBS = {
    "train.steps": "Steps",
    "train.global_batch": "Rows a step",
    "train.learning_rate": "Learning rate",
    "model.sequence_length": "Tokens a row",
}
"""What the model page lets change; everything else is in the preset that the last page saves."""
