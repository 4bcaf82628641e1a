"""The supervisor of an attempt: ``python -m trainer.supervise ATTEMPT_DIR``. Without torch in this process.

Holds the run's lock, looks around (``preflight``), runs the ranks (``torchrun``), passes on a stop, and writes the
verdict. Nothing it started outlives it, however it ends.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from trainer.micro_batch_search import OUT_OF_MEMORY, TRIED, Search, in_words, read_tried
from trainer.process_tree import PARENT, adopt_orphans, end_family
from trainer.spec.preset import Preset
from trainer.spec.problem import EnvironmentRefused, Problem, RunError, SpecError
from trainer.spec.records import Exit, TriedMicroBatch, to_json
from trainer.spec.resolved import Resolved, read_resolved
from trainer.spec.run_directory import AttemptDirectory, write_once
from trainer.spec.run_lock import read_holder, take_lock
from trainer.status_file import StatusFile
from trainer.telemetry import TelemetryWriter
from trainer.train_log import TrainLog
from trainer.verdict import Evidence, gather, judge, memory_kills

POLL = 0.2
PREFLIGHT_SECONDS = 600
"""Importing torch from a cold network disk takes minutes."""
TRIAL_SECONDS = 900
"""Sizes that a trial has not come to by then are too slow anyway."""

CPU_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(4 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 30),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
"""glibc's malloc keeps what a step on a CPU gives back for the next one, in huge pages. Otherwise each step gets its
gradients and activations page by page from the kernel again (docs/speed.md has what that costs)."""


def main(arguments: list[str]) -> int:
    """Owns the attempt until its end; 0 if it finished or was stopped on request."""
    os.umask(0o077)
    attempt = AttemptDirectory(Path(arguments[0]).absolute())
    try:
        take_lock(attempt, "supervisor")  # held until this process ends
    except RunError as refusal:
        return _refused(attempt, refusal)
    if attempt.exit.exists():
        print(f"{attempt.path} has ended already", file=sys.stderr)
        return 1
    return Supervisor(attempt).run()


def _refused(attempt: AttemptDirectory, refusal: RunError) -> int:
    """Another attempt trains: this one ends. Where this very attempt does, only the second process is too many."""
    print(refusal, file=sys.stderr)
    if read_holder(attempt.run.lock).attempt != attempt.number:
        write_once(attempt.exit, to_json(_failed(refusal.problems[0])))
    return 1


class Supervisor:
    """One attempt, from its preflight to its exit record."""

    def __init__(self, attempt: AttemptDirectory) -> None:
        self._attempt = attempt
        self._status = StatusFile(attempt.status)
        self._telemetry = TelemetryWriter(attempt.telemetry)
        self._log = TrainLog(attempt.log)
        self._signalled = threading.Event()

    def run(self) -> int:
        """Everything in order; the exit record is written whatever happens."""
        adopt_orphans()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._signalled.set())
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._status.start()
        self._telemetry.start()
        end = self._end_of_attempt()
        self._telemetry.stop()
        write_once(self._attempt.exit, to_json(end))
        self._status.end(end.problem)
        return 0 if end.outcome != "failed" else 1

    def _end_of_attempt(self) -> Exit:
        try:
            preset, resolved = read_resolved(self._attempt.preset)
            exported = environment(self._attempt, preset, resolved)
            self._look_around(exported)
            if self._stop_asked():
                return Exit("stopped", None, None, False, time.time(), "supervisor")
            if preset.train.micro_batch == "auto" and not self._settle_micro_batch(exported, preset, resolved):
                return Exit("stopped", None, None, False, time.time(), "supervisor")
            return self._train(exported, resolved.ranks)
        except SpecError as refusal:
            return _failed(refusal.problems[0])
        except Exception as error:
            traceback.print_exc()
            return _failed(Problem("end.supervisor_crashed", "", type(error).__name__, {"reason": str(error)}))
        finally:
            end_family(os.getpid())

    def _look_around(self, exported: dict[str, str]) -> None:
        """Returns early where a stop was asked for.

        Raises:
            EnvironmentRefused: something is lacking here.
        """
        answer_read, answer_write = os.pipe()
        child = self._start("trainer.preflight", exported, str(self._attempt.path), stdout=answer_write)
        os.close(answer_write)
        until = time.monotonic() + PREFLIGHT_SECONDS
        for stop_asked in self._polls(child):
            if stop_asked or time.monotonic() > until:
                child.kill()
        with os.fdopen(answer_read, encoding="utf-8", errors="replace") as pipe:
            text = pipe.read().strip()
        if self._stop_asked():
            return
        if time.monotonic() > until:
            raise EnvironmentRefused(Problem("preflight.slow", "", str(PREFLIGHT_SECONDS)))
        answer = _answer(text)
        if child.returncode != 0 or answer is None:
            reason = {"reason": text[-200:] or "no words"}
            raise EnvironmentRefused(Problem("preflight.died", "", str(child.returncode), reason))
        if answer["problem"]:
            raise EnvironmentRefused(Problem.from_json(answer["problem"]))
        self._log.write(f"preflight: {answer['seen']}\n".encode())

    def _settle_micro_batch(self, exported: dict[str, str], preset: Preset, resolved: Resolved) -> bool:
        """Finds the micro batch for the ranks. False where a stop was asked for meanwhile.

        Raises:
            SpecError: none fits, or a trial failed for another reason than its size.
        """
        search, number = Search(self._attempt, preset, resolved), 0
        while sizes := search.next_sizes():
            self._status.enter("micro_batch")
            number += 1
            search.add(self._try(exported, resolved.ranks, self._attempt.trial / str(number), sizes))
            if self._stop_asked():
                return False
        choice = search.choice()
        write_once(self._attempt.micro_batch, to_json(choice))
        self._log.write(f"{in_words(choice)}\n".encode())
        return True

    def _try(self, exported: dict[str, str], ranks: int, folder: Path, sizes: list[int]) -> list[TriedMicroBatch]:
        """One trial. The size at which it ended unexpectedly did not fit, if that was for memory or time."""
        folder.mkdir(parents=True)
        until = time.monotonic() + TRIAL_SECONDS
        evidence = self._run_ranks(
            exported, ranks, folder, "trainer.try_micro_batch", str(self._attempt.path), str(folder), json.dumps(sizes),
            watch=lambda asked: asked or time.monotonic() > until,
        )  # fmt: skip
        slow = time.monotonic() > until
        tried = read_tried(folder / TRIED)
        if evidence.torchrun == 0 or self._stop_asked():
            return tried
        problem = judge(evidence, time.time()).problem
        assert problem is not None
        if not tried or tried[-1].outcome != "begun" or not (slow or problem.code in OUT_OF_MEMORY):
            raise RunError(problem)
        return [*tried[:-1], dataclasses.replace(tried[-1], outcome="too_slow" if slow else "out_of_memory")]

    def _train(self, exported: dict[str, str], ranks: int) -> Exit:
        self._status.enter("start")

        def watch(stop_asked: bool) -> bool:
            if self._attempt.progress.exists():
                self._status.enter("train")
            return False  # the ranks see the request, save and end by themselves

        path = str(self._attempt.path)
        evidence = self._run_ranks(exported, ranks, self._attempt.rank_errors, "trainer", path, watch=watch)
        return judge(evidence, time.time())

    def _run_ranks(
        self, exported: dict[str, str], ranks: int, errors: Path, *program: str, watch: Callable[[bool], bool]
    ) -> Evidence:
        """A module on all ranks, to its end, or until ``watch``, told whether a stop was asked for, wants it killed."""
        kills = memory_kills()
        child = self._start("trainer.torchrun", exported, str(ranks), str(errors), *program)
        for stop_asked in self._polls(child):
            if watch(stop_asked):
                child.kill()
        end_family(os.getpid())
        self._log.drain()
        return gather(
            self._attempt,
            errors,
            torchrun=child.returncode,
            stop_asked=self._stop_asked(),
            memory_kills=memory_kills() - kills,
        )

    def _start(
        self, module: str, exported: dict[str, str], *arguments: str, stdout: int | None = None
    ) -> subprocess.Popen[bytes]:
        """A child of this very thread (the kernel ties the child to the thread, not to the process)."""
        read, write = os.pipe()
        child = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=write if stdout is None else stdout,
            stderr=write,
            cwd=self._attempt.run.path,
            env=exported,
        )
        os.close(write)
        self._log.copy(read)
        return child

    def _polls(self, child: subprocess.Popen[bytes]) -> Iterator[bool]:
        """Until the child has ended: whether a stop was asked for, again and again."""
        while child.poll() is None:
            yield self._stop_asked()
            time.sleep(POLL)

    def _stop_asked(self) -> bool:
        """Whether a stop was asked for; a signal becomes the same request that anyone can make by a file."""
        if self._signalled.is_set():
            self._request_stop()
        asked = self._attempt.stop_request.exists()
        if asked and self._status.state == "running":
            self._status.stopping()
        return asked

    def _request_stop(self) -> None:
        try:
            self._attempt.stop_request.touch(mode=0o600)
        except OSError as error:  # a full disk: the next poll tries again
            print(f"control/stop: {error}", file=sys.stderr, flush=True)


def environment(attempt: AttemptDirectory, preset: Preset, resolved: Resolved) -> dict[str, str]:
    """What the ranks find in their environment. Everything they write for themselves goes to the run's cache."""
    cache = attempt.run.cache
    temporary = cache / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("TORCHELASTIC_", "PET_"))}
    chosen = CPU_MEMORY if resolved.device == "cpu" else {}  # the operator's own settings of the allocator come first
    # One queue to the GPU keeps exchanges between tensor ranks in the order of their kernels, as Megatron-LM asks; it
    # would also hold up the computation that gathering shards is to hide behind (torchtitan #1147).
    queues = 32 if preset.parallel.shard == "full" else 1
    return {**chosen, **inherited} | {
        "PYTHONPATH": str(attempt.run.code),
        "PYTHONUNBUFFERED": "1",
        PARENT: str(os.getpid()),
        "HOME": str(cache),
        "TMPDIR": str(temporary),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        "TRITON_CACHE_DIR": str(cache / "triton"),
        "OMP_NUM_THREADS": str(resolved.threads),
        "CUDA_DEVICE_MAX_CONNECTIONS": str(queues),
        "GLOO_SOCKET_IFNAME": "lo",
        "NCCL_SOCKET_IFNAME": "lo",
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
    }


def _failed(problem: Problem) -> Exit:
    return Exit("failed", None, None, False, time.time(), "supervisor", problem=problem)


def _answer(text: str) -> dict[str, Any] | None:
    """The preflight's line; imports may have printed others before it."""
    try:
        answer = json.loads(text.splitlines()[-1])
    except (IndexError, ValueError):
        return None
    return answer if isinstance(answer, dict) and {"seen", "problem"} <= answer.keys() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
