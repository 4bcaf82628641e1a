"""The checklist's questions about room for what a run writes: checkpoints, metrics, TensorBoard's files."""

from __future__ import annotations

import shutil
from pathlib import Path

from bert_tui.checks.check import Finding
from bert_tui.checks.runner import Subject, question
from bert_tui.paths import expand_path
from trainer.spec import sizing
from trainer.spec.preset import Preset
from trainer.spec.sizing import GIB, MIB

CHECKPOINT_BYTES = 12
"""A parameter's bytes in a checkpoint: the weight and AdamW's two moments, in fp32."""
METRICS_BYTES = 200
"""A step's in ``metrics.bin`` and in what it prints, at most."""
EVENT_BYTES = 600
"""A step's in TensorBoard's file, at most: 16 values, each with its tag."""
RESERVE = GIB // 4
"""For the data's index, logs and everything small."""


def checkpoint_disk(subject: Subject) -> Finding:
    """Room on the disk of the checkpoints; for TensorBoard's files too, where they lie on the same."""
    preset = subject.preset
    folder, logs = _checkpoint_folder(preset), _log_folder(preset)
    need = (kept_checkpoints(preset) + 1) * checkpoint_bytes(preset) + METRICS_BYTES * _steps(preset) + RESERVE
    if _same_disk(folder, logs):
        need += event_bytes(preset)
    meaning = f"The {kept_checkpoints(preset)} checkpoints that are kept and the one being written do not fit."
    return _room(folder, need, meaning)


def log_disk(subject: Subject) -> Finding:
    """Room on the disk of TensorBoard's files."""
    preset = subject.preset
    folder = _log_folder(preset)
    if _same_disk(folder, _checkpoint_folder(preset)):
        return Finding("pass", "on the disk of the checkpoints")
    return _room(folder, event_bytes(preset), "TensorBoard's curves would end where the disk is full.")


def kept_checkpoints(preset: Preset) -> int:
    """How many checkpoints lie on the disk at the end of the run, at most."""
    settings = preset.checkpoint
    for_ever = _steps(preset) // settings.keep_every if settings.keep_every is not None else 0
    return settings.keep_last + for_ever


def checkpoint_bytes(preset: Preset) -> int:
    """The size of one checkpoint of the preset's model."""
    return sizing.parameter_count(sizing.shape_of(preset.model)) * CHECKPOINT_BYTES


def event_bytes(preset: Preset) -> int:
    """The size of TensorBoard's files at the end of the run, at most."""
    return EVENT_BYTES * _steps(preset)


def _room(folder: Path, need: int, meaning: str) -> Finding:
    free = shutil.disk_usage(folder).free
    seen = f"{_size(free)} free at {folder}, {_size(need)} needed"
    if free < need:
        return Finding("fail", seen, meaning, f"Free some room, or choose another disk: df -h {folder}")
    if free < 2 * need:
        return Finding("warn", seen, "It fits, but little room is left.", f"df -h {folder}")
    return Finding("pass", seen)


def _steps(preset: Preset) -> int:
    return preset.train.steps or 0


def _checkpoint_folder(preset: Preset) -> Path:
    return _existing(preset.checkpoint.path)


def _log_folder(preset: Preset) -> Path:
    return _existing(preset.logs.tensorboard_path or preset.checkpoint.path)


def _same_disk(first: Path, second: Path) -> bool:
    return first.stat().st_dev == second.stat().st_dev


def _existing(path: str | None) -> Path:
    """The nearest folder above ``path`` that is there."""
    wanted = Path(expand_path(path or "~"))
    return next(folder for folder in (wanted, *wanted.parents) if folder.is_dir())


def _size(size: float) -> str:
    if size < GIB / 10:
        return f"{size / MIB:.0f} MiB"
    return f"{size / GIB:.0f} GiB" if size >= 10 * GIB else f"{size / GIB:.1f} GiB"


CHECKPOINT_DISK = question("system.disk", "Disk", checkpoint_disk)
LOG_DISK = question("system.log_disk", "Disk for curves", log_disk)
DISK_CHECKS = (CHECKPOINT_DISK, LOG_DISK)
"""Those whose answers depend on the model and the folders that are chosen."""
