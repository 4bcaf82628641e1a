"""How long one step takes at a layout: a stated model of computing and exchanging, to compare layouts with.

It is an estimate. ``bert-tui calibrate`` measures instead, and what was measured is shown in its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from trainer.spec import sizing
from trainer.spec.sizing import Layout, Shape

FP32, HALF = 4, 2
"""Bytes of a number."""
STEP_SECONDS = {"cpu": 0.05, "cuda": 0.01}
"""What a step costs beside its products and exchanges, however small the model: on a CPU measured, together with
``forecast.CPU_CORE_FLOPS``; on a GPU assumed."""
LAYER_SECONDS = 2.3e-3
"""The least that one layer of one micro batch takes on a GPU, forward and backward: its kernels are started one by
one, and a smaller part of a layer starts as many. NVIDIA's recorded BERT-large run at tensor parallel 4 (8 x H100,
1.747 s for 16 micro batches of 24 layers; deterministic and unfused) took 4.5 ms whatever the size of the part: at
tensor parallel 1, 2, 4 its GPUs made 37.9, 17.8, 9.7 TFLOP/s each. Half of it is assumed here, for kernels that are
fused: a guess."""
CPU_TENSOR_COST = 1.10
"""How many times as long the same cores take as tensor-parallel processes, whose rate ``forecast`` states. Measured
with this trainer on two cores: 1.06 to 1.10 for 6 layers of width 512 (docs/speed.md)."""
NVLINK = (
    (re.compile(r"a100-sxm", re.IGNORECASE), 200e9),  # nccl-tests #149, #178: 200 to 208 GB/s
    (re.compile(r"h100 80gb hbm3|h200(?! nvl)|b200", re.IGNORECASE), 370e9),  # nccl-tests #212, NVIDIA's answer, H100
    (re.compile(r"v100-sxm", re.IGNORECASE), 100e9),  # assumed: half an A100's, as its links are half as many
)
"""Bytes a second that a GPU sends in a ring of all-reduces, by the driver's name for it ("busbw" of nccl-tests)."""
PCIE = 20e9
"""The same without NVLink, or where none is known of (nccl-tests #178, pairs without NVLink between them)."""


@dataclass(frozen=True)
class Speed:
    """What each rank computes and sends a second."""

    device: Literal["cpu", "cuda"]
    flops: float
    """Operations of one rank; on a CPU, of its share of the cores."""
    link: float = PCIE
    """Bytes; not used on a CPU, whose exchange is part of :data:`CPU_TENSOR_COST`."""


@dataclass(frozen=True)
class Batch:
    """What a step works through."""

    rows: int
    """Over all ranks."""
    micro_batch: int
    """Rows that a rank works on at once."""
    mask_probability: float = 0.15


@dataclass(frozen=True)
class StepTime:
    """Seconds of one step."""

    computing: float
    within_layers: float
    """Exchange of activations between tensor-parallel ranks."""
    gradients: float
    """Exchange of gradients, and of weights where they are shared out, that computing does not hide."""
    beside: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.computing + self.within_layers + self.gradients + self.beside


def link_of(gpu_name: str) -> float:
    """Bytes a second that a GPU sends to its peers, by the driver's name for it."""
    return next((rate for pattern, rate in NVLINK if pattern.search(gpu_name)), PCIE)


def step_time(shape: Shape, layout: Layout, batch: Batch, speed: Speed) -> StepTime:
    """The time of one step.

    Computing: the model's operations (``sizing.step_flops``) shared by all ranks, but no layer under its least time.
    Within layers: four all-reduces of a micro batch's activations a layer, a ring's 2(t-1)/t of their bytes each
    (arXiv 1909.08053, section 3); ten pieces of half the way under sequence parallel. Gradients: an all-reduce in
    float32 once a step, hidden behind the last backward pass; shared out, two gathers in 16 bits and one scatter in
    float32 a micro batch, hidden behind computing (docs/layouts-at-scale.md).
    """
    computing = _computing(shape, layout, batch, speed)
    if speed.device == "cpu":
        return StepTime(computing / (1.0 if layout.tensor > 1 else CPU_TENSOR_COST), 0.0, 0.0, STEP_SECONDS["cpu"])
    rounds = _rounds(layout, batch)
    hidden = computing if layout.shard == "full" else computing / rounds * 2 / 3
    exchanged = _gradient_bytes(shape, layout, rounds) / speed.link
    within_layers = _activation_bytes(shape, layout, batch) / speed.link
    return StepTime(computing, within_layers, max(0.0, exchanged - hidden), STEP_SECONDS["cuda"])


def _rounds(layout: Layout, batch: Batch) -> int:
    """Micro batches that a rank works through."""
    return max(1, batch.rows // (batch.micro_batch * layout.data))


def _computing(shape: Shape, layout: Layout, batch: Batch, speed: Speed) -> float:
    flops = sizing.step_flops(shape, batch.rows, batch.mask_probability)
    flops += sizing.recompute_flops(shape, batch.rows, layout.recompute)
    products = flops / (layout.ranks * speed.flops)
    if speed.device == "cpu":
        return products
    return max(products, LAYER_SECONDS * shape.layers * _rounds(layout, batch))


def _activation_bytes(shape: Shape, layout: Layout, batch: Batch) -> float:
    """Bytes that a rank sends to its tensor-parallel peers in a step."""
    tokens = batch.rows / layout.data * shape.sequence_length
    pieces = 10 if layout.sequence else 8
    again = 4 if layout.recompute == "full" else 0
    return (pieces + again) * shape.layers * tokens * shape.hidden * HALF * (layout.tensor - 1) / layout.tensor


def _gradient_bytes(shape: Shape, layout: Layout, rounds: int) -> float:
    """Bytes that a rank sends to its data-parallel peers in a step."""
    a_number = (2 * HALF + FP32) * rounds if layout.shard == "full" else 2 * FP32
    return a_number * sizing.parameters_per_rank(shape, layout.tensor) * (layout.data - 1) / layout.data
