"""Looking at a run again and again: everything a viewer shows, in one object a look."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bert_tui.metrics.follow import MetricsFollower
from bert_tui.metrics.log_tail import LogTail
from bert_tui.metrics.probing import PatientProbe
from bert_tui.metrics.snapshot import Losses, RunFacts, Saved, Snapshot
from bert_tui.metrics.telemetry import HostReader, NodeReadings, TelemetryFollower
from bert_tui.presets import find_preset
from bert_tui.processes import host_name
from bert_tui.runs.heartbeat import HeartbeatWatch
from bert_tui.runs.state import RunView, state_of
from trainer.spec.checkpoint_folder import complete_checkpoints
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
        self._sizes: dict[Path, Saved] = {}
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
        if self._metrics.poll():
            self._losses = self._read_losses()
        return Snapshot(
            view=view,
            facts=self._read_facts(),
            losses=self._losses,
            nodes=self._read_nodes(),
            log=self._train_log.poll() if self._attempt.log.exists() else self._starter_log.poll(),
            checkpoints=tuple(self._read_checkpoints()),
            taken=time.time(),
            idle_seconds=self._idle(view),
        )

    def _follow(self, attempt: AttemptDirectory) -> None:
        self._attempt = attempt
        self._facts: RunFacts | None = None
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
        """Read until the starter has written the attempt's own preset; what was asked for has to do before."""
        if self._facts is not None:
            return self._facts
        try:
            preset, resolved = read_resolved(self._attempt.preset)
        except (SpecError, OSError, TypeError):
            return self._facts_of_request()
        self._facts = _facts(preset, resolved.preset_name, self.run.id)
        return self._facts

    def _facts_of_request(self) -> RunFacts:
        try:
            return _facts(read_preset(self.run.request, find_preset), "", self.run.id)
        except (SpecError, OSError):
            return RunFacts()

    def _read_nodes(self) -> tuple[NodeReadings, ...]:
        return self._telemetry.poll() or self._host.poll()

    def _read_checkpoints(self) -> list[Saved]:
        found = complete_checkpoints(self.run.checkpoints)
        self._sizes = {saved.path: self._sizes.get(saved.path) or _measure(saved.step, saved.path) for saved in found}
        return list(self._sizes.values())

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


def _facts(preset: Preset, name: str, run_id: str) -> RunFacts:
    board = preset.logs.tensorboard_path
    return RunFacts(
        preset_name=name or run_id.partition("-")[2].partition("-")[2].rpartition("-")[0],
        launcher=preset.launch.launcher,
        total_steps=preset.train.steps,
        tensorboard=Path(board) / run_id if board else None,
    )


def _is_here(view: RunView) -> bool:
    """Whether the run's clock is this machine's."""
    return view.status is not None and view.status.host == host_name()


def _measure(step: int, folder: Path) -> Saved:
    entries = [entry.stat() for entry in os.scandir(folder) if entry.is_file()]
    return Saved(step, sum(entry.st_size for entry in entries), folder.stat().st_mtime)
