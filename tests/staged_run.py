"""A run directory in any state, written by the spec's own writers, without a trainer."""

from __future__ import annotations

import math
import os
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from bert_tui.presets import find_preset
from bert_tui.processes import boot_id, started
from trainer.spec.metrics_file import MetricsWriter
from trainer.spec.preset_file import read_preset
from trainer.spec.problem import Problem
from trainer.spec.records import (
    Exit,
    GpuReading,
    Launch,
    Phase,
    Preparation,
    Progress,
    Status,
    Telemetry,
    Validation,
    to_json,
)
from trainer.spec.resolved import Resolved, render_resolved
from trainer.spec.run_directory import RunDirectory, write_whole

TOTAL = 700
UNIGRAM = 6.02
PRESET = """\
schema = 1
extends = "bert-tiny"
[data]
source = "sample"
[train]
steps = {total}
[checkpoint]
path = "{path}"
[logs]
tensorboard_path = "{path}/tensorboard"
[launch]
launcher = "local"
gpus = "none"
"""


class StagedRun:
    """Writes what starter, supervisor and rank 0 would write. This process stands for all of them."""

    def __init__(self, folder: Path, *, total: int = TOTAL) -> None:
        self.total = total
        self.directory = RunDirectory(folder / "20260101-120000-bert-tiny-00ab")
        self.attempt = self.directory.attempt(1)
        for path in (
            self.attempt.control,
            self.attempt.telemetry,
            self.attempt.rank_errors,
            self.directory.checkpoints,
        ):
            path.mkdir(parents=True)
        write_whole(self.directory.request, PRESET.format(path=folder, total=total))
        self.heartbeat = 0
        self.now = time.time()
        self._metrics: MetricsWriter | None = None
        self._progress: Progress | None = None

    def prepare(self, phase: Phase, **values: Any) -> None:
        """The starter is at ``phase``."""
        self.heartbeat += 1
        pid = os.getpid()
        record = Preparation(phase, self.now, self.heartbeat, pid, started(pid) or 0.0, socket.gethostname(), **values)
        write_whole(self.attempt.preparation, to_json(record))

    def resolve(self, device: Literal["cpu", "cuda"]) -> None:
        """The starter knows what the attempt runs on."""
        preset = read_preset(self.directory.request, find_preset)
        resolved = Resolved(
            run_id=self.directory.id, preset_name="bert-tiny", device=device, ranks=2, threads=1, gpus=(),
            data_path=("/data/text",), data_fingerprint="0", vocab_sha256="0",
            image="", image_id="", code_sha256="0", program_version="test",
        )  # fmt: skip
        write_whole(self.attempt.preset, render_resolved(preset, resolved, "staged"))

    def launch(self) -> None:
        """The starter has handed over; the supervisor lives."""
        host, pid = socket.gethostname(), os.getpid()
        handle = {"launcher": "local", "host": host, "boot_id": boot_id(), "pid": pid, "pid_started": started(pid)}
        write_whole(self.attempt.launch, to_json(Launch(1, "local", host, boot_id(), self.now, handle, "true")))
        self.status("start")

    def status(self, phase: Phase, **values: Any) -> None:
        """The supervisor's word."""
        self.heartbeat += 1
        state = values.pop("state", "running")
        record = Status(state, phase, self.now, self.heartbeat, os.getpid(), socket.gethostname(), **values)
        write_whole(self.attempt.status, to_json(record))

    def train(self, first: int, last: int, *, nan: range = range(0), validate_every: int = 100) -> None:
        """Rank 0 did these steps; the losses follow a smooth course with some noise."""
        if self._metrics is None:
            self._metrics = MetricsWriter(self.directory.metrics)
        self.status("train")
        for step in range(first, last + 1):
            lm = math.nan if step in nan else lm_loss(step)
            values = {"step": step, "time": self.now + 0.2 * step, "lm_loss": lm, "sop_loss": sop_loss(step)}
            if step % validate_every == 0:
                loss = lm_loss(step) + 0.05
                values |= {"lm_loss_validation": loss, "sop_loss_validation": 0.694}
                self._validation = Validation(step, loss, 0.694, UNIGRAM, math.exp(loss), 0.173, 0.516)
            self._metrics.append(values)
        self._write_progress(last, "train")

    def _write_progress(self, step: int, phase: Phase) -> None:
        self._progress = Progress(
            phase, self.now, step, self.total, step * 64, step * 130, step * 7400, time.time(),
            lm_loss=lm_loss(step), sop_loss=sop_loss(step), learning_rate=1e-3 * min(1, step / 70), grad_norm=1.2,
            tokens_per_second=41_233.0, mean_tokens_per_second=40_118.0, tflops_per_rank=0.093, data_wait_share=0.004,
            step_seconds=0.28, eta_seconds=0.28 * (self.total - step),
            validation=getattr(self, "_validation", None), device="cpu", layout="tensor 2 x data 1, micro batch 32 x 2",
        )  # fmt: skip
        write_whole(self.attempt.progress, to_json(self._progress))

    def progress(self, **values: Any) -> None:
        """Changes the last progress."""
        assert self._progress is not None
        self._progress = replace(self._progress, **values)
        write_whole(self.attempt.progress, to_json(self._progress))

    def checkpoint(self, step: int, *, age: float = 130.0) -> None:
        """A complete checkpoint, made some seconds ago."""
        folder = self.directory.checkpoints / f"step-{step:08d}"
        folder.mkdir()
        (folder / ".metadata").write_bytes(b"")
        (folder / "progress.json").write_text("{}", encoding="utf-8")
        with (folder / "__0_0.distcp").open("wb") as file:
            file.truncate(12_400_000)
        os.utime(folder, (time.time() - age,) * 2)

    def log(self, *lines: str, starter: bool = False) -> None:
        """The ranks or the starter print something."""
        path = self.attempt.starter_log if starter else self.attempt.log
        with path.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)

    def telemetry(self, gpus: int = 0, *, at: float = 0.0) -> None:
        """The supervisor reads the devices."""
        readings = tuple(
            GpuReading(
                number,
                f"GPU-{number}",
                "NVIDIA A100-SXM4-80GB",
                90.0 + (number * 7 + at) % 10,
                int(71.2e9) + int(at) * 10**8,
                85_899_345_920,
                60.0 + number,
                380.0 + 3 * number + at % 7,
            )
            for number in range(gpus)
        )
        cores = (97.0, 91.0) if gpus == 0 else (20.0,) * 64
        record = Telemetry(self.now + at, cores, 2_100_000_000, 8_200_000_000, readings, 181.0, 912_000_000)
        with (self.attempt.telemetry / "node.jsonl").open("a", encoding="utf-8") as file:
            file.write(to_json(record) + "\n")

    def end(self, outcome: str, problem: Problem | None = None, **values: Any) -> None:
        """The supervisor records the end."""
        step = self._progress.step if self._progress else None
        record = Exit(outcome, 0, None, False, self.now + 200, "supervisor", step, problem, **values)  # type: ignore[arg-type]
        write_whole(self.attempt.exit, to_json(record))


def lm_loss(step: int) -> float:
    """From 8.3 down to about 5, with noise that is the same each time."""
    return 4.9 + 3.4 * math.exp(-step / 160) + 0.12 * math.sin(step * 12.9898) * math.cos(step * 78.233)


def sop_loss(step: int) -> float:
    """About ln 2: nothing is learned in so few steps."""
    return 0.693 + 0.03 * math.sin(step * 45.164)


def training_run(folder: Path, step: int = 412) -> StagedRun:
    """A run in the middle of its training."""
    run = StagedRun(folder)
    run.prepare("launch")
    run.launch()
    run.log(
        "[rank0] tensor parallel 2, data parallel 1, 2 threads a rank",
        "[rank0] 4,096 pieces, 1,389,056 parameters a rank",
        *(
            f"[rank0] step {done}/700 lm loss {lm_loss(done):.4f} sop loss {sop_loss(done):.4f}"
            for done in range(20, step, 20)
        ),
    )
    run.train(1, step)
    run.checkpoint(200, age=300)
    run.checkpoint(400)
    run.telemetry()
    return run
