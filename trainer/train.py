"""The training of one attempt, from ``attempt.toml`` to the last checkpoint."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator
from pathlib import Path

from trainer import checkpoint
from trainer.agreement import Header, PendingHeader
from trainer.batches import Counts, StepBatch, most_rows, positions_of_rank, timed
from trainer.checkpoint import Identity, Position
from trainer.evaluate import ValidationSet, unigram_loss, validate
from trainer.learner import Learner, PendingResult
from trainer.micro_batch_search import settled_preset
from trainer.optimizer import learning_rate
from trainer.ranks import Ranks, joined
from trainer.report import Reporter, StepReport
from trainer.row_workers import RowWorkers, workers_needed
from trainer.saver import SaveEnd, Saver
from trainer.spec.corpus import Corpus
from trainer.spec.preset import Preset
from trainer.spec.problem import CheckpointError, EnvironmentRefused, Problem, TrainingError
from trainer.spec.resolved import Resolved
from trainer.spec.run_directory import AttemptDirectory
from trainer.spec.samples import RowReader
from trainer.spec.saved_weights import damaged, read_saved_weights, require_fit
from trainer.spec.sizing import shape_of, step_flops
from trainer.spec.vocabulary import read_vocabulary
from trainer.weights import load_weights

BAD_STEPS_IN_A_ROW = 20
"""So many steps without finite loss and gradients end the training."""


def train(attempt: AttemptDirectory) -> None:
    """Trains until the last step, or until the operator asks to stop. Every rank calls it.

    Raises:
        SpecError: something does not fit; the problems say what.
    """
    preset, resolved = settled_preset(attempt)
    _check_world(preset, resolved)
    with (
        _row_workers(attempt, preset, resolved) as workers,
        joined(resolved.device, preset.parallel.tensor) as ranks,
        _reporter(attempt, preset, ranks) as reporter,
    ):
        Training(attempt, preset, resolved, workers, ranks, reporter).run()


class Training:
    """The loop and what it works on."""

    def __init__(
        self,
        attempt: AttemptDirectory,
        preset: Preset,
        resolved: Resolved,
        workers: RowWorkers,
        ranks: Ranks,
        reporter: Reporter,
    ) -> None:
        self.attempt, self.preset, self.ranks, self.reporter = attempt, preset, ranks, reporter
        self.workers = workers
        vocabulary = read_vocabulary(attempt.run.vocabulary)
        self.learner = Learner(shape_of(preset.model, vocabulary.size), preset, ranks)
        reporter.attending(self.learner.attention)
        self.identity = Identity.of(
            self.learner, data_fingerprint=resolved.data_fingerprint, vocab_sha256=resolved.vocab_sha256
        )
        self.validation = ValidationSet.of(workers, preset)
        self.unigram_loss: float | None = None
        if ranks.rank == 0 and self.validation.rows:
            corpus = Corpus.open(resolved.data_path)
            self.unigram_loss = unigram_loss(corpus, preset.data.split, vocabulary, self.validation)
        self.position = Position()
        folder, settings = attempt.run.checkpoints, preset.checkpoint
        self.saver = Saver(self.learner, self.identity, folder, settings, reporter.save_ended)
        self.saved_step: int | None = None
        """Of the newest checkpoint that is known to be complete."""
        self.last_result: PendingResult | None = None

    def run(self) -> None:
        """Batch, forward and backward, clip, step, report."""
        train, last = self.preset.train, self._last_step()
        self._resume()
        compiling = train.compile  # at the first step
        self.reporter.phase("compile" if compiling else "train")
        began = time.monotonic()  # a step's time counts its wait for data and peers, but no validation and no save
        for batch, header, data_wait in self._batches():
            self.saver.check()
            if header.wishes.save or header.wishes.stop:
                self._save(asked=True, last=header.wishes.stop)
                began = time.monotonic()
            if header.wishes.stop:
                break
            self._advance(header)
            step = self.position.step
            result = self.learner.learn(step, batch.micro_batches, header.counts)
            rate, flops = learning_rate(train, step), self._flops(header.counts)
            self.reporter.stepped(StepReport(self.position, header.counts, rate, began, data_wait, flops, result))
            if compiling:
                compiling = False
                self.reporter.phase("train")
            self._stop_if_lost()  # the step before: asking for this one would wait for the device
            self.last_result = result
            if step % train.eval_every == 0 or step == last:
                self._validate()
            if step % self.preset.checkpoint.every == 0 or step == last:
                self._save(asked=step == last, last=step == last)
            began = time.monotonic()
        self._stop_if_lost()
        self.reporter.phase("end")

    def _last_step(self) -> int:
        assert self.preset.train.steps is not None
        return self.preset.train.steps

    def _resume(self) -> None:
        found = checkpoint.find(self.attempt)
        if found is not None:
            self.reporter.phase("resume")
            self.position = checkpoint.load(self.learner, found, self.identity)
            self.workers.resume(self.position.marks)
            self.saved_step = found.step
            self.reporter.resumed(self.position)
        elif self.preset.train.init_from is not None:
            self.reporter.phase("resume")
            self._begin_with(Path(self.preset.train.init_from))

    def _begin_with(self, folder: Path) -> None:
        """Takes the weights, and nothing else, from another run or from an import."""
        model, saved = self.learner.model, read_saved_weights(folder)
        require_fit(
            saved, self.learner.shape,
            sentence_order=model.order_head is not None, vocab_sha256=self.identity.vocab_sha256,
        )  # fmt: skip
        if wrong := checkpoint.wrong_file(folder, saved.files, self.ranks):
            raise damaged(saved, wrong)
        load_weights(dict(model.named_parameters()), folder, self.ranks.host_group)

    def _batches(self) -> Iterator[tuple[StepBatch, Header, float]]:
        """Each step's share and header, and the seconds that rows were waited for since the step before.

        The header travels while the step before is computed. So the rows waited for are those of the step after, and
        the wait for the very first, before which nothing could be computed, counts for none.
        """
        coming: tuple[StepBatch, PendingHeader] | None = None
        shares = map(self._share_of_row, self._first_rows())
        batches = self.workers.read_ahead("train", shares, pin=self.ranks.device.type != "cpu")
        for batch, data_wait in timed(batches):
            header = PendingHeader(self.ranks, batch.counts, self.reporter.wishes())
            if coming is not None:
                yield coming[0], coming[1].wait(), data_wait
            coming = batch, header
        if coming is not None:
            yield coming[0], coming[1].wait(), 0.0

    def _first_rows(self) -> range:
        """The row of the training split with which each remaining step begins."""
        rows, each = self.position.rows, self.preset.train.global_batch
        return range(rows, rows + (self._last_step() - self.position.step) * each, each)

    def _share_of_row(self, first: int) -> list[range]:
        """This rank's share of the global batch that begins with row ``first``, one range a micro batch."""
        train, ranks = self.preset.train, self.ranks
        assert isinstance(train.micro_batch, int)
        return positions_of_rank(
            first, train.global_batch,
            micro_batch=train.micro_batch, data_rank=ranks.data_rank, data_size=ranks.data_size,
        )  # fmt: skip

    def _flops(self, counts: Counts) -> float:
        """Of a step over so many tokens."""
        of_full_row = step_flops(self.learner.shape, 1, self.preset.data.mask_probability)
        return of_full_row * counts.tokens / self.preset.model.sequence_length

    def _advance(self, header: Header) -> None:
        old, counts = self.position, header.counts
        self.position = Position(
            step=old.step + 1,
            rows=old.rows + self.preset.train.global_batch,
            pairs=old.pairs + counts.pairs,
            tokens=old.tokens + counts.tokens,
        )

    def _validate(self) -> None:
        if not self.validation.rows:
            return
        self.reporter.phase("validate")
        began = time.monotonic()
        validation = validate(self.learner, self.validation, self.position.step, self.unigram_loss)
        self.reporter.validated(validation, time.monotonic() - began)
        self.reporter.phase("train")

    def _save(self, *, asked: bool, last: bool) -> None:
        """Begins a save; one with which the attempt ends is also waited for.

        Raises:
            CheckpointError: the last save failed.
        """
        step, began = self.position.step, time.monotonic()
        self.reporter.phase("save")
        if self._saved_step() == step:
            if asked:
                self.reporter.answered()
        elif self.last_result is not None and self.last_result.wait().bad_in_row:
            # These weights may be past repair, and would take the place of a checkpoint that is not.
            problem = Problem("checkpoint.not_finite", "", str(step))
            self.reporter.save_ended(SaveEnd(step, asked, False, time.monotonic() - began, 0.0, problem))
        else:
            position = dataclasses.replace(self.position, marks=self.workers.reader.marks(self.position.rows))
            self.saver.begin(position, since=began, asked=asked)
            if last and self._saved_step() != step:
                end = self.saver.wait()
                assert end is not None and end.problem is not None
                raise CheckpointError(end.problem)
        self.reporter.phase("train")

    def _saved_step(self) -> int | None:
        """The step of the newest checkpoint; waits for the one that is being written."""
        end = self.saver.wait()
        if end is not None and end.saved:
            self.saved_step = end.step
        return self.saved_step

    def _stop_if_lost(self) -> None:
        if self.last_result is None:
            return
        seen = self.last_result.wait()
        if seen.bad_in_row >= BAD_STEPS_IN_A_ROW:
            self.saver.wait()  # for a checkpoint of better times
            facts = {"steps": seen.bad_in_row, "grad_norm": seen.grad_norm}
            raise TrainingError(Problem("training.not_finite", "train.learning_rate", str(seen.lm_loss), facts))


def _check_world(preset: Preset, resolved: Resolved) -> None:
    started = int(os.environ["WORLD_SIZE"])
    if started != resolved.ranks or started % preset.parallel.tensor:
        raise EnvironmentRefused(Problem("layout.devices", "torchrun", str(resolved.ranks), {"devices": started}))


def _row_workers(attempt: AttemptDirectory, preset: Preset, resolved: Resolved) -> RowWorkers:
    vocabulary = read_vocabulary(attempt.run.vocabulary)
    reader = RowReader(Corpus.open(resolved.data_path), vocabulary, preset.data, preset.model.sequence_length)
    train, shape = preset.train, shape_of(preset.model, vocabulary.size)
    assert isinstance(train.micro_batch, int)
    rows = most_rows(
        train.global_batch, micro_batch=train.micro_batch, data_size=resolved.ranks // preset.parallel.tensor
    )
    workers = workers_needed(shape, resolved.device, resolved.threads, preset.data.mask_probability)
    return RowWorkers(reader, workers, rows)


def _reporter(attempt: AttemptDirectory, preset: Preset, ranks: Ranks) -> Reporter:
    if ranks.rank != 0:
        return Reporter()
    from trainer.report_files import FileReporter  # brings in TensorBoard, which takes a second; one rank needs it

    return FileReporter(attempt, preset, ranks)
