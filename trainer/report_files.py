"""Rank 0's reporter: a thread that turns what happens into files, so that training never waits for a disk.

It writes ``progress.json`` once a second, ``metrics.bin`` and TensorBoard's events at each step, a line in the log
from time to time, and looks for the operator's requests in ``control/``.
"""

from __future__ import annotations

import math
import queue
import statistics
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from trainer.agreement import Wishes
from trainer.attention import Choice
from trainer.checkpoint import Position
from trainer.device_readings import device_words, read_memory
from trainer.events import EventWriter
from trainer.learner import StepResult
from trainer.pace import Pace, StepPace
from trainer.precision import choose_precision
from trainer.ranks import Ranks
from trainer.report import Reporter, StepReport
from trainer.saver import SaveEnd
from trainer.spec import scalar_tags
from trainer.spec.gpu_peak import peak_of
from trainer.spec.metrics_file import MetricsWriter
from trainer.spec.preset import Preset
from trainer.spec.records import NotSaved, Phase, Progress, Validation, to_json
from trainer.spec.run_directory import FULL_DISK, AttemptDirectory, write_whole

TICK = 1.0
"""Seconds between two looks at ``control/`` and two writes of ``progress.json``."""
LINE_EVERY = 10.0
"""Seconds between two lines in the log; a container's output must stay sparse."""
DURATIONS_KEPT = 100
"""Of each phase, for its median."""
CLOSING = 30.0
"""Longest wait for the last writes."""


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
        self._work.put(lambda: self._files.begin(phase, since))

    def attending(self, choice: Choice) -> None:
        """Told once."""
        self._work.put(lambda: self._files.attention(choice))

    def resumed(self, position: Position) -> None:
        """Counts go on from there."""
        self._work.put(lambda: self._files.resume(position))

    def stepped(self, report: StepReport) -> None:
        """Written when the device has the result."""
        self._work.put(lambda: self._files.step(report))

    def validated(self, validation: Validation, seconds: float) -> None:
        """Written at once."""
        self._work.put(lambda: self._files.validation(validation, seconds))

    def save_ended(self, end: SaveEnd) -> None:
        """Written within a second."""
        self._work.put(lambda: self._files.save_ended(end))
        if end.asked:
            self.answered()

    def answered(self) -> None:
        """Removes the request for a checkpoint, if there is one."""
        self._work.put(self._answer_request)

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

    def _answer_request(self) -> None:
        self._files.write_progress()  # whoever sees that the request is gone finds what became of it
        self._attempt.checkpoint_request.unlink(missing_ok=True)
        self._saving = False

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
        self._events = EventWriter(
            Path(preset.logs.tensorboard_path) / attempt.run.id, attempt.preset.read_text(encoding="utf-8")
        )
        self._pace = Pace(ranks.mesh.size(), _peak_tflops(preset, ranks.device))
        now = time.time()
        self._progress = Progress(
            phase="start", phase_since=now, step=0, total_steps=self._steps, rows=0, pairs=0, tokens=0, updated=now,
            device=device_words(ranks.device),
            layout=_layout_words(preset, ranks, chosen=attempt.micro_batch.exists()),
        )  # fmt: skip
        self._durations: defaultdict[Phase, deque[float]] = defaultdict(lambda: deque(maxlen=DURATIONS_KEPT))
        self._last_row: dict[str, float] = {}
        self._last_ready = 0.0
        self._last_line = -math.inf
        self._last_complaint = -math.inf
        self._validation_seconds = 0.0

    def change(self, **values: Any) -> None:
        self._progress = replace(self._progress, **values)

    def begin(self, phase: Phase, since: float) -> None:
        """Another phase; how long the last one took is kept, for viewers to tell what is usual."""
        last = self._progress.phase
        if phase != last and last != "train":
            self._durations[last].append(since - self._progress.phase_since)
        medians = {name: statistics.median(durations) for name, durations in self._durations.items()}
        self.change(phase=phase, phase_since=since, phase_seconds=medians)

    def attention(self, choice: Choice) -> None:
        self.change(attention=choice.kernel.name)
        _say(f"attention: {choice}")

    def resume(self, position: Position) -> None:
        self.change(step=position.step, rows=position.rows, pairs=position.pairs, tokens=position.tokens)
        self.change(last_checkpoint=position.step)
        _say(f"resuming from the checkpoint of iteration {position.step}")

    def step(self, report: StepReport) -> None:
        result = report.result.wait()
        # Not the clock of this thread: a slow disk holds up the thread, but not the training.
        seconds = result.ready - max(report.began, self._last_ready)
        self._last_ready = result.ready
        step = StepPace(seconds, report.data_wait, report.counts.tokens, report.flops)
        self._pace.add(step)
        self._change_progress(report, result)
        self._last_row = _metrics_row(report, result, seconds)
        self._metrics.append(self._last_row)
        self._scalars(report.position.step, self._step_scalars(report, result, step))
        if result.ready - self._last_line >= LINE_EVERY or report.position.step == self._steps:
            self._last_line = result.ready
            _say(self._step_line(result))

    def _change_progress(self, report: StepReport, result: StepResult) -> None:
        position, last = report.position, self._pace.last
        self.change(
            step=position.step, rows=position.rows, pairs=position.pairs, tokens=position.tokens,
            lm_loss=result.lm_loss, sop_loss=result.sop_loss, grad_norm=result.grad_norm,
            learning_rate=report.learning_rate, tokens_per_second=last.tokens_per_second,
            mean_tokens_per_second=self._pace.mean_tokens_per_second,
            tflops_per_rank=self._pace.tflops_per_rank(last), share_of_peak=self._pace.share_of_peak(last),
            data_wait_share=last.data_wait_share,
            step_seconds=self._pace.median_seconds, eta_seconds=self._remaining(position.step),
            skipped_steps=self._progress.skipped_steps + result.skipped,
        )  # fmt: skip

    def _step_scalars(self, report: StepReport, result: StepResult, step: StepPace) -> dict[str, float | None]:
        memory = read_memory(self._device)
        return {
            scalar_tags.LM_LOSS: result.lm_loss,
            scalar_tags.SOP_LOSS: None if math.isnan(result.sop_loss) else result.sop_loss,
            scalar_tags.LEARNING_RATE: report.learning_rate,
            scalar_tags.GRAD_NORM: result.grad_norm,
            scalar_tags.LOSS_SCALE: result.loss_scale,
            scalar_tags.BATCH_SIZE: self._preset.train.global_batch,
            scalar_tags.STEP_SECONDS: step.seconds,
            scalar_tags.TFLOPS_PER_RANK: self._pace.tflops_per_rank(step),
            scalar_tags.MEMORY_RESERVED: memory.reserved,
            scalar_tags.MEMORY_ALLOCATED: memory.allocated,
            scalar_tags.MEMORY_PEAK: memory.peak,
            scalar_tags.TOKENS_PER_SECOND: step.tokens_per_second,
            scalar_tags.SHARE_OF_PEAK: self._pace.share_of_peak(step),
            scalar_tags.DATA_WAIT_SHARE: step.data_wait_share,
            scalar_tags.SKIPPED_STEPS: self._progress.skipped_steps,
        }

    def validation(self, validation: Validation, seconds: float) -> None:
        self._validation_seconds = seconds
        self.change(validation=validation)
        if self._last_row.get("step") == validation.step:
            self._metrics.append(self._last_row | _validation_row(validation))
        self._scalars(
            validation.step,
            {
                scalar_tags.LM_LOSS_VALIDATION: validation.lm_loss,
                scalar_tags.LM_PERPLEXITY_VALIDATION: validation.perplexity,
                scalar_tags.SOP_LOSS_VALIDATION: validation.sop_loss,
                scalar_tags.MASKED_ACCURACY_VALIDATION: validation.masked_accuracy,
                scalar_tags.SOP_ACCURACY_VALIDATION: validation.sop_accuracy,
            },
        )
        _say(_validation_line(validation))

    def save_ended(self, end: SaveEnd) -> None:
        if end.saved:
            self.change(last_checkpoint=end.step, checkpoint_seconds=end.seconds, checkpoint_pause=end.pause)
            self.change(not_saved=None)
            _say(f"saved checkpoint of iteration {end.step} in {end.seconds:.2f} s; training paused {end.pause:.2f} s")
        elif end.problem is not None:
            self.change(not_saved=NotSaved(end.step, end.problem))
            _say(f"checkpoint of iteration {end.step} not saved: {end.problem.english}")
        if end.saved and end.problem is not None:
            _say(end.problem.english)

    def write_progress(self) -> None:
        self.change(updated=time.time(), memory_bytes=read_memory(self._device).peak)
        with self._bearing_full_disk():
            write_whole(self._path, to_json(self._progress))

    def close(self) -> None:
        self.write_progress()
        self._metrics.close()
        self._events.close()

    @contextmanager
    def _bearing_full_disk(self) -> Iterator[None]:
        """What a full disk does not take is written when there is room again, and ends nothing."""
        try:
            yield
        except OSError as error:
            if error.errno not in FULL_DISK:
                raise
            if time.monotonic() - self._last_complaint >= LINE_EVERY:
                self._last_complaint = time.monotonic()
                _say(f"{error}; training goes on")

    def _scalars(self, step: int, values: dict[str, float | None]) -> None:
        with self._bearing_full_disk():
            self._events.scalars(step, values)

    def _remaining(self, step: int) -> float:
        """Seconds to the end, validations and checkpoints counted."""
        eval_every, save_every = self._preset.train.eval_every, self._preset.checkpoint.every
        validations = self._steps // eval_every - step // eval_every
        saves = self._steps // save_every - step // save_every
        beside = validations * self._validation_seconds + saves * (self._progress.checkpoint_pause or 0.0)
        return (self._steps - step) * self._pace.median_seconds + beside

    def _step_line(self, result: StepResult) -> str:
        progress, last = self._progress, self._pace.last
        return (
            f"iteration {progress.step:8d}/{progress.total_steps:8d} | consumed rows: {progress.rows:12d} | "
            f"elapsed time per iteration (ms): {1000 * self._pace.median_seconds:.1f} | "
            f"throughput per GPU (TFLOP/s/GPU): {self._pace.tflops_per_rank(last):.2f} | "
            f"tokens per second: {last.tokens_per_second:.0f} | waiting for data: {100 * last.data_wait_share:.1f} % | "
            f"learning rate: {progress.learning_rate:.6E} | "
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
        "data_wait_seconds": min(report.data_wait, seconds),
    }


def _validation_row(validation: Validation) -> dict[str, float]:
    values = {
        "lm_loss_validation": validation.lm_loss,
        "sop_loss_validation": validation.sop_loss,
        "masked_accuracy_validation": validation.masked_accuracy,
        "sop_accuracy_validation": validation.sop_accuracy,
    }
    return {name: value for name, value in values.items() if value is not None}


def _validation_line(validation: Validation) -> str:
    values = {
        "lm loss value": validation.lm_loss,
        "lm loss PPL": validation.perplexity,
        "by frequency alone": validation.unigram_loss,
        "masked accuracy": validation.masked_accuracy,
        "sop loss value": validation.sop_loss,
        "sop accuracy": validation.sop_accuracy,
    }
    told = [f"{name}: {value:.6E}" for name, value in values.items() if value is not None]
    return " | ".join([f"validation loss at iteration {validation.step}", *told]) + " |"


def _say(line: str) -> None:
    """One line in Megatron-LM's form, in one write: other ranks share the log."""
    print(f" [{time.strftime('%Y-%m-%d %H:%M:%S')}] {line}\n", end="", flush=True)


def _peak_tflops(preset: Preset, device: torch.device) -> float | None:
    """The table is of 16-bit products."""
    if device.type == "cpu" or choose_precision(preset.train.precision, device).name == "fp32":
        return None
    peak = peak_of(device_words(device))
    return None if peak is None else peak.tflops


def _layout_words(preset: Preset, ranks: Ranks, *, chosen: bool) -> str:
    micro, parallel = preset.train.micro_batch, preset.parallel
    assert isinstance(micro, int)
    accumulation = preset.train.global_batch // (micro * ranks.data_size)
    layout = f"tensor {ranks.tensor_size} x data {ranks.data_size}"
    layout += " + sequence" * parallel.sequence + " + shards" * (parallel.shard == "full" and ranks.data_size > 1)
    layout += f", recompute {parallel.recompute}" * (parallel.recompute != "none")
    return f"{layout}, micro batch {micro}{' (auto)' * chosen} x {accumulation}"
