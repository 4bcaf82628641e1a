"""Rank 0's reporter: a thread that turns what happens into files, so that training never waits for a disk.

It writes ``progress.json`` once a second, ``metrics.bin`` and TensorBoard's events at each step, a line in the log
from time to time, and looks for the operator's requests in ``control/``.
"""

from __future__ import annotations

import math
import queue
import resource
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter

from trainer.agreement import Wishes
from trainer.checkpoint import Position
from trainer.learner import StepResult
from trainer.ranks import Ranks
from trainer.report import Reporter, StepReport
from trainer.spec import scalar_tags
from trainer.spec.metrics_file import MetricsWriter
from trainer.spec.preset import Preset
from trainer.spec.records import Phase, Progress, Validation, to_json
from trainer.spec.run_directory import AttemptDirectory, write_whole

TICK = 1.0
"""Seconds between two looks at ``control/`` and two writes of ``progress.json``."""
LINE_EVERY = 10.0
"""Seconds between two lines in the log; a container's output must stay sparse."""
CLOSING = 30.0
"""Longest wait for the last writes."""
RECENT = 20
"""Steps whose durations speed and remaining time are told from."""


class FileReporter(Reporter):
    """Its methods hand over and return; the thread does the work."""

    def __init__(self, attempt: AttemptDirectory, preset: Preset, ranks: Ranks) -> None:
        self._attempt = attempt
        self._files = _Files(attempt, preset, ranks)
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._save = threading.Event()
        self._saving = False
        """A wish to save was handed over and has not been fulfilled yet."""
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
        self._thread.start()

    def phase(self, phase: Phase) -> None:
        """What begins now."""
        since = time.time()
        self._work.put(lambda: self._files.change(phase=phase, phase_since=since))

    def resumed(self, position: Position) -> None:
        """Counts go on from there."""
        self._work.put(lambda: self._files.resume(position))

    def stepped(self, report: StepReport) -> None:
        """Written when the device has the result."""
        self._work.put(lambda: self._files.step(report))

    def validated(self, validation: Validation, seconds: float) -> None:
        """Written at once."""
        self._work.put(lambda: self._files.validation(validation, seconds))

    def saved(self, step: int, seconds: float) -> None:
        """Answers the request for a checkpoint, if there is one."""
        if self._saving:
            self._attempt.checkpoint_request.unlink(missing_ok=True)
            self._saving = False
        self._work.put(lambda: self._files.checkpoint(step, seconds))

    def not_saved(self, step: int) -> None:
        """Said in the log."""
        self._work.put(lambda: _say(f"no checkpoint of iteration {step}: its loss or gradients are not finite"))

    def wishes(self) -> Wishes:
        """Each request for a checkpoint is told once, the one to stop from then on."""
        if self._failure is not None:
            raise self._failure
        save = self._save.is_set()
        if save:
            self._saving = True
            self._save.clear()
        return Wishes(stop=self._stop.is_set(), save=save)

    def close(self, *, raise_failure: bool) -> None:
        """Waits for the thread."""
        self._work.put(None)
        self._thread.join(timeout=CLOSING)
        if raise_failure and self._failure is not None:
            raise self._failure
        if raise_failure and self._thread.is_alive():
            raise TimeoutError(f"the run's files could not be written within {CLOSING:.0f} s")

    def _run(self) -> None:
        try:
            self._serve()
            self._files.close()
        except Exception as error:  # raised again where the loop asks for wishes or closes
            self._failure = error

    def _serve(self) -> None:
        tick = time.monotonic()
        while True:
            try:
                task = self._work.get(timeout=max(0.0, tick - time.monotonic()))
                if task is None:
                    return
                task()
            except queue.Empty:
                pass
            if time.monotonic() >= tick:
                self._look_at_control()
                self._files.write_progress()
                tick = time.monotonic() + TICK

    def _look_at_control(self) -> None:
        if self._attempt.stop_request.exists():
            self._stop.set()
        if not self._saving and self._attempt.checkpoint_request.exists():
            self._save.set()


class _Files:
    """The files and what stands in them; used by the reporter's thread only."""

    def __init__(self, attempt: AttemptDirectory, preset: Preset, ranks: Ranks) -> None:
        assert preset.train.steps is not None
        assert preset.logs.tensorboard_path is not None
        self._path = attempt.progress
        self._steps = preset.train.steps
        self._preset = preset
        self._device = ranks.device
        self._metrics = MetricsWriter(attempt.run.metrics)
        self._events_folder = Path(preset.logs.tensorboard_path) / attempt.run.id
        self._events: SummaryWriter | None = None
        now = time.time()
        self._progress = Progress(
            phase="start", phase_since=now, step=0, total_steps=self._steps, rows=0, pairs=0, tokens=0, updated=now,
            device=_device_words(ranks.device), layout=_layout_words(preset, ranks),
        )  # fmt: skip
        self._recent: deque[tuple[float, int]] = deque(maxlen=RECENT)
        """(seconds, tokens) of the last steps."""
        self._last_row: dict[str, float] = {}
        self._last_ready = 0.0
        self._last_line = -math.inf
        self._validation_seconds = 0.0

    def change(self, **values: Any) -> None:
        self._progress = replace(self._progress, **values)

    def resume(self, position: Position) -> None:
        self.change(step=position.step, rows=position.rows, pairs=position.pairs, tokens=position.tokens)
        self.change(last_checkpoint=position.step)
        _say(f"resuming from the checkpoint of iteration {position.step}")

    def step(self, report: StepReport) -> None:
        result = report.result.wait()
        # Not the clock of this thread: a slow disk holds up the thread, but not the training.
        seconds = result.ready - max(report.began, self._last_ready)
        self._last_ready = result.ready
        self._recent.append((seconds, report.counts.tokens))
        position = report.position
        self.change(
            step=position.step, rows=position.rows, pairs=position.pairs, tokens=position.tokens,
            lm_loss=result.lm_loss, sop_loss=result.sop_loss, grad_norm=result.grad_norm,
            learning_rate=report.learning_rate, tokens_per_second=self._tokens_per_second(),
            step_seconds=self._step_seconds(), eta_seconds=self._remaining(position.step),
            skipped_steps=self._progress.skipped_steps + result.skipped,
        )  # fmt: skip
        self._last_row = _metrics_row(report, result, seconds)
        self._metrics.append(self._last_row)
        self._scalars(
            position.step,
            {
                scalar_tags.LM_LOSS: result.lm_loss,
                scalar_tags.SOP_LOSS: result.sop_loss,
                scalar_tags.LEARNING_RATE: report.learning_rate,
                scalar_tags.GRAD_NORM: result.grad_norm,
                scalar_tags.LOSS_SCALE: result.loss_scale,
                scalar_tags.BATCH_SIZE: self._preset.train.global_batch,
                scalar_tags.STEP_SECONDS: seconds,
                scalar_tags.TOKENS_PER_SECOND: report.counts.tokens / seconds,
            },
        )
        if result.ready - self._last_line >= LINE_EVERY or position.step == self._steps:
            self._last_line = result.ready
            _say(self._step_line(result))

    def validation(self, validation: Validation, seconds: float) -> None:
        self._validation_seconds = seconds
        self.change(validation=validation)
        lm, sop = (math.nan if loss is None else loss for loss in (validation.lm_loss, validation.sop_loss))
        if self._last_row.get("step") == validation.step:
            losses = {"lm_loss_validation": lm, "sop_loss_validation": sop}
            self._metrics.append(self._last_row | losses)
        self._scalars(
            validation.step,
            {
                scalar_tags.LM_LOSS_VALIDATION: lm,
                scalar_tags.LM_PERPLEXITY_VALIDATION: math.exp(min(20.0, lm)),
                scalar_tags.SOP_LOSS_VALIDATION: sop,
            },
        )
        _say(_validation_line(validation))

    def checkpoint(self, step: int, seconds: float) -> None:
        self.change(last_checkpoint=step, checkpoint_seconds=seconds)
        _say(f"saved checkpoint of iteration {step} in {seconds:.2f} s")

    def write_progress(self) -> None:
        self.change(updated=time.time(), memory_bytes=_peak_memory(self._device))
        write_whole(self._path, to_json(self._progress))

    def close(self) -> None:
        self.write_progress()
        self._metrics.close()
        if self._events is not None:
            self._events.close()

    def _scalars(self, step: int, values: dict[str, float]) -> None:
        if self._events is None:
            # What an earlier attempt logged from this step on is struck out.
            self._events = SummaryWriter(str(self._events_folder), purge_step=step, flush_secs=1)
        for tag, value in values.items():
            if not (tag in (scalar_tags.SOP_LOSS, scalar_tags.SOP_LOSS_VALIDATION) and math.isnan(value)):
                self._events.add_scalar(tag, value, step)

    def _tokens_per_second(self) -> float:
        return sum(tokens for _, tokens in self._recent) / sum(seconds for seconds, _ in self._recent)

    def _step_seconds(self) -> float:
        return statistics.median(seconds for seconds, _ in self._recent)

    def _remaining(self, step: int) -> float:
        """Seconds to the end, validations and checkpoints counted."""
        eval_every, save_every = self._preset.train.eval_every, self._preset.checkpoint.every
        validations = self._steps // eval_every - step // eval_every
        saves = self._steps // save_every - step // save_every
        beside = validations * self._validation_seconds + saves * (self._progress.checkpoint_seconds or 0.0)
        return (self._steps - step) * self._step_seconds() + beside

    def _step_line(self, result: StepResult) -> str:
        progress = self._progress
        return (
            f"iteration {progress.step:8d}/{progress.total_steps:8d} | consumed rows: {progress.rows:12d} | "
            f"elapsed time per iteration (ms): {1000 * self._step_seconds():.1f} | "
            f"tokens per second: {self._tokens_per_second():.0f} | learning rate: {progress.learning_rate:.6E} | "
            f"global batch size: {self._preset.train.global_batch:5d} | lm loss: {result.lm_loss:.6E} | "
            f"sop loss: {result.sop_loss:.6E} | loss scale: {result.loss_scale:.1f} | "
            f"grad norm: {result.grad_norm:.3f} | number of skipped iterations: {progress.skipped_steps:3d} |"
        )


def _metrics_row(report: StepReport, result: StepResult, seconds: float) -> dict[str, float]:
    return {
        "step": report.position.step,
        "time": time.time(),
        "lm_loss": result.lm_loss,
        "sop_loss": result.sop_loss,
        "learning_rate": report.learning_rate,
        "grad_norm": result.grad_norm,
        "loss_scale": result.loss_scale,
        "rows": report.position.rows,
        "tokens": report.position.tokens,
        "step_seconds": seconds,
        "skipped": float(result.skipped),
    }


def _validation_line(validation: Validation) -> str:
    parts = [f"validation loss at iteration {validation.step}"]
    if validation.lm_loss is not None:
        parts.append(f"lm loss value: {validation.lm_loss:.6E}")
    if validation.unigram_loss is not None:
        parts.append(f"by frequency alone: {validation.unigram_loss:.6E}")
    if validation.sop_loss is not None:
        parts.append(f"sop loss value: {validation.sop_loss:.6E}")
    return " | ".join(parts) + " |"


def _say(line: str) -> None:
    """One line in Megatron-LM's form, in one write: other ranks share the log."""
    print(f" [{time.strftime('%Y-%m-%d %H:%M:%S')}] {line}\n", end="", flush=True)


def _peak_memory(device: torch.device) -> int:
    """Highest use so far, bytes: of device memory, or resident where the CPU computes."""
    if device.type == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(torch.get_device_module(device).max_memory_allocated(device))


def _device_words(device: torch.device) -> str:
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"CPU, {threads} thread{'' if threads == 1 else 's'} a rank"
    return str(torch.get_device_module(device).get_device_name(device))


def _layout_words(preset: Preset, ranks: Ranks) -> str:
    micro = preset.train.micro_batch
    assert isinstance(micro, int)
    accumulation = preset.train.global_batch // (micro * ranks.data_size)
    return f"tensor {ranks.tensor_size} x data {ranks.data_size}, micro batch {micro} x {accumulation}"
