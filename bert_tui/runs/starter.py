"""The starter of an attempt: ``python -m bert_tui.runs.starter ATTEMPT_DIR``, detached from any screen.

Prepares what the request asks for, hands over to a launcher, and ends. If it cannot, it says why in ``exit.json``.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bert_tui
from bert_tui.launchers import launcher_named
from bert_tui.launchers.local import torch_version
from bert_tui.launchers.protocol import Handle
from bert_tui.processes import boot_id, host_name
from bert_tui.runs import prepare
from bert_tui.runs.job import job_of, tensorboard_folder
from bert_tui.runs.preparation_file import PreparationFile
from trainer.spec import preset_file
from trainer.spec.preset import Preset, replace
from trainer.spec.problem import Problem, RunError, SpecError
from trainer.spec.records import Exit, Launch, Request, read_record, to_json
from trainer.spec.resolved import Resolved, read_resolved, render_resolved
from trainer.spec.run_directory import AttemptDirectory, RunDirectory, write_once, write_whole
from trainer.spec.run_lock import take_lock

STOP_POLL = 0.5


class StopAsked(BaseException):
    """A stop was asked for while the run was being prepared. Like KeyboardInterrupt no Exception: nothing on the way
    may take it for an error and go on."""


class StopWatch:
    """Raises :class:`StopAsked` in the main thread when a stop is asked for, by file or by SIGTERM, whatever it is
    waiting for; until it is disarmed."""

    def __init__(self, attempt: AttemptDirectory) -> None:
        self._attempt = attempt
        self._disarmed = threading.Event()

    def arm(self) -> None:
        """From now on."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        threading.Thread(target=self._watch, name="stop watch", daemon=True).start()

    def disarm(self) -> None:
        """The supervisor sees to it from now on."""
        self._disarmed.set()

    def check(self) -> None:
        """Raises :class:`StopAsked` if a stop was asked for since the last poll."""
        if self._attempt.stop_request.exists():
            raise StopAsked

    def _on_signal(self, *_: Any) -> None:
        if not self._disarmed.is_set():
            self.disarm()
            raise StopAsked

    def _watch(self) -> None:
        while not self._disarmed.wait(STOP_POLL):
            if self._attempt.stop_request.exists():
                os.kill(os.getpid(), signal.SIGTERM)


class Starter:
    """One preparation, from the lock to the launch."""

    def __init__(self, attempt: AttemptDirectory) -> None:
        self._attempt = attempt
        self._preparation = PreparationFile(attempt.preparation)
        self._stop = StopWatch(attempt)

    def run(self) -> int:
        """0 if the attempt was launched or stopped on request; what went wrong is in ``exit.json``."""
        try:
            self._preparation.start()
            self._stop.arm()
            self._start()
        except StopAsked:
            return self._end("stopped", None)
        except SpecError as refusal:
            print(refusal, file=sys.stderr)
            return self._end("failed", refusal.problems[0])
        except OSError as error:
            traceback.print_exc()
            facts = {"reason": error.strerror or str(error)}
            return self._end("failed", Problem("start.os", str(error.filename or self._attempt.run.path), "", facts))
        except Exception as error:
            traceback.print_exc()
            facts = {"reason": str(error)}
            return self._end("failed", Problem("start.crashed", self._preparation.phase, type(error).__name__, facts))
        finally:
            self._preparation.stop()
        return 0

    def _start(self) -> None:
        attempt, run = self._attempt, self._attempt.run
        lock = take_lock(attempt, "starter")
        request, preset = _read_request(attempt)
        first = read_resolved(run.preset)[1] if run.preset.exists() else None
        launcher = launcher_named(preset.launch.launcher)
        show = self._preparation

        show.enter("data")
        data = prepare.prepare_data(run, preset, first, show.report)
        prepare.check_weights(run, preset, data)
        show.enter("index")
        fingerprint = prepare.prepare_rows(run, preset, data, first, show.report)
        show.enter("image")
        image, image_id = prepare.prepare_image(launcher, preset, request.device == "cuda", show.report)
        show.enter("code")
        code = prepare.prepare_code(run, update=request.update_code, show=show.report)
        show.enter("launch")
        preset = replace(preset, model__vocab_size=data.vocab_size, launch__image=image or preset.launch.image)
        self._write_presets(preset, _resolve(run, request, data, fingerprint, image, image_id, code))
        job = job_of(attempt, request, preset, image, data.data_path)
        tensorboard_folder(run, preset).mkdir(mode=0o700, parents=True, exist_ok=True)
        run.cache.mkdir(mode=0o700, exist_ok=True)
        run.checkpoints.mkdir(mode=0o700, exist_ok=True)
        self._stop.check()
        self._stop.disarm()

        def record(handle: Handle, notices: tuple[str, ...]) -> None:
            command = launcher.describe(job)  # asked only now: without the ulimits that the engine has refused
            write_whole(attempt.launch, to_json(_launch(attempt, request, handle, notices, command)))

        lock.release()
        launcher.start(job, record)

    def _write_presets(self, preset: Preset, resolved: Resolved) -> None:
        heading = f"What run {resolved.run_id} was resolved to. Replay: bert-tui run THIS_FILE"
        text = render_resolved(preset, resolved, heading)
        write_once(self._attempt.run.preset, text)
        write_whole(self._attempt.preset, text)

    def _end(self, outcome: Any, problem: Problem | None) -> int:
        self._stop.disarm()
        write_once(
            self._attempt.exit, to_json(Exit(outcome, None, None, False, time.time(), "starter", problem=problem))
        )
        return 0 if outcome == "stopped" else 1


def _read_request(attempt: AttemptDirectory) -> tuple[Request, Preset]:
    request = read_record(Request, attempt.request)
    if request is None:
        raise RunError(Problem("run.unreadable", str(attempt.request), "", {"reason": "no request"}))
    return request, preset_file.from_tables(request.preset, str(attempt.request))


def _resolve(
    run: RunDirectory,
    request: Request,
    data: prepare.PreparedData,
    fingerprint: str,
    image: str,
    image_id: str,
    code: str,
) -> Resolved:
    return Resolved(
        run_id=run.id,
        preset_name=request.preset_name,
        device=request.device,
        ranks=request.ranks,
        threads=request.threads,
        gpus=request.gpus,
        data_path=data.data_path,
        data_fingerprint=fingerprint,
        vocab_sha256=data.vocab_sha256,
        image=image,
        image_id=image_id,
        code_sha256=code,
        program_version=bert_tui.__version__,
        micro_batch=request.micro_batch,
        cores=request.hardware.cores,
        gpu_names=request.hardware.gpu_names,
        driver=request.hardware.driver,
        torch_version=(torch_version() or "") if not image else "",
    )


def _launch(
    attempt: AttemptDirectory, request: Request, handle: Mapping[str, Any], notices: tuple[str, ...], command: str
) -> Launch:
    return Launch(
        attempt=attempt.number,
        launcher=str(handle["launcher"]),
        host=host_name(),
        boot_id=boot_id(),
        started=time.time(),
        handle=handle,
        command=command,
        overrides=request.overrides,
        notices=notices,
    )


def main(arguments: list[str]) -> int:
    """Prepares and launches one attempt."""
    os.umask(0o077)
    return Starter(AttemptDirectory(Path(arguments[0]).absolute())).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
