"""From a plan or a prepared attempt to the job a launcher starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bert_tui.launchers import launcher_named
from bert_tui.launchers.protocol import Job
from bert_tui.plan import Plan
from trainer.spec.blend import parse_blend
from trainer.spec.checkpoint_folder import complete_checkpoints
from trainer.spec.preset import Preset
from trainer.spec.records import Progress, Request, read_record
from trainer.spec.run_directory import AttemptDirectory, RunDirectory
from trainer.spec.sizing import parameter_count, shape_of

STOP_SECONDS = 30
"""For noticing a stop and winding up; a checkpoint comes on top, twice."""
BYTES_PER_PARAMETER = 12
"""In a checkpoint: the weight and AdamW's two means, in fp32."""
SLOW_DISK = 200e6
"""Bytes a second; what a checkpoint is thought to take before one has been measured."""


def job_of(attempt: AttemptDirectory, request: Request, preset: Preset, image: str, data_path: Sequence[str]) -> Job:
    """The job of an attempt. ``data_path`` names its datasets as a preset does."""
    return Job(
        attempt=attempt,
        device=request.device,
        gpus=request.gpus,
        ranks=request.ranks,
        threads=request.threads,
        image=image,
        readable=(
            attempt.run.code,
            *dict.fromkeys(
                Path(prefix + end) for prefix in parse_blend(data_path).prefixes for end in (".idx", ".bin")
            ),
            *weights_to_begin_with(attempt.run, preset),
        ),
        writable=(attempt.run.path, tensorboard_folder(attempt.run, preset)),
        stop_seconds=STOP_SECONDS + round(2 * _checkpoint_seconds(attempt.run, preset)),
    )


def weights_to_begin_with(run: RunDirectory, preset: Preset) -> tuple[Path, ...]:
    """The folder of weights that the next attempt reads: none once the run has a checkpoint of its own."""
    if preset.train.init_from is None or complete_checkpoints(run.checkpoints):
        return ()
    return (Path(preset.train.init_from),)


def describe_plan(plan: Plan) -> str:
    """The command that a plan amounts to, with RUN_ID and so on for what is known only later."""
    checkpoints = Path(plan.preset.checkpoint.path or "CHECKPOINT_PATH")
    attempt = RunDirectory(checkpoints / "RUN_ID").attempt(1)
    sample = (str(attempt.run.data_cache / "SAMPLE"),)
    data_path = plan.preset.data.data_path if plan.preset.data.source == "files" else sample
    request = Request(plan.name, {}, plan.device, plan.gpus, plan.ranks, plan.threads)
    launch = plan.preset.launch
    return launcher_named(launch.launcher).describe(job_of(attempt, request, plan.preset, launch.image, data_path))


def tensorboard_folder(run: RunDirectory, preset: Preset) -> Path:
    """Where the run's event files go."""
    return Path(preset.logs.tensorboard_path or "TENSORBOARD_LOGS_PATH") / run.id


def _checkpoint_seconds(run: RunDirectory, preset: Preset) -> float:
    """As measured by earlier attempts, else by the size of the model."""
    measured = [
        progress.checkpoint_seconds
        for attempt in run.attempts()
        if (progress := read_record(Progress, attempt.progress)) and progress.checkpoint_seconds
    ]
    if measured:
        return max(measured)
    return parameter_count(shape_of(preset.model)) * BYTES_PER_PARAMETER / SLOW_DISK
