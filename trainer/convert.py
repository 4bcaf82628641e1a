"""Weights to and from Hugging Face folders: ``python -m trainer.convert export RUN OUTPUT``, ``import FOLDER OUTPUT``.

Runs in a process of its own, never in training, and needs the package safetensors beside torch. Prints one JSON object
a line: ``{"phase", "detail", "done", "total"}`` while it works, then ``{"result"}`` or ``{"problems"}``.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from trainer import huggingface
from trainer.safetensors_folder import TensorFiles, find_tensors
from trainer.spec.checkpoint_folder import complete_checkpoints
from trainer.spec.problem import ConversionError, Problem, SpecError
from trainer.spec.resolved import read_resolved
from trainer.spec.run_directory import RunDirectory
from trainer.spec.saved_weights import SavedWeights, read_saved_weights, require_whole
from trainer.spec.sizing import Shape
from trainer.spec.vocabulary import Vocabulary, read_vocabulary
from trainer.spec.whole_folder import whole_folder
from trainer.weights import load_weights, save_weights

SHARD_BYTES = 5 * 10**9
"""No file of an export is larger, unless one tensor is: so much memory is needed at most."""

Report = Callable[[str, str, int, int], None]
"""Takes what is being done ("read", "write"), the file, and how many of how many."""


def export_run(run: RunDirectory, step: int | None, output: Path, report: Report) -> dict[str, Any]:
    """Exports a run's checkpoint of a step, or its last one. Gives what :func:`export` gives.

    Raises:
        ConversionError: there is no such checkpoint; and as :func:`export`.
    """
    found = {checkpoint.step: checkpoint for checkpoint in complete_checkpoints(run.checkpoints)}
    if not found:
        raise ConversionError(Problem("convert.no_checkpoint", run.id))
    chosen = found.get(max(found) if step is None else step)
    if chosen is None:
        raise ConversionError(Problem("convert.no_step", run.id, str(step), {"found": ", ".join(map(str, found))}))
    model = read_resolved(run.preset)[0].model
    result = export(chosen.path, run.vocabulary, output, dropout=model.dropout, init_std=model.init_std, report=report)
    return result | {"step": chosen.step}


def export(
    weights: Path, vocab_file: Path, output: Path, *, dropout: float, init_std: float, report: Report
) -> dict[str, Any]:
    """Writes a folder that ``from_pretrained`` of Hugging Face's classes loads, without padding of the vocabulary.

    Args:
        weights: a checkpoint, written at any layout.
        vocab_file: the vocabulary it was trained with.
        output: complete or absent afterwards.
        dropout, init_std: of the training; told in ``config.json``.
        report: told of progress.

    Returns:
        The class that loads the folder, and the model's sizes.

    Raises:
        ConversionError, WeightsError, VocabularyError: something does not fit or cannot be written.
    """
    saved, vocabulary = read_saved_weights(weights), read_vocabulary(vocab_file)
    content = vocab_file.read_bytes()
    if hashlib.sha256(content).hexdigest() != saved.vocab_sha256:
        raise ConversionError(Problem("weights.other_vocabulary", str(weights)))
    require_whole(saved)
    shape, sentence_order = saved.shape, saved.sentence_order
    config = huggingface.config_of(shape, sentence_order=sentence_order, dropout=dropout, init_std=init_std)
    with _new_folder(output) as beside:
        (beside / "vocab.txt").write_bytes(content)
        _write_json(beside / "config.json", config)
        _write_json(beside / "tokenizer_config.json", _tokenizer_config(vocabulary, shape))
        _write_tensors(saved, beside, report)
    return {"class": config["architectures"][0], **_about(shape, sentence_order)}


def import_(folder: Path, output: Path, report: Report) -> dict[str, Any]:
    """Writes the model of a Hugging Face folder as weights that ``train.init_from`` takes, with its vocabulary.

    Args:
        folder: ``config.json``, one or several safetensors files, and ``vocab.txt`` or ``tokenizer.json``.
        output: complete or absent afterwards.
        report: told of progress.

    Returns:
        The model's sizes, and cautions: what is odd but allowed.

    Raises:
        ConversionError, VocabularyError: the folder holds another kind of model, or cannot be read or written.
    """
    config = _read_json(folder / "config.json")
    with _new_folder(output) as beside:
        vocab_file = beside / "vocab.txt"
        vocab_file.write_bytes(_vocabulary_of(folder))
        vocabulary = read_vocabulary(vocab_file)
        shape, cautions = huggingface.shape_of_config(config, vocabulary.size, str(folder / "config.json"))
        tensors = find_tensors(folder)
        sentence_order = huggingface.ORDER_HEAD in tensors.names
        parameters = _read_parameters(tensors, shape, sentence_order, report)
        report("write", output.name, 1, 1)
        digest = hashlib.sha256(vocab_file.read_bytes()).hexdigest()
        save_weights(parameters, SavedWeights(beside, shape, sentence_order, digest))
    return {"cautions": [caution.as_json() for caution in cautions], **_about(shape, sentence_order)}


def _about(shape: Shape, sentence_order: bool) -> dict[str, Any]:
    return {"shape": dataclasses.asdict(shape), "sentence_order": sentence_order}


@contextmanager
def _new_folder(output: Path) -> Iterator[Path]:
    """A hidden folder that becomes ``output`` at the end, every file in it synced. An empty ``output`` gives way first.

    Raises:
        ConversionError: there is something already, or it cannot be written.
    """
    try:
        if output.exists():
            if not output.is_dir() or any(output.iterdir()):
                raise ConversionError(Problem("convert.not_empty", str(output)))
            output.rmdir()  # now, because one that cannot be replaced, as a mount point, would be found out too late
        with whole_folder(output) as beside:
            yield beside
            for path in beside.iterdir():
                _finish(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConversionError(Problem("convert.not_written", str(output), "", {"reason": reason})) from error


def _finish(path: Path) -> None:
    """Readable by whom the user's umask allows, whoever wrote it, and on the disk."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_tensors(saved: SavedWeights, folder: Path, report: Report) -> None:
    """``model.safetensors``, or several files with an index where one would be too large."""
    parameters = huggingface.parameters(saved.shape, sentence_order=saved.sentence_order)
    shards, total = _shards(parameters), sum(parameter.nbytes for parameter in parameters.values())
    places: dict[str, str] = {}
    for number, names in enumerate(shards, 1):
        file = "model.safetensors" if len(shards) == 1 else f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        report("write", file, number, len(shards))
        held = {name: torch.empty(parameters[name].shape) for name in names}
        load_weights(held, saved.path)
        theirs = {new: tensor for name in names for new, tensor in _as_theirs(name, held.pop(name), saved.shape)}
        save_file(theirs, folder / file, metadata={"format": "pt"})
        places |= dict.fromkeys(theirs, file)
    if len(shards) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": places}
        _write_json(folder / "model.safetensors.index.json", index)


def _as_theirs(name: str, tensor: Tensor, shape: Shape) -> list[tuple[str, Tensor]]:
    """Copied, because safetensors takes no two tensors out of one memory."""
    parts = huggingface.split(name, tensor, shape)
    copies = [part.clone(memory_format=torch.contiguous_format) for part in parts]
    return list(zip(huggingface.their_names(name, shape.layer_order), copies, strict=True))


def _shards(parameters: Mapping[str, Tensor]) -> list[list[str]]:
    """The names in their order, cut so that no shard is too large."""
    shards: list[list[str]] = [[]]
    room = SHARD_BYTES
    for name, parameter in parameters.items():
        if parameter.nbytes > room and shards[-1]:
            shards.append([])
            room = SHARD_BYTES
        shards[-1].append(name)
        room -= parameter.nbytes
    return shards


def _tokenizer_config(vocabulary: Vocabulary, shape: Shape) -> dict[str, Any]:
    """Whether text must be lowered is not written in a vocabulary, but told by its pieces."""
    words = (piece for piece in vocabulary.pieces if not (piece.startswith("[") and piece.endswith("]")))
    lower = all(piece == piece.lower() for piece in words)
    return {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": lower,
        "model_max_length": shape.sequence_length,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }


def _read_parameters(tensors: TensorFiles, shape: Shape, sentence_order: bool, report: Report) -> dict[str, Tensor]:
    """Our parameters from their tensors, in float32.

    Raises:
        ConversionError: tensors are missing, of other shapes, or of something this model does not have.
    """
    parameters = huggingface.parameters(shape, sentence_order=sentence_order)
    wanted = {
        theirs: part.shape
        for ours, parameter in parameters.items()
        for theirs, part in zip(
            huggingface.their_names(ours, shape.layer_order), huggingface.split(ours, parameter, shape), strict=True
        )
    }
    tensors.require(wanted, cut=(huggingface.WORDS, huggingface.BIAS))
    read: dict[str, Tensor] = {}
    for number, (ours, _) in enumerate(parameters.items(), 1):
        report("read", ours, number, len(parameters))
        theirs = [tensors.read(name).to(torch.float32) for name in huggingface.their_names(ours, shape.layer_order)]
        read[ours] = huggingface.join(ours, theirs, shape)
    return read


def _vocabulary_of(folder: Path) -> bytes:
    """``vocab.txt``; where there is none, the same from ``tokenizer.json``.

    Raises:
        ConversionError: there is neither, or the tokenizer is no WordPiece.
    """
    plain, described = folder / "vocab.txt", folder / "tokenizer.json"
    if plain.is_file() or not described.is_file():
        return _read(plain)
    model = _read_json(described).get("model")
    ids = model.get("vocab") if isinstance(model, dict) and model.get("type", "WordPiece") == "WordPiece" else None
    if not isinstance(ids, dict) or sorted(ids.values()) != list(range(len(ids))):
        raise ConversionError(Problem("convert.no_wordpiece", str(described)))
    return "".join(f"{piece}\n" for piece in sorted(ids, key=ids.__getitem__)).encode()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        facts = {"reason": error.strerror or str(error)}
        raise ConversionError(Problem("convert.unreadable", str(path), "", facts)) from error


def _read_json(path: Path) -> dict[str, Any]:
    content = _read(path)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConversionError(Problem("convert.unreadable", str(path), "", {"reason": str(error)})) from error
    if not isinstance(found, dict):
        raise ConversionError(Problem("convert.unreadable", str(path), "", {"reason": "not a JSON object"}))
    return found


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Converts as asked; what is wrong is printed as problems and gives status 1."""
    parser = argparse.ArgumentParser(prog="python -m trainer.convert")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, source in (("export", "run"), ("import", "folder")):
        added = verbs.add_parser(verb)
        added.add_argument(source, type=Path)
        added.add_argument("output", type=Path)
    verbs.choices["export"].add_argument("--step", type=int)
    options = parser.parse_args(arguments)
    try:
        if options.verb == "export":
            result = export_run(RunDirectory(options.run), options.step, options.output, _print_progress)
        else:
            result = import_(options.folder, options.output, _print_progress)
    except SpecError as error:
        _print({"problems": [problem.as_json() for problem in error.problems]})
        return 1
    _print({"result": result})
    return 0


def _print_progress(phase: str, detail: str, done: int, total: int) -> None:
    _print({"phase": phase, "detail": detail, "done": done, "total": total})


def _print(line: Mapping[str, Any]) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
