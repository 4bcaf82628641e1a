"""One update of the model: forward and backward over the micro batches, gradients summed, clipped, applied."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from trainer.attention import choose_attention
from trainer.batches import Counts, MicroBatch
from trainer.compiling import apply_compile
from trainer.gradients import GradientSums, gradient_norm
from trainer.loss import WordLoss, order_loss, word_loss
from trainer.model import Bert, initialise
from trainer.optimizer import GuardedOptimizer
from trainer.parallel import apply_tensor_parallel, vocabulary_slice
from trainer.precision import choose_precision
from trainer.random_streams import RandomStreams
from trainer.ranks import Ranks
from trainer.recompute import apply_recompute
from trainer.sharding import apply_sharding, let_go
from trainer.spec.preset import Preset
from trainer.spec.sizing import Shape


@dataclass(frozen=True)
class StepResult:
    """What one update came to, the same on every rank."""

    lm_loss: float
    """Nats a masked token of the global batch."""
    sop_loss: float
    """Nats a pair; NaN without sentence order."""
    grad_norm: float
    """Before clipping."""
    loss_scale: float
    skipped: bool
    """The update was left out: loss or gradients were not finite."""
    bad_in_row: int
    """Such steps in a row, overflows that a smaller loss scale cures not counted."""
    ready: float
    """``time.monotonic()`` when the first who waited for it had it."""


class PendingResult:
    """A result still being computed on the device."""

    def __init__(self, values: Tensor) -> None:
        self._values = values
        self._event: torch.Event | None = None
        self._ready = time.monotonic()
        if values.device.type != "cpu":
            self._values = torch.empty_like(values, device="cpu", pin_memory=True).copy_(values, non_blocking=True)
            self._event = torch.Event(values.device)
            self._event.record()

    def wait(self) -> StepResult:
        """The result; waits for the device where it is not there yet."""
        event = self._event
        if event is not None:
            event.synchronize()
            self._ready = time.monotonic()
            self._event = None  # last, because the loop and the reporter's thread both wait
        lm, sop, norm, scale, skipped, bad = self._values.tolist()
        return StepResult(lm, sop, norm, scale, bool(skipped), int(bad), self._ready)


@dataclass(frozen=True)
class MicroLosses:
    """Sums over one micro batch on this rank."""

    words: WordLoss
    order: Tensor | None
    """float64."""
    order_correct: Tensor | None


class Learner:
    """The model on this rank, and what changes it."""

    def __init__(self, shape: Shape, preset: Preset, ranks: Ranks, *, dtype: torch.dtype = torch.float32) -> None:
        train = preset.train
        self.shape = shape
        self.ranks = ranks
        self.precision = choose_precision(train.precision, ranks.device)
        self._streams = RandomStreams(
            ranks.device, train.seed, data_rank=ranks.data_rank, tensor_rank=ranks.tensor_rank
        )
        width = shape.hidden // shape.heads
        self.attention = choose_attention(ranks.device, self.precision.format or dtype, width, preset.model.dropout)
        self.model = self._build_model(preset, dtype)
        self._sums = GradientSums(self.model, ranks, sequence=preset.parallel.sequence)
        self._vocabulary = vocabulary_slice(shape, ranks.mesh["tensor"])
        self.optimizer = GuardedOptimizer(self.model, train, ranks.device, fp16=self.precision.name == "fp16")

    def _build_model(self, preset: Preset, dtype: torch.dtype) -> Bert:
        settings, parallel = preset.model, preset.parallel
        with torch.device("meta"):
            ordered = preset.data.sentence_order
            model = Bert(
                self.shape, dropout=settings.dropout, sentence_order=ordered, streams=self._streams,
                kernel=self.attention.kernel,
            ).to(dtype)  # fmt: skip
        apply_tensor_parallel(model, self.ranks.mesh["tensor"], sequence=parallel.sequence)
        if preset.train.compile:
            apply_compile(model.layers)
        apply_recompute(model, parallel.recompute, self._streams)
        if parallel.shard == "full" and self.ranks.data_size > 1:
            apply_sharding(model, self.ranks.mesh["data"], self.precision)
        model.to_empty(device=self.ranks.device)
        initialise(model, self.shape, std=settings.init_std, seed=preset.train.seed)
        return model

    def learn(self, step: int, micro_batches: Sequence[MicroBatch], counts: Counts) -> PendingResult:
        """One update.

        Args:
            step: counted from 1.
            micro_batches: this rank's share of the global batch.
            counts: of the whole global batch.
        """
        self.model.train()
        sums = torch.zeros(2, dtype=torch.float64, device=self.ranks.device)
        for number, micro_batch in enumerate(micro_batches):
            self._streams.begin(step, number)
            sums += self._backward(micro_batch, counts, last=number == len(micro_batches) - 1)
        self._sums.complete()
        dist.all_reduce(sums, group=self.ranks.data_group)
        norm = gradient_norm(self.model.parameters(), self.ranks)
        verdict = self.optimizer.update(step, sums.sum(), norm)
        self.optimizer.adamw.zero_grad()
        sop = sums[1] if counts.pairs and self.model.order_head is not None else sums[1] * math.nan
        values = [sums[0], sop, norm / verdict.scale, verdict.scale, verdict.skipped, verdict.bad_in_row]
        return PendingResult(torch.stack([value.to(torch.float64) for value in values]))

    def _backward(self, micro_batch: MicroBatch, counts: Counts, *, last: bool) -> Tensor:
        """Adds gradients; returns this micro batch's part of the two losses, [2]."""
        losses = self.losses(micro_batch)
        word_part = losses.words.loss / max(counts.masked, 1)
        order_part = torch.zeros_like(word_part) if losses.order is None else losses.order / max(counts.pairs, 1)
        if last:
            self._sums.last_backward()
        ((word_part + order_part) * self.optimizer.scale).backward()
        return torch.stack([word_part.detach(), order_part.detach()])

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Inside, :meth:`losses` drops nothing and keeps nothing for gradients; data-parallel ranks call it alike."""
        self.model.eval()
        with torch.no_grad():
            yield
        let_go(self.model)

    def losses(self, micro_batch: MicroBatch) -> MicroLosses:
        """Forward pass of one micro batch, which is still on the host."""
        visible = self.attention.kernel.visible(micro_batch.segments, self.ranks.device)
        micro_batch = micro_batch.to(self.ranks.device)
        with self.precision.autocast():
            outputs = self.model(micro_batch, visible)
        words = word_loss(outputs.word_logits, micro_batch.masked_label, self._vocabulary)
        if outputs.order_logits is None:
            return MicroLosses(words, None, None)
        correct = (outputs.order_logits.argmax(1) == micro_batch.swapped).sum(dtype=torch.float64)
        return MicroLosses(words, order_loss(outputs.order_logits, micro_batch.swapped), correct)
