"""What the pages ask for, and in which words; one for the screens and the plain lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bert_tui.wizard.answers import Page

if TYPE_CHECKING:
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
"""What people change first on the model page."""
MORE_KNOBS = {
    "model.layers": "Layers",
    "model.hidden": "Width",
    "model.heads": "Heads",
    "train.micro_batch": "Rows at once",
    "train.min_learning_rate": "Lowest rate",
    "train.warmup": "Warm-up",
    "model.dropout": "Dropout",
    "checkpoint.every": "Save every",
}
"""What it shows when asked for more; everything else is in the preset that the last page saves."""
ALL_KNOBS = KNOBS | MORE_KNOBS
LAYOUT_LABELS = {
    "parallel.shard": "Shared (FSDP2)",
    "parallel.sequence": "Sequence parallel",
    "parallel.recompute": "Computed twice",
}
"""What the page about the layout lets change beside the tensor-parallel size."""
GOOD_FOR = {
    "bert-tiny": "Shows within minutes that everything works here; too small to be of use.",
    "bert-base": "A first real model on one GPU; the size that most people compare with.",
    "bert-340m": "BERT-large, Megatron-LM's example: as much as one GPU trains well.",
    "bert-4b": "Research on larger models; eight GPUs of 24 GB or more.",
    "bert-20b": "The largest of Megatron-LM's; eight GPUs of 80 GB, and weeks of time.",
}
"""What each shipped size is for."""
