"""A few worker processes, and the tasks that are given to them."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType

from bert_tui.data.worker import Answer, Done, Refused, Seen, Task, serve
from trainer.spec.problem import DatasetError, Problem

WAKE_SECONDS = 0.2
"""How often the builder is given the word while the workers have nothing to tell."""


class Workers:
    """Processes that are started fresh, so that they carry nothing of a screen with them; ended with the block."""

    def __init__(self, count: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._count = count
        self._running: dict[Connection, SpawnProcess] = {}

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection, process in self._running.items():
            process.kill()  # a shard is complete or absent, and the builder removes what is not
            process.join()
            connection.close()

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Seen | Done] | None]:
        """Does the tasks, in any order. Gives what is told of each by its number, and None now and then.

        Raises:
            DatasetError: a task was refused, or a worker has died.
        """
        waiting = list(reversed(range(len(tasks))))
        busy: dict[Connection, int] = {}

        def give(connection: Connection) -> None:
            busy.pop(connection, None)
            if waiting:
                busy[connection] = waiting.pop()
                self._send(connection, tasks[busy[connection]])

        for _ in range(min(self._count, len(tasks))):
            give(self._start())
        while busy:
            ready = wait(busy, WAKE_SECONDS)
            for connection in ready:
                assert isinstance(connection, Connection)
                answer = self._receive(connection)
                if isinstance(answer, Refused):
                    raise DatasetError(*answer.problems)
                number = busy[connection]
                if isinstance(answer, Done):
                    give(connection)
                yield number, answer
            if not ready:
                yield None

    def _start(self) -> Connection:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=serve, args=(theirs, os.getpid()), name="build worker", daemon=True)
        process.start()
        theirs.close()
        self._running[ours] = process
        return ours

    def _send(self, connection: Connection, task: Task) -> None:
        try:
            connection.send(task)
        except OSError as error:
            raise self._died(connection) from error

    def _receive(self, connection: Connection) -> Answer:
        try:
            answer: Answer = connection.recv()
        except (EOFError, OSError) as error:
            raise self._died(connection) from error
        return answer

    def _died(self, connection: Connection) -> DatasetError:
        process = self._running[connection]
        process.join()
        return DatasetError(Problem("build.worker_died", "", str(process.exitcode)))
