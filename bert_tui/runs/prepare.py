"""The phases of a preparation: data, rows, image, code. Each gives what the next ones and the trainer need.

A run's first attempt decides; later ones take what it decided and refuse what has changed since.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import trainer
from bert_tui.launchers.protocol import Launcher, Step
from bert_tui.runs.job import weights_to_begin_with
from bert_tui.runs.preparation_file import Show
from trainer.spec.blend import parse_blend
from trainer.spec.corpus import Corpus
from trainer.spec.dataset_check import check_dataset
from trainer.spec.fingerprint import fingerprint
from trainer.spec.preset import Preset
from trainer.spec.problem import DatasetError, Problem, VocabularyError
from trainer.spec.resolved import Resolved
from trainer.spec.row_stream import require_rows
from trainer.spec.run_directory import RunDirectory, write_whole
from trainer.spec.saved_weights import read_saved_weights, require_fit, require_lengths
from trainer.spec.sizing import shape_of
from trainer.spec.vocabulary import read_vocabulary

SCAN = 1 << 22
"""Ids, sentences and documents that are looked at before a start; ``bert-tui data inspect`` looks at all."""


@dataclass(frozen=True)
class PreparedData:
    """A dataset and a vocabulary that fit each other."""

    data_path: tuple[str, ...]
    """Prefixes, absolute, and weights, as in a preset."""
    vocab_size: int
    vocab_sha256: str


def prepare_data(run: RunDirectory, preset: Preset, first: Resolved | None, show: Show) -> PreparedData:
    """Builds the sample text where it is asked for, checks vocabulary and dataset, and copies the vocabulary into the
    run. ``first`` is what the run was resolved to before, None in its first attempt.

    Raises:
        VocabularyError, DatasetError: they cannot be used, or are no longer those of the first attempt.
    """
    data_path, vocab_file = _data_files(run, preset, show)
    if first is not None:
        vocab_file = run.vocabulary
    show(None, None, "", str(vocab_file))
    vocabulary = read_vocabulary(vocab_file)
    content = vocab_file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if first is not None and digest != first.vocab_sha256:
        raise VocabularyError(Problem("run.vocabulary_changed", str(run.vocabulary)))
    wanted = preset.model.vocab_size
    if preset.data.source == "files" and wanted is not None and wanted != vocabulary.size:
        raise VocabularyError(Problem("vocabulary.size", str(vocab_file), str(vocabulary.size), {"wanted": wanted}))
    for prefix in parse_blend(data_path).prefixes:
        show(None, None, "", prefix)
        check_dataset(Path(prefix), vocabulary, preset.data, scan=SCAN)
    if first is None:
        write_whole(run.vocabulary, content.decode())
    return PreparedData(data_path, vocabulary.size, digest)


def _data_files(run: RunDirectory, preset: Preset, show: Show) -> tuple[tuple[str, ...], Path]:
    """The datasets, as in a preset, and the vocabulary's file."""
    if preset.data.source == "files":
        return preset.data.data_path, Path(preset.data.vocab_file or "")
    from bert_tui.data.sample import VOCAB_SIZE, build_sample_dataset, sample_folder

    size = preset.model.vocab_size or VOCAB_SIZE
    folder = sample_folder(run.data_cache, preset.data.seed, size)
    built = build_sample_dataset(folder, preset.data.seed, size, show)
    return (str(built.prefix),), built.vocab_file


def prepare_rows(run: RunDirectory, preset: Preset, data: PreparedData, first: Resolved | None, show: Show) -> str:
    """The data's fingerprint, once it is sure that there is a first row. No index is built: rows are made as they are
    read.

    Raises:
        DatasetError: the data has changed since the first attempt, or yields no sample.
    """
    show(None, None, "", " ".join(data.data_path))
    corpus, length = Corpus.open(data.data_path), preset.model.sequence_length
    mark = fingerprint(corpus, preset.data, length, run.data_cache / "fingerprints")
    if first is not None and mark != first.data_fingerprint:
        facts = {"was": first.data_fingerprint}
        raise DatasetError(Problem("run.data_changed", " ".join(data.data_path), mark, facts))
    require_rows(corpus, preset.data, length)
    return mark


def check_weights(run: RunDirectory, preset: Preset, data: PreparedData) -> None:
    """Whether the weights to begin with fit the model and the vocabulary.

    Raises:
        WeightsError: they do not.
    """
    for folder in weights_to_begin_with(run, preset):
        saved = read_saved_weights(folder)
        require_lengths(saved)  # the ranks read them all
        require_fit(
            saved,
            shape_of(preset.model, data.vocab_size),
            sentence_order=preset.data.sentence_order,
            vocab_sha256=data.vocab_sha256,
        )


def prepare_image(launcher: Launcher, preset: Preset, gpus_wanted: bool, show: Show) -> tuple[str, str]:
    """The image's name and id; both empty where the launcher needs none.

    Raises:
        EnvironmentRefused: it cannot be had.
    """

    def show_step(step: Step) -> None:
        if step.total is None:  # a line of the build, for the starter's log
            print(step.detail, flush=True)
        show(step.done, step.total, step.unit, step.detail)

    return launcher.prepare_image(preset.launch.image, gpus_wanted, show_step)


def prepare_code(run: RunDirectory, *, update: bool, show: Show) -> str:
    """Copies the trainer and pynvml into the run, where they stay as they are; gives their hash. ``update`` replaces
    an earlier copy."""
    if update or not run.code.is_dir():
        show(None, None, "", str(run.code))
        _copy_code(run)
    return _digest({path.relative_to(run.code): path for path in _files_in(run.code)})


def code_digest() -> str:
    """The hash of the code that a run started now would copy."""
    package = Path(trainer.__file__).parent
    files = {path.relative_to(package.parent): path for path in _files_in(package)}
    if pynvml := find_spec("pynvml"):
        files[Path("pynvml.py")] = Path(pynvml.origin or "")
    return _digest(files)


def _files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def _digest(files: Mapping[Path, Path]) -> str:
    """Of files by the names under which they are imported."""
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _copy_code(run: RunDirectory) -> None:
    """Beside first, so that the copy is whole or absent. The old one is moved away, not changed under a reader."""
    beside, old = run.path / ".code.new", run.path / ".code.old"
    for leftover in (beside, old):
        shutil.rmtree(leftover, ignore_errors=True)
    package = Path(trainer.__file__).parent
    shutil.copytree(package, beside / "trainer", ignore=shutil.ignore_patterns("__pycache__"))
    if pynvml := find_spec("pynvml"):
        shutil.copy(pynvml.origin or "", beside / "pynvml.py")
    else:
        print("pynvml is not installed: there will be no readings of GPUs", file=sys.stderr)
    for path in (beside, *beside.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    if run.code.exists():
        run.code.replace(old)
    beside.replace(run.code)
    shutil.rmtree(old, ignore_errors=True)
