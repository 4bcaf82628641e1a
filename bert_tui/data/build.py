"""From text to an indexed dataset.

The input is cut into shards (:mod:`~bert_tui.data.shards`), which worker processes split into sentences and tokenize,
each into a folder of its own (:mod:`~bert_tui.data.shard_files`); then these are joined (:mod:`~bert_tui.data.join`).
An interrupted build goes on from the finished shards.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import bert_tui
from bert_tui.data.build_folder import BuildEnd, BuildFolder, open_folder, read_order, unwritable
from bert_tui.data.build_records import BuildResult, DatasetCounts, LeftOut
from bert_tui.data.disk_space import require_space
from bert_tui.data.inputs import InputFile, find_files, look_at
from bert_tui.data.join import join_shards
from bert_tui.data.order import BuildOrder, absolute, check_order
from bert_tui.data.shard_files import Counts, ShardRecord, record_file, shard_folder
from bert_tui.data.shards import SHARD_BYTES, Shard, cut_into_shards
from bert_tui.data.status_file import Report, StatusFile
from bert_tui.data.wordpiece import WordPiece
from bert_tui.data.worker import LearnVocabulary, Seen, TokenizeShard
from bert_tui.data.workers import Workers
from trainer.spec.indexed_dataset import dataset_paths
from trainer.spec.problem import DatasetError, Problem, SpecError
from trainer.spec.records import read_record, to_json
from trainer.spec.run_directory import FULL_DISK, write_whole
from trainer.spec.vocabulary import Vocabulary, read_vocabulary

FORMAT = 1
"""Counted up when the same order would give another dataset: shards of an older program are then not used."""
NAMED = 1000
"""How much of what was left out is named in the result; all is counted."""
VOCABULARY_SHARDS = 64
"""A vocabulary is learned from parts of so many shards, evenly over the input."""


class BuildStopped(Exception):
    """The build was asked to end before it was done. What it has finished is kept."""


@dataclass(frozen=True)
class Mark:
    """``mark.json``: what the finished shards in a folder, and a trained vocabulary, were made from."""

    fingerprint: str


@dataclass(frozen=True)
class Source:
    """A file of the input."""

    path: Path
    size: int


@dataclass(frozen=True)
class Summary:
    """``PREFIX.json``: what was built, and from what."""

    program: str
    fingerprint: str
    order: BuildOrder
    result: BuildResult
    sources: tuple[Source, ...]
    """The first thousand files of the input."""


def build(order: BuildOrder, report: Report) -> BuildResult:
    """Builds in the foreground; ``report`` is told of every change. A dataset that this very order has built from the
    same files is left as it is.

    Raises:
        DatasetError: the order is wrong, the input cannot be used, or the output not be written.
        BuildStopped: on Ctrl-C, or when somebody else has asked for it; the same order goes on from there.
    """
    check_order(order)
    folder, lock = open_folder(absolute(order))
    try:
        return carry_out(folder, read_order(folder), report)
    finally:
        lock.release()


def carry_out(folder: BuildFolder, order: BuildOrder, report: Report) -> BuildResult:
    """Builds in a folder that is locked already, and notes there how it ended.

    Raises:
        DatasetError, BuildStopped: as :func:`build`.
    """
    try:
        with StatusFile(folder, report) as status:
            result = _Build(folder, order, status).run()
    except (KeyboardInterrupt, BuildStopped) as stop:
        _note_end(folder, BuildEnd("stopped", time.time()))
        raise BuildStopped from stop
    except SpecError as refusal:
        _note_end(folder, BuildEnd("failed", time.time(), refusal.problems))
        raise
    except OSError as error:
        problem = _os_problem(error, folder.path)
        _note_end(folder, BuildEnd("failed", time.time(), (problem,)))
        raise DatasetError(problem) from error
    except Exception as error:
        problem = Problem("build.crashed", str(folder.path), type(error).__name__, {"reason": str(error)})
        _note_end(folder, BuildEnd("failed", time.time(), (problem,)))
        raise
    _note_end(folder, BuildEnd("finished", time.time(), result=result))
    return result


def _note_end(folder: BuildFolder, end: BuildEnd) -> None:
    write_whole(folder.end, to_json(end), mode=0o644)


def _os_problem(error: OSError, where: Path) -> Problem:
    if error.errno in FULL_DISK:
        return Problem("build.disk_full", str(error.filename or where), "", {"reason": error.strerror or str(error)})
    return unwritable(error, where)


class _Build:
    """One build, from looking at the input to the finished dataset."""

    def __init__(self, folder: BuildFolder, order: BuildOrder, status: StatusFile) -> None:
        self._folder = folder
        self._order = order
        self._status = status
        self._began = time.monotonic()
        self._unreadable: list[LeftOut] = []

    def run(self) -> BuildResult:
        files = self._look()
        fingerprint = self._fingerprint(files)
        if (summary := self._built_before(fingerprint)) is not None:
            self._status.caution(Problem("build.already", str(self._order.output)))
            return summary.result
        shards = cut_into_shards(files, SHARD_BYTES)
        self._begin(fingerprint)
        require_space(self._order, shards, self._folder)
        vocab_file = self._order.vocab_file or self._learn(shards)
        vocabulary = read_vocabulary(vocab_file)
        self._tokenize(shards, vocab_file)
        return self._join(shards, files, vocab_file, vocabulary, fingerprint)

    # looking

    def _look(self) -> list[InputFile]:
        """The files with text in them.

        Raises:
            DatasetError: there are none; or one cannot be read and none may be left out.
        """
        self._status.enter("look")
        if self._order.vocab_file is not None:
            read_vocabulary(self._order.vocab_file)  # refused before anything is done
        files = list(self._readable(find_files(self._order)))
        if not files:
            raise DatasetError(Problem("build.no_text", " ".join(self._order.inputs)))
        return files

    def _readable(self, paths: Sequence[Path]) -> Iterator[InputFile]:
        for path in paths:
            self._check_stop()
            self._status.show(0, detail=str(path))
            try:
                file = look_at(path, self._order)
            except DatasetError as error:
                if self._order.bad_text != "skip":
                    raise
                self._unreadable.append(LeftOut(str(path), error.problems[0].code))
                continue
            if file is not None:
                yield file

    def _fingerprint(self, files: Sequence[InputFile]) -> str:
        """Changes with everything that changes the dataset."""
        order = self._order
        vocabulary = order.vocab_file.read_bytes() if order.vocab_file else b""
        facts = (
            FORMAT,
            [version(name) for name in ("tokenizers", "sentencex")],
            [(file.path, file.size, file.modified, file.kind) for file in files],
            hashlib.sha256(vocabulary).hexdigest(),
            dataclasses.replace(order, inputs=(), workers=0, vocab_file=None),
        )
        return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()

    def _built_before(self, fingerprint: str) -> Summary | None:
        """The dataset if it is there already, made from the same."""
        summary = read_record(Summary, self._order.summary)
        whole = all(path.exists() for path in self._outputs())
        return summary if summary is not None and summary.fingerprint == fingerprint and whole else None

    def _outputs(self) -> list[Path]:
        trained = [] if self._order.train_vocab is None else [self._order.trained_vocabulary]
        return [*trained, *(path for key in self._order.json_keys for path in dataset_paths(self._order.prefix(key)))]

    def _begin(self, fingerprint: str) -> None:
        """Keeps what an earlier start has finished from the same input with the same settings, and nothing else.

        Raises:
            DatasetError: there are files under the names of the dataset that this build has not made.
        """
        mark_file = self._folder.path / "mark.json"
        mark = read_record(Mark, mark_file)
        if mark is None or mark.fingerprint != fingerprint:
            if there := [path for path in self._outputs() if path.exists()]:
                raise DatasetError(Problem("build.exists", str(there[0])))
            if mark is not None and self._folder.shards.exists():
                self._status.caution(Problem("build.started_over", str(self._folder.path)))
            shutil.rmtree(self._folder.shards, ignore_errors=True)
            self._trained.unlink(missing_ok=True)
            write_whole(mark_file, to_json(Mark(fingerprint)), mode=0o644)
        self._folder.shards.mkdir(exist_ok=True)
        for hidden in self._folder.shards.glob(".*"):
            shutil.rmtree(hidden, ignore_errors=True)

    # a vocabulary

    @property
    def _trained(self) -> Path:
        """Where a trained vocabulary lies until the dataset is there."""
        return self._folder.path / "vocab.txt"

    def _learn(self, shards: Sequence[Shard]) -> Path:
        """Trains the vocabulary, unless an earlier start has."""
        if self._trained.exists():
            return self._trained
        step = max(len(shards) // VOCABULARY_SHARDS, 1)
        chosen = tuple(shards[::step])
        self._status.enter("vocabulary", 2 * sum(shard.size for shard in chosen))  # it is read twice
        with Workers(1) as workers:
            for told in workers.run([LearnVocabulary(self._order, chosen, self._trained, self._order.workers)]):
                self._check_stop()
                if told is not None and isinstance(told[1], Seen):
                    self._status.show(told[1].bytes, detail=told[1].detail)
        return self._trained

    # tokenizing

    def _tokenize(self, shards: Sequence[Shard], vocab_file: Path) -> None:
        finished, open_ = _Totals(), []
        for shard in shards:
            if (record := self._record(shard)) is None:
                open_.append(shard)
            else:
                finished.add(shard, record)
        total = sum(shard.size for shard in shards)
        self._status.enter("tokenize", total, finished.bytes)
        tasks = [
            TokenizeShard(self._order, vocab_file, shard, shard_folder(self._folder.shards, shard.number))
            for shard in open_
        ]
        under_way: dict[int, Seen] = {}
        with Workers(self._order.workers) as workers:
            for told in workers.run(tasks):
                self._check_stop()
                if told is None:
                    continue
                number, answer = told
                if isinstance(answer, Seen):
                    under_way[number] = answer
                else:
                    under_way.pop(number, None)
                    finished.add(open_[number], self._required_record(open_[number]))
                self._show(finished, under_way, open_[number])

    def _show(self, finished: _Totals, under_way: dict[int, Seen], shard: Shard) -> None:
        seen = under_way.values()
        self._status.show(
            finished.bytes + sum(part.bytes for part in seen),
            documents=finished.documents + sum(part.documents for part in seen),
            sentences=finished.sentences + sum(part.sentences for part in seen),
            tokens=finished.tokens + sum(part.tokens for part in seen),
            skipped=len(self._unreadable) + finished.skipped + sum(part.skipped for part in seen),
            detail=str(shard.segments[0].path),
        )

    def _record(self, shard: Shard) -> ShardRecord | None:
        """A shard's counts, if it is finished."""
        return read_record(ShardRecord, record_file(shard_folder(self._folder.shards, shard.number)))

    def _required_record(self, shard: Shard) -> ShardRecord:
        record = self._record(shard)
        if record is None:
            raise DatasetError(Problem("build.shard_gone", str(shard_folder(self._folder.shards, shard.number))))
        return record

    # joining

    def _join(
        self,
        shards: Sequence[Shard],
        files: Sequence[InputFile],
        vocab_file: Path,
        vocabulary: Vocabulary,
        fingerprint: str,
    ) -> BuildResult:
        order = self._order
        records = [self._required_record(shard) for shard in shards]
        totals = [sum((record.keys[key] for record in records), Counts()) for key in range(len(order.json_keys))]
        if not any(counts.sentences for counts in totals):
            raise DatasetError(Problem("build.nothing_left", " ".join(order.inputs)))
        dtype = WordPiece(vocabulary, lower_case=order.lower_case).dtype
        self._status.enter("join", sum(counts.tokens for counts in totals) * dtype.itemsize)
        folders = [shard_folder(self._folder.shards, shard.number) for shard in shards]
        done = 0

        def wrote(size: int) -> None:
            nonlocal done
            self._check_stop()
            done += size
            self._status.show(done)

        digest = hashlib.sha256(vocab_file.read_bytes()).hexdigest()
        if order.train_vocab is not None:
            write_whole(order.trained_vocabulary, vocab_file.read_text(encoding="utf-8"), mode=0o644)
        for number, (key, counts) in enumerate(zip(order.json_keys, totals, strict=True)):
            join_shards(folders, number, counts, order.prefix(key), dtype, wrote)
        result = BuildResult(
            datasets=tuple(
                DatasetCounts(key=key, prefix=order.prefix(key), **vars(counts))
                for key, counts in zip(order.json_keys, totals, strict=True)
            ),
            vocab_file=order.vocabulary,
            vocab_size=vocabulary.size,
            vocab_sha256=digest,
            input_files=len(files),
            input_bytes=sum(file.size for file in files),
            seconds=time.monotonic() - self._began,
            skipped=len(self._unreadable) + sum(record.skipped for record in records),
            replaced=sum(record.replaced for record in records),
            left_out=tuple([*self._unreadable, *_left_out(shards, records)][:NAMED]),
        )
        sources = tuple(Source(file.path, file.size) for file in files[:NAMED])
        summary = Summary(bert_tui.__version__, fingerprint, order, result, sources)
        write_whole(order.summary, to_json(summary), mode=0o644)
        shutil.rmtree(self._folder.shards)
        return result

    def _check_stop(self) -> None:
        if self._folder.stop_request.exists():
            raise BuildStopped


class _Totals:
    """What the finished shards hold."""

    def __init__(self) -> None:
        self.bytes = self.documents = self.sentences = self.tokens = self.skipped = 0

    def add(self, shard: Shard, record: ShardRecord) -> None:
        counts = sum(record.keys, Counts())
        self.bytes += shard.size
        self.documents += counts.documents
        self.sentences += counts.sentences
        self.tokens += counts.tokens
        self.skipped += record.skipped


def _left_out(shards: Sequence[Shard], records: Sequence[ShardRecord]) -> Iterator[LeftOut]:
    """What was left out, with lines counted from the beginning of each file."""
    path, before = Path(), 0
    for shard, record in zip(shards, records, strict=True):
        for number, segment in enumerate(shard.segments):
            if segment.path != path:
                path, before = segment.path, 0
            for bad in record.bad:
                if bad.segment == number:
                    yield LeftOut(f"{path}:{before + bad.line}" if bad.line else str(path), bad.code)
            before += record.lines[number]
