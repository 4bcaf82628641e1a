"""The checklist's questions about the four paths: vocabulary, dataset, checkpoints, TensorBoard's files."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bert_tui.advice import words
from bert_tui.checks.check import Check
from bert_tui.checks.runner import Question, Subject, ask_all
from bert_tui.deadline import within
from bert_tui.machine import Machine
from bert_tui.paths import typed_path
from trainer.spec.blend import parse_blend, split_variable
from trainer.spec.preset import Data, Preset
from trainer.spec.problem import Problem, RunError, SpecError
from trainer.spec.sizing import shape_of

if TYPE_CHECKING:
    from trainer.spec.saved_weights import SavedWeights
    from trainer.spec.vocabulary import Vocabulary

TYPING_SECONDS = 1.0
"""How long the disk may take to answer for a path that is typed; keys do not wait for it."""
TYPING_SCAN = 1 << 18
CHECK_SCAN = 1 << 22
"""Ids and sentences looked at; a run looks at all of them before it starts."""

FIELDS = ("data.vocab_file", "data.data_path", "checkpoint.path", "logs.tensorboard_path")


def check_paths(preset: Preset) -> list[Check]:
    """The four answers for a preset, in the order of its fields."""
    return ask_all(DATA_CHECKS, Subject(preset, Machine(cores=0, memory_total=0, memory_available=0)))


def check_path_field(field: str, text: str, data: Data | None = None) -> Problem | None:
    """What is wrong with a path as it is typed; None if nothing is.

    ``~`` and variables are filled in; a relative path counts from the current folder. ``field`` is one of
    :data:`FIELDS`; ``data`` tells which vocabulary a dataset has to fit, and the rest of its settings. Writes nothing.
    A disk that does not answer in time is a problem of its own, ``path.silent``.
    """
    import trainer.spec.dataset_check  # noqa: F401 - numpy takes its time, which is not the disk's

    looks: dict[str, Callable[[Path], object]] = {
        "data.vocab_file": _read_vocabulary,
        "data.data_path": lambda prefix: _look_at_dataset(prefix, data or Data()),
        "checkpoint.path": _folder_of_runs,
        "logs.tensorboard_path": _nearest_folder,
    }
    try:
        for one in typed_prefixes(text) if field == "data.data_path" else (text,):
            path = typed_path(field, one)
            within(TYPING_SECONDS, partial(looks[field], path))
    except TimeoutError:
        return Problem("path.silent", text.strip(), field)
    except SpecError as error:
        return error.problems[0]
    except OSError as error:
        return Problem("path.unusable", text.strip(), field, {"reason": error.strerror or str(error)})
    return None


def typed_data_path(text: str) -> tuple[str, ...]:
    """What is typed into the dataset's field as ``data.data_path`` has it: one path, several, or weights and paths.

    Blanks separate where weights are given or every word begins as a path does; otherwise they are part of one path.
    """
    text, words = text.strip(), text.split()
    if len(words) > 1 and all(word.startswith(("/", "~", "$", ".")) for word in words):
        return tuple(words)
    return split_variable(text) if text else ()


def typed_prefixes(text: str) -> tuple[str, ...]:
    """The datasets named in the dataset's field.

    Raises:
        PresetError: numbers and paths do not alternate, or a weight is not above zero.
    """
    return parse_blend(typed_data_path(text)).prefixes or ("",)


def vocabulary(subject: Subject) -> Check:
    """The vocabulary file."""
    name, title, data = "data.vocabulary", "Vocabulary", subject.preset.data
    if data.source == "sample":
        return Check(name, title, "pass", "will be made from the sample text")
    try:
        path = typed_path("data.vocab_file", data.vocab_file or "")
        found = _read_vocabulary(path)
        _check_size(found, path, subject.preset.model.vocab_size)
    except SpecError as error:
        return _failed(name, title, error)
    return _passed(name, title, f"{found.size:,} pieces in {path}", found.cautions)


def dataset(subject: Subject) -> Check:
    """The indexed dataset, with the vocabulary it has to fit."""
    name, title, data = "data.dataset", "Dataset", subject.preset.data
    if data.source == "sample":
        return _sample_text(name, title)
    from bert_tui.data.inspect import require_own_vocabulary
    from trainer.spec.dataset_check import check_dataset

    try:
        prefixes = _prefixes(data)
        vocab_file = typed_path("data.vocab_file", data.vocab_file or "")
        fitting = _read_vocabulary(vocab_file)
        found = [check_dataset(prefix, fitting, data, scan=CHECK_SCAN // len(prefixes)) for prefix in prefixes]
        for prefix in prefixes:
            require_own_vocabulary(prefix, fitting, vocab_file)
    except SpecError as error:
        return _failed(name, title, error)
    documents, sentences = sum(each.documents for each in found), sum(each.sentences for each in found)
    where = prefixes[0] if len(prefixes) == 1 else f"{len(prefixes)} datasets"
    seen = f"{documents:,} documents, {sentences:,} sentences, {sum(each.tokens for each in found):,} pieces in {where}"
    return _passed(name, title, seen, [caution for each in found for caution in each.cautions])


def checkpoints(subject: Subject) -> Check:
    """The folder that gets the runs."""
    return _folder("path.checkpoints", "Checkpoint folder", "checkpoint.path", subject.preset.checkpoint.path)


def tensorboard(subject: Subject) -> Check:
    """The folder that gets TensorBoard's files."""
    return _folder(
        "path.tensorboard", "TensorBoard folder", "logs.tensorboard_path", subject.preset.logs.tensorboard_path
    )


def weights(subject: Subject) -> Check:
    """The weights to begin with, where a preset names some."""
    from trainer.spec.saved_weights import read_saved_weights

    name, title, preset = "data.weights", "Weights to begin with", subject.preset
    try:
        found = read_saved_weights(typed_path("train.init_from", preset.train.init_from or ""))
        _require_fit(found, preset)
    except SpecError as error:
        return _failed(name, title, error)
    shape = found.shape
    return _passed(name, title, f"{shape.layers} layers of width {shape.hidden} in {found.path}", ())


WEIGHTS_CHECK = Question("data.weights", "Weights to begin with", weights)
DATA_CHECKS = (
    Question("data.vocabulary", "Vocabulary", vocabulary),
    Question("data.dataset", "Dataset", dataset, seconds=20.0),
    Question("path.checkpoints", "Checkpoint folder", checkpoints),
    Question("path.tensorboard", "TensorBoard folder", tensorboard),
)
"""The questions about the four paths, in the order in which they are shown."""


def _passed(name: str, title: str, seen: str, cautions: Sequence[Problem]) -> Check:
    if not cautions:
        return Check(name, title, "pass", seen)
    text = words.describe(cautions[0])
    return Check(name, title, "warn", seen, text.what, text.remedy)


def _failed(name: str, title: str, error: SpecError) -> Check:
    problem = error.problems[0]
    text = words.describe(problem)
    more = f" ({len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
    return Check(name, title, "fail", text.what + more, "Nothing can be trained like this.", text.remedy)


def _read_vocabulary(path: Path) -> Vocabulary:
    from trainer.spec.vocabulary import read_vocabulary

    return read_vocabulary(path)


def _check_size(found: Vocabulary, path: Path, wanted: int | None) -> None:
    """A size written into the preset is that of the file."""
    if wanted is not None and wanted != found.size:
        raise RunError(Problem("vocabulary.size", str(path), str(found.size), {"wanted": wanted}))


def _require_fit(found: SavedWeights, preset: Preset) -> None:
    """As far as it can be told: the sample text's vocabulary is made later, a bad vocabulary is its own question's
    matter, and a preset may still be open."""
    from trainer.spec.saved_weights import require_fit

    model, data = preset.model, preset.data
    if model.layers is None or model.hidden is None or model.heads is None:
        return
    vocab_size, vocab_sha256 = found.shape.vocab_size, found.vocab_sha256
    if data.source == "files":
        try:
            path = typed_path("data.vocab_file", data.vocab_file or "")
            vocab_size = _read_vocabulary(path).size
        except SpecError:
            return
        vocab_sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    require_fit(found, shape_of(model, vocab_size), sentence_order=data.sentence_order, vocab_sha256=vocab_sha256)


def _prefixes(data: Data) -> list[Path]:
    """Of all datasets in the blend; one that is empty where none is named, so that it is refused as such."""
    return [typed_path("data.data_path", prefix) for prefix in parse_blend(data.data_path).prefixes or ("",)]


def _look_at_dataset(prefix: Path, data: Data) -> None:
    """As much as can be seen while the path is typed; a vocabulary that cannot be read is its own field's matter."""
    from trainer.spec.dataset_check import check_dataset
    from trainer.spec.indexed_dataset import IndexedDataset

    IndexedDataset(prefix)
    try:
        fitting = _read_vocabulary(typed_path("data.vocab_file", data.vocab_file or ""))
    except SpecError:
        return
    check_dataset(prefix, fitting, data, scan=TYPING_SCAN)


def _sample_text(name: str, title: str) -> Check:
    from bert_tui.data.sample_text import topics_file

    try:
        return Check(name, title, "pass", f"English text of this machine's Python ({topics_file().parent.parent})")
    except SpecError as error:
        return _failed(name, title, error)


def _folder(name: str, title: str, field: str, text: str | None) -> Check:
    """A folder that is there and can be written, or could be made; tried by writing a file."""
    try:
        path = typed_path(field, text or "")
        existing = _folder_of_runs(path) if field == "checkpoint.path" else _nearest_folder(path)
        _write_trial(existing)
    except SpecError as error:
        return _failed(name, title, error)
    seen = f"{path} can be written" if existing == path else f"{path} will be made"
    return Check(name, title, "pass", seen)


def _folder_of_runs(path: Path) -> Path:
    """As :func:`_nearest_folder`. A run's copy of the trainer is found by PYTHONPATH, whose entries a colon parts.

    Raises:
        RunError: as there, or there is a colon in the path.
    """
    if os.pathsep in str(path):
        raise RunError(Problem("path.colon", str(path)))
    return _nearest_folder(path)


def _nearest_folder(path: Path) -> Path:
    """The folder itself, or the nearest above it that is there.

    Raises:
        RunError: a file or a dead link stands in the way, or it cannot be written.
    """
    existing = next(folder for folder in (path, *path.parents) if os.path.lexists(folder))
    if not existing.exists():
        raise RunError(Problem("path.dead_link", str(existing)))
    if not stat.S_ISDIR(existing.stat().st_mode):
        raise RunError(Problem("path.no_folder", str(existing)))
    if os.statvfs(existing).f_flag & os.ST_RDONLY:
        raise RunError(Problem("path.read_only", str(existing)))
    if not os.access(existing, os.W_OK | os.X_OK):
        raise RunError(Problem("path.not_writable", str(existing), "", {"reason": "permission denied"}))
    return existing


def _write_trial(folder: Path) -> None:
    """Permissions alone do not tell: network disks refuse root, quotas refuse anybody."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".bert-tui-trial.") as file:
            file.write(b"trial")
            file.flush()
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(Problem("path.not_writable", str(folder), "", {"reason": reason})) from error
