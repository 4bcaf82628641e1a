"""What a worker process does: one shard after the other, or the training of a vocabulary."""

from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from bert_tui.data.bad_text import BadTextLog
from bert_tui.data.inputs import damaged
from bert_tui.data.order import BuildOrder
from bert_tui.data.reading import read_shard
from bert_tui.data.shards import Shard
from trainer.spec.problem import DatasetError, Problem, SpecError
from trainer.spec.run_directory import FULL_DISK

if TYPE_CHECKING:
    from bert_tui.data.shard_files import KeyWriter
    from bert_tui.data.wordpiece import WordPiece

REPORT_SECONDS = 0.25
VOCABULARY_TEXT = 64 << 20
"""Characters of text a vocabulary is learned from, evenly over the input; more changes hardly a piece."""


@dataclass(frozen=True)
class TokenizeShard:
    """Split and tokenize a shard into its folder. Answered by a :class:`Done`."""

    order: BuildOrder
    vocabulary: Path
    shard: Shard
    folder: Path


@dataclass(frozen=True)
class LearnVocabulary:
    """Train a vocabulary on parts of some shards and write it. Answered by a :class:`Done`."""

    order: BuildOrder
    shards: tuple[Shard, ...]
    path: Path
    threads: int


@dataclass(frozen=True)
class Seen:
    """How far a task is."""

    bytes: int
    """Of the shard, on the disk."""
    documents: int = 0
    sentences: int = 0
    tokens: int = 0
    skipped: int = 0
    detail: str = ""


@dataclass(frozen=True)
class Done:
    """A task is finished; its files are there."""


@dataclass(frozen=True)
class Refused:
    """A task cannot be finished."""

    problems: tuple[Problem, ...]


Task = TokenizeShard | LearnVocabulary
Answer = Seen | Done | Refused
Tell = Callable[[Seen], None]


def serve(connection: Connection, builder: int) -> None:
    """Does the tasks that come through the connection, until it is closed or the builder has died."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the builder's to handle
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # workers share the cores among themselves

    def tell(seen: Seen) -> None:
        if os.getppid() != builder:
            raise EOFError
        connection.send(seen)

    try:
        while True:
            task: Task = connection.recv()
            connection.send(_answer(task, tell))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _answer(task: Task, tell: Tell) -> Answer:
    try:
        if isinstance(task, TokenizeShard):
            tokenize_shard(task, tell)
        else:
            _learn(task, tell)
    except SpecError as error:
        return Refused(error.problems)
    except BrokenPipeError:
        raise
    except OSError as error:
        return Refused((_os_problem(error),))
    return Done()


def _os_problem(error: OSError) -> Problem:
    where = str(error.filename or "")
    if error.errno in FULL_DISK:
        return Problem("build.disk_full", where, "", {"reason": error.strerror or str(error)})
    return damaged(Path(where), error)


def tokenize_shard(task: TokenizeShard, tell: Tell) -> None:
    """Writes a shard's folder.

    Raises:
        DatasetError: text that cannot be used.
        OSError: the disk is full, or may not be written.
    """
    from bert_tui.data.sentences import split_sentences
    from bert_tui.data.shard_files import KeyWriter, ShardRecord, record_file
    from trainer.spec.records import to_json
    from trainer.spec.run_directory import write_whole
    from trainer.spec.whole_folder import whole_folder

    order, log = task.order, BadTextLog(task.order.bad_text)
    wordpiece = _wordpiece(task.vocabulary, order.lower_case)
    with whole_folder(task.folder) as beside:
        writers = [KeyWriter(beside, number, wordpiece) for number in range(len(order.json_keys))]
        watch = _Watch(tell, log, writers)
        for piece in read_shard(task.shard, order, log, watch.read):
            for writer, text in zip(writers, piece.texts, strict=True):
                writer.add(split_sentences(text, order.language), ends_document=piece.ends)
        for writer in writers:
            writer.close()
        record = ShardRecord(
            tuple(writer.counts for writer in writers), tuple(log.lines), log.skipped, log.replaced, tuple(log.named)
        )
        write_whole(record_file(beside), to_json(record))


@functools.cache
def _wordpiece(vocabulary: Path, lower_case: bool) -> WordPiece:
    """A worker has one order, and so one vocabulary."""
    from bert_tui.data.wordpiece import WordPiece
    from trainer.spec.vocabulary import read_vocabulary

    return WordPiece(read_vocabulary(vocabulary), lower_case=lower_case)


def _learn(task: LearnVocabulary, tell: Tell) -> None:
    from bert_tui.data.vocabulary_training import train_vocabulary
    from trainer.spec.run_directory import write_whole

    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    os.environ["RAYON_NUM_THREADS"] = str(task.threads)
    rounds = 0

    def texts() -> Iterator[str]:
        nonlocal rounds
        done = rounds * sum(shard.size for shard in task.shards)
        rounds += 1
        yield from _sampled(task, done, tell)

    assert task.order.train_vocab is not None
    pieces = train_vocabulary(texts, task.order.train_vocab, lower_case=task.order.lower_case)
    if len(pieces) < 6:
        raise DatasetError(Problem("build.nothing_left", task.order.inputs[0]))
    write_whole(task.path, "".join(f"{piece}\n" for piece in pieces), mode=0o644)


def _sampled(task: LearnVocabulary, done: int, tell: Tell) -> Iterator[str]:
    """Text from the beginning of each shard, not more of it all than a vocabulary needs."""
    share = VOCABULARY_TEXT // len(task.shards)
    for shard in task.shards:
        taken = 0
        tell(Seen(done, detail=str(shard.segments[0].path)))
        for piece in read_shard(shard, task.order, BadTextLog(task.order.bad_text), lambda read: None):
            for text in piece.texts:
                yield text
                taken += len(text)
            if taken >= share:
                break
        done += shard.size


class _Watch:
    """Tells the builder how far a shard is, a few times a second."""

    def __init__(self, tell: Tell, log: BadTextLog, writers: Sequence[KeyWriter]) -> None:
        self._tell = tell
        self._log = log
        self._writers = writers
        self._told = time.monotonic()

    def read(self, size: int) -> None:
        """So many bytes of the shard have been read."""
        now = time.monotonic()
        if now < self._told + REPORT_SECONDS:
            return
        self._told = now
        counts = [writer.counts for writer in self._writers]
        self._tell(
            Seen(
                size,
                sum(count.documents for count in counts),
                sum(count.sentences for count in counts),
                sum(count.tokens for count in counts),
                self._log.skipped,
            )
        )
