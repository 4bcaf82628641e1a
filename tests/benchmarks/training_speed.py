"""One contestant of ``test_training_speed``: takes whole training steps when it is told to.

``python -m tests.benchmarks.training_speed NAME SIZE LENGTHS STEPS`` is started once for each of its ranks. For each
line on rank 0's standard input it takes a step and prints one line of JSON, the fields of :class:`Turn`.

``ours`` is the trainer's own ``Learner``: forward, backward, sums over ranks, clipping, fused AdamW; as ``tensor``,
``data`` and ``sharded`` (FSDP2) it does the same work on two ranks. ``theirs`` is ``BertForPreTraining``
(scaled_dot_product_attention) with ``clip_grad_norm_`` and ``torch.optim.AdamW``, on samples of the same lengths, one a
row and padded. ``matmul`` is the machine's own rate.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from tests.benchmarks.training_data import BATCHES, LENGTH, packed, padded
from trainer.batches import Counts, MicroBatch
from trainer.learner import Learner
from trainer.rank_end import end
from trainer.ranks import Ranks, joined
from trainer.spec import preset as schema
from trainer.spec.preset import Preset
from trainer.spec.sizing import Shape, shape_of

DROPOUT = 0.1
SIZES = {"A": (4, 256, 4, 16), "B": (12, 768, 12, 8)}
"""Layers, hidden, heads, rows a step."""
MATMUL = 2048
"""Rows and columns of the matrices."""

Step = Callable[[int], int]
"""Trains on batch number so and so; returns how many tokens it had, padding not counted."""


@dataclass(frozen=True)
class Turn:
    """One step."""

    seconds: float
    tokens: int
    waiting: float
    """Share of it that rank 0 spent in collectives, its wait for the others included."""


def main(name: str, size: str, lengths: str, steps: int) -> None:
    """Steps, each on request."""
    layers, hidden, heads, rows = SIZES[size]
    preset = _preset(layers, hidden, heads, rows, shard="full" if name == "sharded" else "none")
    with joined("cpu", 2 if name == "tensor" else 1) as ranks:
        if name == "theirs":
            step = their_step(shape_of(preset.model), lengths, rows)
        elif name == "matmul":
            step = matmul_step()
        else:
            step = our_step(preset, ranks, lengths, rows)
        for number in range(steps):
            if ranks.rank == 0 and not sys.stdin.readline():
                end(1)  # who asks is gone
            dist.barrier(ranks.host_group)
            turn = _timed(step, number)
            if ranks.rank == 0:
                print(json.dumps(asdict(turn)), flush=True)


def _timed(step: Step, number: int) -> Turn:
    waited, began = Waiting.seconds, time.perf_counter()
    tokens = step(number)
    seconds = time.perf_counter() - began
    return Turn(seconds, tokens, (Waiting.seconds - waited) / seconds)


def matmul_step() -> Step:
    """One product of two square float32 matrices; no tokens."""
    left, right, product = (torch.randn(MATMUL, MATMUL) for _ in range(3))

    def step(number: int) -> int:
        torch.mm(left, right, out=product)
        return 0

    return step


def our_step(preset: Preset, ranks: Ranks, lengths: str, rows: int) -> Step:
    """The trainer's."""
    learner = Learner(shape_of(preset.model), preset, ranks)
    batches = list(packed(lengths, rows))

    def step(number: int) -> int:
        whole = batches[number % BATCHES]
        counts = Counts(len(whole.masked_label), len(whole.pair_index), int((whole.segments > 0).sum()))
        learner.learn(number + 1, [_share(whole, ranks)], counts).wait()
        return counts.tokens

    return step


def their_step(shape: Shape, lengths: str, rows: int) -> Step:
    """Hugging Face's, as people write it."""
    from transformers import AutoModelForPreTraining, BertConfig

    config = BertConfig(
        vocab_size=shape.vocab_size, hidden_size=shape.hidden, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, intermediate_size=4 * shape.hidden, max_position_embeddings=LENGTH,
        hidden_dropout_prob=DROPOUT, attention_probs_dropout_prob=DROPOUT,
    )  # fmt: skip
    model = AutoModelForPreTraining.from_config(config, attn_implementation="sdpa").train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, weight_decay=0.01)
    batches = list(padded(lengths, rows))

    def step(number: int) -> int:
        batch = batches[number % BATCHES]
        model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return int(batch["attention_mask"].sum())

    return step


def _preset(layers: int, hidden: int, heads: int, rows: int, shard: str) -> Preset:
    return schema.replace(
        Preset(),
        model__layers=layers, model__hidden=hidden, model__heads=heads, model__sequence_length=LENGTH,
        model__dropout=DROPOUT, train__steps=1000, train__warmup=10, train__learning_rate=1e-4,
        train__global_batch=rows, train__micro_batch=rows, parallel__shard=shard,
    )  # fmt: skip


def _share(whole: MicroBatch, ranks: Ranks) -> MicroBatch:
    """This data-parallel rank's rows."""
    rows = len(whole.tokens) // ranks.data_size
    first = ranks.data_rank * rows
    mine = slice(first, first + rows)

    def among(index: Tensor) -> Tensor:
        return (index >= first * LENGTH) & (index < (first + rows) * LENGTH)

    masked, pairs = among(whole.masked_index), among(whole.pair_index)
    return MicroBatch(
        tokens=whole.tokens[mine],
        positions=whole.positions[mine],
        types=whole.types[mine],
        segments=whole.segments[mine],
        masked_index=whole.masked_index[masked] - first * LENGTH,
        masked_label=whole.masked_label[masked],
        pair_index=whole.pair_index[pairs] - first * LENGTH,
        swapped=whole.swapped[pairs],
    )


class Waiting:
    """Counts the time that this process spends in sums over ranks, its wait for the others included."""

    seconds = 0.0

    @classmethod
    def watch(cls) -> None:
        """From now on."""
        dist.all_reduce = cls._timed(dist.all_reduce)
        dist.Work.wait = cls._timed(dist.Work.wait)  # type: ignore[method-assign]

    @classmethod
    def _timed(cls, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            began = time.perf_counter()
            result = function(*arguments, **options)
            cls.seconds += time.perf_counter() - began
            return result

        return timed


if __name__ == "__main__":
    Waiting.watch()
    name, size, lengths, steps = sys.argv[1:]
    main(name, size, lengths, int(steps))
    end(0)
