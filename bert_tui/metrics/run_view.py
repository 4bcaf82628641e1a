"""Looking at a run again and again: everything a viewer shows, in one object a look."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from bert_tui.metrics.charts import TOKENS_PER_SECOND
from bert_tui.metrics.follow import MetricsFollower
from bert_tui.metrics.log_tail import LogTail
from bert_tui.metrics.pace import measure_pace
from bert_tui.metrics.probing import PatientProbe
from bert_tui.metrics.snapshot import Losses, Pace, RunFacts, Saved, Snapshot
from bert_tui.metrics.telemetry import HostReader, NodeReadings, TelemetryFollower
from bert_tui.presets import find_preset
from bert_tui.processes import host_name
from bert_tui.runs.end import settle
from bert_tui.runs.heartbeat import HeartbeatWatch
from bert_tui.runs.job import tensorboard_folder
from bert_tui.runs.state import RunState, RunView, state_of
from trainer.spec.checkpoint_folder import SavedCheckpoint, complete_checkpoints
from trainer.spec.preset import Preset
from trainer.spec.preset_file import read_preset
from trainer.spec.problem import SpecError
from trainer.spec.resolved import read_resolved
from trainer.spec.run_directory import AttemptDirectory, RunDirectory


class RunWatcher:
    """Follows a run through all its attempts. One thread at a time; a look may take as long as the disk does."""

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self._metrics = MetricsFollower(run.metrics)
        self._losses = Losses()
        self._pace: Pace | None = None
        self._saved: dict[Path, Saved | None] = {}
        self._settling: threading.Thread | None = None
        self._follow(run.latest() or run.attempt(1))
        self._moved: tuple[object, ...] = ()
        self._moved_at = time.monotonic()
        self._host = HostReader()
        self._probe = PatientProbe()
        self._heartbeats = HeartbeatWatch()

    def poll(self) -> Snapshot:
        """Looks once at everything."""
        latest = self.run.latest()
        if latest is not None and latest != self._attempt:
            self._follow(latest)
        view = state_of(self.run, self._probe, self._heartbeats)
        self._settle_once(view)
        if self._metrics.poll():
            self._losses = self._read_losses()
            self._pace = measure_pace(
                self._metrics.recent_values("step_seconds"), self._metrics.recent_values(TOKENS_PER_SECOND)
            )
        return Snapshot(
            view=view,
            facts=self._read_facts(),
            losses=self._losses,
            nodes=self._read_nodes(),
            log=self._train_log.poll() if self._attempt.log.exists() else self._starter_log.poll(),
            checkpoints=tuple(self._read_checkpoints()),
            taken=time.time(),
            pace=self._pace,
            idle_seconds=self._idle(view),
        )

    def wait_until_settled(self) -> None:
        """Returns when the end that was seen is recorded, and its container cleared away where that was possible."""
        if self._settling is not None:
            self._settling.join()

    def _settle_once(self, view: RunView) -> None:
        """Brings an attempt that has ended to rest, once and in the background: an engine may be slow to answer."""
        if self._settling is None and not (view.state.active or view.state is RunState.LOST):
            self._settling = threading.Thread(target=settle, args=(view,), name="settle", daemon=True)
            self._settling.start()

    def _follow(self, attempt: AttemptDirectory) -> None:
        self._settling = None
        self._attempt = attempt
        self._facts = RunFacts()
        self._facts_are_final = False
        self._telemetry = TelemetryFollower(attempt.telemetry)
        self._train_log = LogTail(attempt.log)
        self._starter_log = LogTail(attempt.starter_log)

    def _read_losses(self) -> Losses:
        metrics = self._metrics
        return Losses(
            lm=metrics.curve("lm_loss"),
            sop=metrics.curve("sop_loss"),
            lm_validation=metrics.curve("lm_loss_validation"),
            sop_validation=metrics.curve("sop_loss_validation"),
            recent_lm=metrics.recent("lm_loss"),
            recent_sop=metrics.recent("sop_loss"),
            not_finite=metrics.not_finite,
        )

    def _read_facts(self) -> RunFacts:
        """From what was asked for, until the starter has written the attempt's own preset."""
        try:
            if not self._facts_are_final and self._attempt.preset.exists():
                self._facts_are_final = True
                preset, resolved = read_resolved(self._attempt.preset)
                self._facts = _facts(self.run, preset, uses_gpus=resolved.device == "cuda")
            elif self._facts == RunFacts() and self.run.request.exists():
                self._facts = _facts(self.run, read_preset(self.run.request, find_preset), uses_gpus=False)
        except (SpecError, OSError):
            self._facts_are_final = True  # damaged by somebody; the run itself can be watched all the same
        return self._facts

    def _read_nodes(self) -> tuple[NodeReadings, ...]:
        return self._telemetry.poll() or self._host.poll()

    def _read_checkpoints(self) -> list[Saved]:
        self._saved = {
            found.path: self._saved.get(found.path) or _measure(found)
            for found in complete_checkpoints(self.run.checkpoints)
        }
        return [saved for saved in self._saved.values() if saved is not None]

    def _idle(self, view: RunView) -> float:
        """By this viewer's own clock; at the first look, by the time at which the last step was recorded."""
        prepared = (view.preparation.phase, view.preparation.done) if view.preparation else None
        progress = (view.progress.phase, view.progress.step) if view.progress else None
        moved = (view.attempt, view.state, view.phase, prepared, progress)
        if moved != self._moved:
            first_look = not self._moved
            self._moved, self._moved_at = moved, time.monotonic()
            if first_look and (last := self._metrics.last("time")) is not None and _is_here(view):
                self._moved_at -= max(0.0, time.time() - last)
        return time.monotonic() - self._moved_at


def _facts(run: RunDirectory, preset: Preset, *, uses_gpus: bool) -> RunFacts:
    board = tensorboard_folder(run, preset) if preset.logs.tensorboard_path else None
    return RunFacts(preset.launch.launcher, preset.train.steps, uses_gpus, board)


def _is_here(view: RunView) -> bool:
    """Whether the run's clock is this machine's."""
    return view.status is not None and view.status.host == host_name()


def _measure(checkpoint: SavedCheckpoint) -> Saved | None:
    """None if it was deleted meanwhile: old checkpoints make room for new ones."""
    try:
        size = sum(entry.stat().st_size for entry in os.scandir(checkpoint.path) if entry.is_file())
        return Saved(checkpoint.step, size, checkpoint.path.stat().st_mtime)
    except FileNotFoundError:
        return None
