"""Repeating a run: what its ``run.toml`` was resolved to, beside what it would be resolved to here and now."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import bert_tui
from bert_tui.advice.words import describe
from bert_tui.changes import compare
from bert_tui.plan import Plan, preset_name
from trainer.spec.preset import Preset
from trainer.spec.problem import Problem, RunError, SpecError
from trainer.spec.resolved import Resolved, read_resolved
from trainer.spec.run_directory import RunDirectory
from trainer.spec.toml_text import read_text

SHORT = 12
"""Digits of a hash that are told."""


@dataclass(frozen=True)
class Difference:
    """Something that is not what it was."""

    what: str
    was: str
    now: str

    @property
    def line(self) -> str:
        """As "cores: was 64, now 32"."""
        return f"{self.what}: was {self.was}, now {self.now}"


@dataclass(frozen=True)
class Replay:
    """A run that is repeated."""

    run_id: str
    differences: tuple[Difference, ...] = ()
    untold: tuple[str, ...] = ()
    """What only the start itself will tell, and why."""

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each difference, and for each thing that cannot be told."""
        return (*(difference.line for difference in self.differences), *self.untold)

    @property
    def words(self) -> list[str]:
        """For people."""
        if not self.lines:
            return [f"The same as run {self.run_id}: settings, data, vocabulary, code, versions and hardware."]
        return [f"Like run {self.run_id}, but for:", *(f"  {line}" for line in self.lines)]


class Untold(Exception):
    """It will be seen at the start; says why not now."""


def replay_of(path: Path, plan: Plan) -> Replay | None:
    """How the plan made of a run's ``run.toml`` differs from that run; None where the file is a preset like others.
    Reads the data's index and asks the container engine.

    Raises:
        PresetError, RunError: the file is no preset, or its ``[resolved]`` table is damaged.
    """
    if "resolved" not in tomllib.loads(read_text(path)):
        return None
    preset, resolved = read_resolved(path)
    changes = [Difference(change.field, change.was, change.now) for change in compare(preset, plan.preset)]
    found = [*changes, *_known_differences(resolved, plan)]
    untold = []
    for what, was, look in _to_be_looked_at(resolved, plan):
        try:
            now = look()
        except Untold as reason:
            untold.append(f"{what}: {reason}")
        else:
            if was not in ("", now):
                found.append(Difference(what, was[:SHORT], now[:SHORT]))
    return Replay(resolved.run_id, tuple(found), tuple(untold))


def name_of(path: Path) -> str:
    """What a run started from this file is called: as the run that is repeated, or as the file."""
    table = tomllib.loads(read_text(path)).get("resolved")
    name = table.get("preset_name") if isinstance(table, dict) else None
    return preset_name(Path(name)) if isinstance(name, str) else preset_name(path)


def require_same(path: Path, replay: Replay | None) -> None:
    """Refuses everything but the same run again.

    Raises:
        RunError: something differs, or cannot be told; or the file is that of no run.
    """
    if replay is None:
        raise RunError(Problem("preset.not_a_run", str(path)))
    if replay.lines:
        raise RunError(*(Problem("replay.differs", replay.run_id, line) for line in replay.lines))


def _known_differences(resolved: Resolved, plan: Plan) -> Iterator[Difference]:
    """What the plan tells. What older files do not name is passed over."""
    hardware = plan.hardware
    facts: list[tuple[str, object, object]] = [
        ("bert-tui", resolved.program_version, bert_tui.__version__),
        ("device", resolved.device, plan.device),
        ("GPUs", _gpus(resolved.gpu_names or resolved.gpus), _gpus(hardware.gpu_names or plan.gpus)),
        ("GPU ids", " ".join(resolved.gpus), " ".join(plan.gpus)),
        ("GPU driver", resolved.driver, hardware.driver),
        ("cores", resolved.cores, hardware.cores),
        ("processes", resolved.ranks, plan.ranks),
        ("threads of each process", resolved.threads, plan.threads),
        ("rows at once", resolved.micro_batch, plan.micro_batch),
    ]
    for what, was, now in facts:
        if was not in ("", 0, now):
            yield Difference(what, str(was), str(now) or "none")


def _gpus(names: tuple[str, ...]) -> str:
    """As "8 x NVIDIA H100"."""
    return ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))


def _to_be_looked_at(resolved: Resolved, plan: Plan) -> Iterator[tuple[str, str, Callable[[], str]]]:
    from bert_tui.launchers.local import torch_version
    from bert_tui.runs.prepare import code_digest

    preset = plan.preset
    yield "vocabulary", resolved.vocab_sha256, lambda: _vocabulary_digest(preset)
    yield "data", resolved.data_fingerprint, lambda: _data_fingerprint(preset)
    yield "the trainer's code", resolved.code_sha256, code_digest
    if preset.launch.launcher == "docker":
        yield "image", resolved.image_id.removeprefix("sha256:"), lambda: _image_id(preset)
    else:
        yield "torch", resolved.torch_version, lambda: torch_version() or "none"


def _data_files(preset: Preset) -> tuple[tuple[str, ...], Path]:
    """The datasets, as in a preset, and the vocabulary's file."""
    from bert_tui.data.sample import MANIFEST, NAME, VOCAB_SIZE, sample_folder

    if preset.data.source == "files":
        return preset.data.data_path, Path(preset.data.vocab_file or "")
    folder = sample_folder(_data_cache(preset), preset.data.seed, preset.model.vocab_size or VOCAB_SIZE)
    if not (folder / MANIFEST).is_file():
        raise Untold("built at the start from text on this machine; the same Python gives the same")
    return (str(folder / NAME),), folder / "vocab.txt"


def _data_cache(preset: Preset) -> Path:
    return RunDirectory(Path(preset.checkpoint.path or "", "RUN_ID")).data_cache


def _vocabulary_digest(preset: Preset) -> str:
    path = _data_files(preset)[1]
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise Untold(f"{path} cannot be read: {error.strerror}") from error


def _data_fingerprint(preset: Preset) -> str:
    from trainer.spec.corpus import Corpus
    from trainer.spec.fingerprint import fingerprint

    data_path, notes = _data_files(preset)[0], _data_cache(preset) / "fingerprints"
    try:
        corpus = Corpus.open(data_path)
        return fingerprint(corpus, preset.data, preset.model.sequence_length, notes if notes.is_dir() else None)
    except SpecError as error:
        raise Untold(describe(error.problems[0]).what) from error


def _image_id(preset: Preset) -> str:
    from bert_tui.launchers.engine import connect
    from bert_tui.launchers.image import image_id

    try:
        found = image_id(connect(), preset.launch.image)
    except SpecError as error:
        raise Untold(describe(error.problems[0]).what) from error
    if found is None:
        raise Untold(f"{preset.launch.image} is not on this machine; fetched at the start, under the same name")
    return found.removeprefix("sha256:")
