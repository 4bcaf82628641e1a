"""The tables of ``layouts-at-scale.md``: python docs/layouts_at_scale.py writes them anew; a test compares.

For a model, a number of GPUs and a global batch, the fastest layout that fits of two families: tensor parallel with
sharded data parallel (what the trainer has), and tensor parallel with pipeline parallel. Times are a model, not a
measurement: what both families share (the efficiency of the matrix products, kernels, the loader) is one constant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from trainer.spec.memory import Work, memory_per_rank
from trainer.spec.sizing import GIB, Layout, Shape, parameter_count, step_flops

PAGE = Path(__file__).parent / "layouts-at-scale.md"
BEGIN, END = "<!-- table: python docs/layouts_at_scale.py -->", "<!-- end of table -->"

SHAPES = {"4B": Shape(48, 2560, 32, 512, 30522), "20B": Shape(48, 6144, 96, 512, 30522)}
EFFICIENCY = 0.5
"""Share of a GPU's peak that matrix products reach: 41 to 57 % is published for models of 22B to 1T on A100
(arXiv 2205.05198, table 5)."""
HALF, FP32 = 2, 4
LARGEST_MICRO_BATCH = 64


@dataclass(frozen=True)
class Machines:
    """GPUs in nodes. Rates in operations and bytes a second, one direction."""

    name: str
    peak: float
    memory: int
    """GiB that a GPU shows."""
    inside: float
    """What a GPU sends to others of its node."""
    network: float
    """A GPU's share of what its node sends to other nodes."""
    node: int = 8


DGX = Machines("A100 80 GB, NVLink, 8 x 200 Gb/s a node", 312e12, 79, 300e9, 25e9)
DGX_40 = replace(DGX, name="A100 40 GB, NVLink, 8 x 200 Gb/s a node", memory=39)
SLOW = replace(DGX, name="A100 80 GB, NVLink, 100 Gb/s a node", network=100e9 / 8 / 8)
CARDS = Machines("A10 24 GB, PCIe 4", 125e12, 22, 32e9, 0.0)
"""Sources: NVIDIA's data sheets of DGX A100 (600 GB/s NVLink in both directions together) and A10."""


@dataclass(frozen=True)
class Cost:
    """One layout: what a GPU holds, waits and sends in a step."""

    layout: str
    micro_batch: int
    memory: int
    """Bytes, margin included."""
    bubble: float
    """Share of the step in which a stage has nothing to do."""
    inside: float
    """Bytes sent within the node."""
    network: float
    """Bytes sent to other nodes."""
    seconds: float


@dataclass(frozen=True)
class Task:
    """What is to be done."""

    size: str
    machines: Machines
    gpus: int
    rows: int

    @property
    def shape(self) -> Shape:
        """Of the model."""
        return SHAPES[self.size]

    @property
    def compute(self) -> float:
        """Seconds that the matrix products of a step take."""
        return step_flops(self.shape, self.rows, 0.15) / (self.gpus * self.machines.peak * EFFICIENCY)


TASKS = [
    Task("4B", CARDS, 8, 32),
    Task("4B", CARDS, 8, 256),
    Task("20B", DGX, 8, 32),
    Task("20B", DGX, 16, 32),
    Task("20B", DGX_40, 16, 32),
    Task("20B", DGX, 64, 256),
    Task("20B", DGX, 512, 2048),
    Task("20B", SLOW, 16, 32),
    Task("20B", SLOW, 64, 256),
    Task("20B", SLOW, 64, 4096),
    Task("20B", SLOW, 512, 2048),
]


def without_pipeline(task: Task) -> Iterator[Cost]:
    """Tensor parallel within a node, times data parallel: what the trainer has, with and without sharding.

    Sharded, a micro batch gathers every weight twice in 16 bits and sends its gradients once in float32, while it
    computes (``trainer.sharding``). Whole, gradients are summed once, after the step (``trainer.gradients``). The
    exchange within a layer counts as waited for, although the trainer overlaps a part of it.
    """
    for tensor in _tensor_sizes(task):
        for micro_batch in _micro_batches(task.rows, task.gpus // tensor):
            whole = Layout(tensor, task.gpus // tensor, sequence=tensor > 1)
            yield _replicas(task, whole, micro_batch)
            yield _replicas(task, replace(whole, shard="full"), micro_batch)


def _replicas(task: Task, layout: Layout, micro_batch: int) -> Cost:
    tensor, data, sharded = layout.tensor, layout.data, layout.shard == "full"
    micro_batches = task.rows // data // micro_batch
    a_number = (2 * HALF + FP32) * micro_batches if sharded else 2 * FP32
    inside, network = _ring(a_number * parameter_count(task.shape) / tensor, tensor, data, task)
    among_tensor = _tensor_bytes(task, tensor, task.rows // data)
    exchange = inside / task.machines.inside + _over_network(network, task)
    computing = max(task.compute, exchange) if sharded else task.compute + exchange
    return Cost(
        layout=f"tensor {tensor} x {'sharded' if sharded else 'data'} {data}",
        micro_batch=micro_batch,
        memory=memory_per_rank(task.shape, layout, Work(micro_batch, micro_batches)).total,
        bubble=0.0,
        inside=inside + among_tensor,
        network=network,
        seconds=computing + among_tensor / task.machines.inside,
    )


def pipelined(task: Task) -> Iterator[Cost]:
    """Tensor parallel within a node, stages of whole layers, and whole copies of that, one forward one backward.

    A stage idles for p - 1 of m + p - 1 micro batches (arXiv 2104.04473, section 2.2), and keeps the activations of up
    to p micro batches. Copies share the optimizer (ZeRO stage 1) and sum gradients in float32 once a step, overlapped.
    """
    for tensor in _tensor_sizes(task):
        for stages in _stage_counts(task, tensor):
            for micro_batch in _micro_batches(task.rows, task.gpus // tensor // stages):
                yield _stages(task, tensor, stages, micro_batch)


def _stages(task: Task, tensor: int, stages: int, micro_batch: int) -> Cost:
    data = task.gpus // tensor // stages
    rows = task.rows // data
    bubble = (stages - 1) / (rows // micro_batch + stages - 1)
    inside, network = _ring(2 * FP32 * parameter_count(task.shape) / stages / tensor, tensor, data, task)
    among_tensor = _tensor_bytes(task, tensor, rows) / stages
    between, leaves_node = _stage_bytes(task, tensor, rows), task.gpus > task.machines.node
    exchange = inside / task.machines.inside + _over_network(network, task)
    working = (task.compute + among_tensor / task.machines.inside) / (1 - bubble)
    waiting = between / (task.machines.network if leaves_node else task.machines.inside)
    return Cost(
        layout=f"tensor {tensor} x pipeline {stages} x data {data}",
        micro_batch=micro_batch,
        memory=_stage_memory(task, tensor, stages, data, micro_batch),
        bubble=bubble,
        inside=inside + among_tensor + (0 if leaves_node else between),
        network=network + (between if leaves_node else 0),
        seconds=max(working, exchange) + waiting,
    )


def best(costs: Iterator[Cost], machines: Machines) -> Cost | None:
    """The fastest that fits."""
    fitting = (cost for cost in costs if cost.memory <= machines.memory * GIB)
    return min(fitting, key=lambda cost: cost.seconds, default=None)


def _tensor_sizes(task: Task) -> list[int]:
    return [t for t in (1, 2, 4, 8) if task.gpus % t == 0 and task.shape.heads % t == 0]


def _stage_counts(task: Task, tensor: int) -> list[int]:
    groups = task.gpus // tensor
    return [p for p in range(2, task.shape.layers + 1) if groups % p == 0 and task.shape.layers % p == 0]


def _micro_batches(rows: int, data: int) -> list[int]:
    each = rows // data
    return [size for size in range(1, min(each, LARGEST_MICRO_BATCH) + 1) if each % size == 0 and rows % data == 0]


def _ring(message: float, tensor: int, data: int, task: Task) -> tuple[float, float]:
    """Bytes a GPU sends (within its node, to others) when ``data`` ranks gather or scatter ``message`` bytes each.

    Of what a node's ranks send, only what the other nodes lack has to leave it, shared by all its network cards.
    """
    nodes = max(1, tensor * data // task.machines.node)
    sent = message * (data - 1) / data
    if nodes == 1:
        return sent, 0.0
    network = message * tensor / task.machines.node * (nodes - 1) / nodes
    return max(0.0, sent - network), network


def _tensor_bytes(task: Task, tensor: int, rows: int) -> float:
    """Bytes a GPU sends to its tensor-parallel peers for the rows of its group (``trainer.exchange``).

    A layer gathers six times and scatters four times the tokens of the rows in 16 bits, backward pass included.
    """
    tokens = rows * task.shape.sequence_length * task.shape.hidden * HALF
    return 10 * task.shape.layers * tokens * (tensor - 1) / tensor


def _stage_bytes(task: Task, tensor: int, rows: int) -> float:
    """Bytes a GPU sends to the next stage and back to the one before, each tensor rank its slice."""
    return 2 * rows * task.shape.sequence_length * task.shape.hidden * HALF / tensor


def _stage_memory(task: Task, tensor: int, stages: int, data: int, micro_batch: int) -> int:
    """Bytes of the first stage: its layers and embeddings, and as many micro batches as there are stages."""
    stage = replace(task.shape, layers=task.shape.layers // stages)
    micro_batches = task.rows // data // micro_batch
    work = Work(min(stages, micro_batches) * micro_batch, micro_batches)
    memory = memory_per_rank(stage, Layout(tensor, data, sequence=tensor > 1), work)
    return memory.total - memory.optimizer + memory.optimizer // data


def _over_network(size: float, task: Task) -> float:
    return size / task.machines.network if size else 0.0


def table() -> str:
    """Markdown."""
    lines = [
        "| model | GPUs | rows a step | layout | micro batch | GiB a GPU | bubble | sent in the node, GB "
        "| sent to other nodes, GB | s a step |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    machines = None
    for task in TASKS:
        if task.machines != machines:
            machines = task.machines
            lines.append(f"| **{machines.name}** | | | | | | | | | |")
        for family in (without_pipeline, pipelined):
            cost = best(family(task), task.machines)
            start = f"| {task.size} | {task.gpus} | {task.rows} |"
            lines.append(f"{start} {_cells(cost) if cost else 'none fits | | | | | |'} |")
    return "\n".join(lines)


def _cells(cost: Cost) -> str:
    columns = (
        cost.layout, f"{cost.micro_batch}", f"{cost.memory / GIB:.0f}", f"{cost.bubble:.0%}",
        f"{cost.inside / 1e9:.0f}", f"{cost.network / 1e9:.1f}", f"{cost.seconds:.2f}",
    )  # fmt: skip
    return " | ".join(columns)


def with_table(page: str) -> str:
    """The page with its table as it should be."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
