"""The weights of a model alone, as they lie in every checkpoint: read in whole or at any layout, or written.

Inside a checkpoint a tensor's name begins with ``model.``; here names are those of the model's parameters.
"""

from __future__ import annotations

import dataclasses
import json
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load as load_state
from torch.distributed.checkpoint.state_dict_saver import save as save_state

from trainer.checkpoint import reason_of
from trainer.spec.checkpoint_folder import METADATA, PROGRESS, FileFacts
from trainer.spec.problem import Problem, WeightsError
from trainer.spec.run_directory import write_whole
from trainer.spec.saved_weights import SavedWeights, facts_to_save

PREFIX = "model."
UNREADABLE = (CheckpointException, OSError, pickle.UnpicklingError, AttributeError, EOFError, ImportError, IndexError)
"""What damaged files raise: torch's own error, the system's, and what the pickle module says of ``load``."""


def load_weights(parameters: Mapping[str, Tensor], folder: Path, group: dist.ProcessGroup | None = None) -> None:
    """Fills parameters by name, DTensors or plain ones, from a folder written at any layout.

    Args:
        parameters: where to write. What the folder holds beside them is passed over.
        folder: a checkpoint.
        group: the ranks, all of which call this, over the CPU; None in a process of its own.

    Raises:
        WeightsError: the folder cannot be read, lacks a tensor, or holds one of another shape.
    """
    reader = FileSystemReader(folder)
    try:
        _require_tensors(parameters, _saved_shapes(reader), folder)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # as is meant without a group
            load_state(_prefixed(parameters), storage_reader=reader, process_group=group)
    except UNREADABLE as error:
        raise WeightsError(Problem("weights.unreadable", str(folder), "", {"reason": reason_of(error)})) from error


def save_weights(parameters: Mapping[str, Tensor], about: SavedWeights) -> None:
    """Writes whole parameters into the folder ``about.path``, which must be there, what they are, and checksums.

    Raises:
        OSError: they could not be written.
    """
    writer = FileSystemWriter(about.path, sync_files=True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")
            save_state(_prefixed(parameters), storage_writer=writer)
    except CheckpointException as error:
        raise OSError(reason_of(error)) from error
    files = {path.name: FileFacts.of(path) for path in [about.path / METADATA, *sorted(about.path.glob("*.distcp"))]}
    facts = facts_to_save(dataclasses.replace(about, files=files))
    write_whole(about.path / PROGRESS, json.dumps(facts, indent=1))


def _prefixed(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {PREFIX + name: parameter.detach() for name, parameter in parameters.items()}


def _saved_shapes(reader: FileSystemReader) -> dict[str, torch.Size]:
    saved = reader.read_metadata().state_dict_metadata
    return {name: entry.size for name, entry in saved.items() if isinstance(entry, TensorStorageMetadata)}


def _require_tensors(parameters: Mapping[str, Tensor], saved: Mapping[str, torch.Size], folder: Path) -> None:
    problems = []
    for name, parameter in parameters.items():
        shape = saved.get(PREFIX + name)
        if shape is None:
            problems.append(Problem("weights.tensor_missing", str(folder), name))
        elif shape != parameter.shape:
            facts = {"shape": list(shape), "expected": list(parameter.shape)}
            problems.append(Problem("weights.tensor_shape", str(folder), name, facts))
    if problems:
        raise WeightsError(*problems)
