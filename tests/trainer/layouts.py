"""Started by torchrun: trains a few steps at every layout of its number of ranks, and writes what came out.

``python -m tests.trainer.layouts FOLDER`` leaves for each layout ``FOLDER/LAYOUT-KIND.pt``, and in
``FOLDER/N-facts.json`` what the ranks say of each other.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch._dynamo.utils import counters
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor

from tests.trainer.kernels_on_cpu import Flash, registered
from tests.trainer.saving import save_checkpoint
from tests.trainer.small_run import PIECES, open_reader, small_preset
from trainer.batches import Counts, StepBatch, positions_of_rank, read_share
from trainer.checkpoint import Identity, Position, load, saved_state
from trainer.compiling import apply_compile
from trainer.evaluate import ValidationSet, validate
from trainer.exchange import gathered_product, sum_to_slices
from trainer.learner import Learner
from trainer.loss import word_loss
from trainer.parallel import vocabulary_slice
from trainer.placement import is_cut, local
from trainer.random_streams import RandomStreams
from trainer.rank_end import end
from trainer.ranks import Ranks, joined
from trainer.row_workers import RowWorkers
from trainer.spec.checkpoint_folder import complete_checkpoints
from trainer.spec.preset import Preset
from trainer.spec.saved_weights import SavedWeights
from trainer.spec.sizing import Layout, Shape, shape_of
from trainer.weights import load_weights, save_weights

STEPS = 4
IDENTITY = Identity("data", "vocabulary", {})
KINDS = (
    ("fp64", torch.float64, "megatron"),
    ("fp32", torch.float32, "megatron"),
    ("bert-fp64", torch.float64, "bert"),
)


def name_of(layout: Layout) -> str:
    """t2-d1, t2-d2-sequence-shard; recomputing changes no result."""
    words = [f"t{layout.tensor}-d{layout.data}", "sequence" * layout.sequence, "shard" * (layout.shard == "full")]
    return "-".join(word for word in words if word)


ONE = Layout()
LAYOUTS = [
    Layout(2, 1),
    Layout(1, 2),
    Layout(2, 1, sequence=True),
    Layout(1, 2, shard="full"),
    Layout(4, 1),
    Layout(2, 2),
    Layout(1, 4),
    Layout(4, 1, sequence=True),
    Layout(1, 4, shard="full"),
    Layout(2, 2, shard="full"),
    Layout(2, 2, sequence=True),
    Layout(2, 2, sequence=True, shard="full"),
]

COMPILED = {
    ONE: "inductor",
    Layout(2, 1): "aot_eager",
    Layout(2, 2, sequence=True, shard="full"): "aot_eager",
}
"""The layouts at which layers are compiled, and how: generating code takes long, and is the same once graphs are."""


@dataclass(frozen=True)
class Grid(Ranks):
    """The ranks, at one layout."""

    layout: Layout


def main(folder: Path) -> None:
    """Everything that this number of ranks can show."""
    facts: dict[str, Any] = {}
    with joined("cpu", 1) as ranks:
        size = dist.get_world_size()
        grids = [_grid(ranks, layout) for layout in (ONE, *LAYOUTS) if layout.ranks == size]
        before = [name_of(layout) for layout in (ONE, *LAYOUTS) if layout.ranks < size or layout is ONE][-1]
        for grid in grids:
            name = name_of(grid.layout)
            for kind, dtype, order in KINDS:
                _save(trained(folder, grid, dtype, model__layer_order=order), folder / f"{name}-{kind}.pt", grid)
            facts[name] = {
                "bf16": half_precision(folder, grid),
                "word loss": word_loss_error(grid),
                "old names": old_names_agree(grid),
                "streams": stream_numbers(grid),
                "dropped": dropped(folder, grid),
                "replicas": replicas_differ(folder, grid),
                "recompute": recompute_differs(folder, grid),
                "flash": flash_differs(folder, grid),
                "compiled": compiled_differs(folder, grid) if grid.layout in COMPILED else None,
                "not finite": not_finite(folder, grid),
                "begun": begun(folder, grid),
                "plain parameters": plain_parameters(folder, grid),
                "held": held(folder, grid),
                "validated rows": validated_rows(grid),
                "checkpoints": resharded(folder, grid, before),
                "validation": validation(folder, grid),
            }
            before = name
        if size == 1:
            facts["micro batches"] = accumulated(folder, grids[0])
            facts["overfit"] = overfit(folder, grids[0])
            facts["kept"] = kept(folder, grids[0])
        if ranks.rank == 0:
            (folder / f"{size}-facts.json").write_text(json.dumps(facts))
        dist.barrier(ranks.host_group)


def _grid(ranks: Ranks, layout: Layout) -> Grid:
    mesh = init_device_mesh("cpu", (layout.data, layout.tensor), mesh_dim_names=("data", "tensor"))
    return Grid(ranks.device, mesh, ranks.host_group, ranks.saving_group, layout)


def _learner(folder: Path, ranks: Grid, dtype: torch.dtype = torch.float32, **values: Any) -> tuple[Learner, Preset]:
    parallel = {f"parallel__{name}": value for name, value in asdict(ranks.layout).items()}
    preset = small_preset(folder, **{"train__clip": 0.5, **parallel, **values})
    return Learner(shape_of(preset.model), preset, ranks, dtype=dtype), preset


def _batches(folder: Path, preset: Preset, ranks: Grid, steps: int) -> Iterator[tuple[int, StepBatch, Counts]]:
    """(step, this rank's share, counts of the global batch)."""
    reader, train = open_reader(folder, preset), preset.train
    assert isinstance(train.micro_batch, int)
    for step in range(1, steps + 1):
        first = (step - 1) * train.global_batch
        mine = positions_of_rank(
            first, train.global_batch,
            micro_batch=train.micro_batch, data_rank=ranks.data_rank, data_size=ranks.data_size,
        )  # fmt: skip
        whole = read_share(reader, "train", [range(first, first + train.global_batch)])
        yield step, read_share(reader, "train", mine), whole.counts


def trained(folder: Path, ranks: Grid, dtype: torch.dtype, **values: Any) -> dict[str, Any]:
    """Losses and norms of a few clipped steps, the first gradients, the last weights."""
    learner, preset = _learner(folder, ranks, dtype, **values)
    gradients: dict[str, Tensor] = {}

    def keep_gradients(*_: Any) -> None:
        for name, parameter in learner.model.named_parameters():
            gradients.setdefault(name, _whole(parameter.grad))

    learner.optimizer.adamw.register_step_pre_hook(keep_gradients)
    results = [learner.learn(s, b.micro_batches, c).wait() for s, b, c in _batches(folder, preset, ranks, STEPS)]
    if dtype == torch.float64 and preset.model.layer_order == "megatron":
        # From a copy, or from the state itself where tensor ranks share it.
        here = folder / "saved" / name_of(ranks.layout)
        share = 0.5 if ranks.tensor_size == 1 else 0.0
        save_checkpoint(learner, Position(STEPS, 8 * STEPS), IDENTITY, here, memory_share=share)
    return {
        "lm": [result.lm_loss for result in results],
        "sop": [result.sop_loss for result in results],
        "norm": [result.grad_norm for result in results],
        "gradients": gradients,
        "weights": {name: _whole(parameter) for name, parameter in learner.model.named_parameters()},
        "state": _whole_state(learner),
    }


def resharded(folder: Path, ranks: Grid, before: str) -> dict[str, list[str]]:
    """By the layout at which a checkpoint was saved in fp64: what is not the same to the bit when it is read at this
    one, ``before`` among them; under "fp32" the same for this layout's own checkpoint, read as fp32."""
    own = name_of(ranks.layout)
    wrong = {name: _changed(folder, ranks, name, torch.float64) for name in (name_of(ONE), before, own)}
    return wrong | {"fp32": _changed(folder, ranks, own, torch.float32)}


def _changed(folder: Path, ranks: Grid, saved: str, dtype: torch.dtype) -> list[str]:
    learner, _ = _learner(folder, ranks, dtype)
    (checkpoint,) = complete_checkpoints(folder / "saved" / saved)
    assert load(learner, checkpoint, IDENTITY) == Position(STEPS, 8 * STEPS)
    found, expected = _whole_state(learner), torch.load(folder / f"{saved}-fp64.pt")["state"]
    return [name for name, tensor in expected.items() if not torch.equal(found[name], tensor.to(dtype))]


def word_loss_error(ranks: Ranks) -> list[float]:
    """Largest difference of the sliced loss and its gradient from torch's on the unpadded vocabulary."""
    shape = Shape(1, 8, 1, 16, PIECES)
    generator = torch.Generator().manual_seed(1)
    logits = 10 * torch.randn(50, shape.padded_vocab, dtype=torch.float64, generator=generator)
    labels = torch.randint(0, PIECES, (50,), generator=generator)
    whole = logits.clone().requires_grad_()
    expected = F.cross_entropy(whole[:, :PIECES], labels, reduction="sum")
    expected.backward()
    assert whole.grad is not None
    mine = vocabulary_slice(shape, ranks.mesh["tensor"])
    columns = slice(mine.first, mine.first + shape.padded_vocab // ranks.tensor_size)
    part = logits[:, columns].clone().requires_grad_()
    loss = word_loss(part, labels, mine)
    loss.loss.backward()
    assert part.grad is not None
    right = (logits[:, :PIECES].argmax(1) == labels).sum()
    return [
        abs(float((loss.loss - expected) / expected)),
        float((part.grad - whole.grad[:, columns]).abs().max()),
        abs(float(loss.correct - right)),
    ]


def old_names_agree(ranks: Ranks) -> bool:
    """Whether torch's collectives do under their names before 2.13 what the trainer's do."""
    group, size = ranks.tensor_group, ranks.tensor_size
    mine = torch.rand(3, 5, generator=torch.Generator().manual_seed(ranks.tensor_rank), dtype=torch.float64)
    gathered = torch.empty(3 * size, 5, dtype=torch.float64)
    dist.all_gather_into_tensor(gathered, mine, group=group)
    scattered = torch.empty_like(mine)
    dist.reduce_scatter_tensor(scattered, gathered.clone(), group=group)
    slices = sum_to_slices(gathered.clone(), group)
    product = gathered_product(mine, torch.eye(5, dtype=torch.float64), None, group)
    return torch.equal(slices, scattered) and torch.equal(product, gathered)


def stream_numbers(ranks: Ranks) -> list[list[float]]:
    """A number from each rank's two streams."""
    streams = RandomStreams(ranks.device, 5, data_rank=ranks.data_rank, tensor_rank=ranks.tensor_rank)
    streams.begin(3, 0)
    before = torch.rand(1).item()
    with streams.sliced():
        inside = torch.rand(1).item()
    return _gather([before, inside, torch.rand(1).item()])


def half_precision(folder: Path, ranks: Grid) -> list[float]:
    """The losses of a few steps in bf16."""
    learner, preset = _learner(folder, ranks, train__precision="bf16")
    return [learner.learn(s, b.micro_batches, c).wait().lm_loss for s, b, c in _batches(folder, preset, ranks, 2)]


def dropped(folder: Path, ranks: Grid) -> list[list[int]]:
    """Which of 64 elements each rank drops between blocks."""
    learner, preset = _learner(folder, ranks, model__dropout=0.5)
    for step, batch, counts in _batches(folder, preset, ranks, 1):
        learner.learn(step, batch.micro_batches, counts)
    places = learner.model.get_submodule("layers.0.dropout")(torch.ones(64)) == 0
    return _gather(places.nonzero().flatten().tolist())


def replicas_differ(folder: Path, ranks: Grid) -> float:
    """Largest difference of a parameter, after steps with dropout, between ranks in what they should hold alike."""
    learner, preset = _learner(folder, ranks, model__dropout=0.1)
    for step, batch, counts in _batches(folder, preset, ranks, 4):
        learner.learn(step, batch.micro_batches, counts)
    worst = 0.0
    for parameter in learner.model.parameters():
        for dimension in ("data", "tensor"):
            if is_cut(parameter, dimension):
                continue
            group = ranks.mesh.get_group(dimension)
            low, high = local(parameter.detach()).clone(), local(parameter.detach()).clone()
            dist.all_reduce(low, dist.ReduceOp.MIN, group=group)
            dist.all_reduce(high, dist.ReduceOp.MAX, group=group)
            worst = max(worst, float((high - low).sum()))
    return worst


def recompute_differs(folder: Path, ranks: Grid) -> list[str]:
    """What recomputation changes, to the bit, in losses and weights of a step with dropout."""
    results = {}
    for what in ("none", "selective", "full"):
        learner, preset = _learner(folder, ranks, model__dropout=0.1, parallel__recompute=what)
        steps = [learner.learn(s, b.micro_batches, c).wait() for s, b, c in _batches(folder, preset, ranks, 1)]
        weights = [local(parameter).detach().clone() for parameter in learner.model.parameters()]
        results[what] = weights, [(step.lm_loss, step.sop_loss, step.grad_norm) for step in steps]
    plain, losses = results["none"]
    return [
        what
        for what, (weights, others) in results.items()
        if others != losses or not all(torch.equal(a, b) for a, b in zip(weights, plain, strict=True))
    ]


def flash_differs(folder: Path, ranks: Grid) -> list[Any]:
    """Of the variable-length kernel's twin: its name as chosen, how far loss and norm of a step are from the mask's,
    and what recomputation changes."""
    expected = torch.load(folder / f"{name_of(ONE)}-fp64.pt")
    with registered(Flash):
        learner, preset = _learner(folder, ranks, torch.float64)
        ((step, batch, counts),) = _batches(folder, preset, ranks, 1)
        result = learner.learn(step, batch.micro_batches, counts).wait()
        apart = max(abs(result.lm_loss - expected["lm"][0]), abs(result.grad_norm - expected["norm"][0]))
        return [learner.attention.kernel.name, apart, recompute_differs(folder, ranks)]


def compiled_differs(folder: Path, ranks: Grid) -> dict[str, float]:
    """How far losses and weights of steps with compiled layers are from those without, in float32."""
    torch._dynamo.reset()
    expected = torch.load(folder / f"{name_of(ranks.layout)}-fp32.pt") if ranks.rank == 0 else None
    with patch("trainer.learner.apply_compile", partial(apply_compile, backend=COMPILED[ranks.layout])):
        seen = trained(folder, ranks, torch.float32, train__compile=True)
    dist.barrier(ranks.host_group)
    if expected is None:
        return {}
    weights = [(seen["weights"][name] - whole).abs().max() for name, whole in expected["weights"].items()]
    losses = [abs(a - b) for a, b in zip(seen["lm"], expected["lm"], strict=True)]
    return {"loss": max(losses), "weight": float(max(weights)), "graphs": counters["stats"]["unique_graphs"]}


def not_finite(folder: Path, ranks: Grid) -> list[Any]:
    """One rank's gradients turn NaN once: (skipped, bad in a row, weights changed) of that step and the next."""
    learner, preset = _learner(folder, ranks)
    last_rank = ranks.rank == dist.get_world_size() - 1
    factor = float("nan") if last_rank else 1.0

    def spoil(module: Any, inputs: Any, output: Tensor) -> None:
        output.register_hook(lambda gradient: gradient * factor)

    hook = learner.model.get_submodule("layers.0.mlp").register_forward_hook(spoil)
    seen: list[Any] = []
    for step, batch, counts in _batches(folder, preset, ranks, 2):
        before = [_whole(p) for p in learner.model.parameters()]
        result = learner.learn(step, batch.micro_batches, counts).wait()
        changed = any(not torch.equal(b, _whole(p)) for b, p in zip(before, learner.model.parameters(), strict=True))
        seen.append([result.skipped, result.bad_in_row, changed])
        hook.remove()
    return _gather(seen)


def begun(folder: Path, ranks: Grid) -> bool:
    """Whether the weights that one process wrote arrive whole, to the bit, in a model of other first weights."""
    learner, _ = _learner(folder, ranks, train__seed=2)
    expected = torch.load(folder / "t1-d1-fp32.pt")["weights"]
    if dist.get_world_size() == 1:
        (folder / "weights").mkdir()
        save_weights(expected, SavedWeights(folder / "weights", learner.shape, True, ""))
    load_weights(dict(learner.model.named_parameters()), folder / "weights", ranks.host_group)
    return all(torch.equal(_whole(parameter), expected[name]) for name, parameter in learner.model.named_parameters())


def plain_parameters(folder: Path, ranks: Grid) -> int:
    """Parameters that are no DTensor."""
    learner, _ = _learner(folder, ranks)
    return sum(not isinstance(parameter, DTensor) for parameter in learner.model.parameters())


def held(folder: Path, ranks: Grid) -> list[float]:
    """The share of the model that each rank holds."""
    learner, _ = _learner(folder, ranks)
    parameters = list(learner.model.parameters())
    return _gather(sum(local(p).numel() for p in parameters) / sum(p.numel() for p in parameters))


def validated_rows(ranks: Ranks) -> list[int]:
    """Which of 11 rows are read, by all data-parallel ranks together, three at a time."""
    mine = positions_of_rank(0, 11, micro_batch=3, data_rank=ranks.data_rank, data_size=ranks.data_size)
    rows = _gather([row for part in mine for row in part])
    return sorted(row for number, part in enumerate(rows) if number % ranks.tensor_size == 0 for row in part)


def validation(folder: Path, ranks: Grid) -> list[Any]:
    """What each rank has of a validation in float64, after two steps with one after each; four ranks have one micro
    batch too few."""
    learner, preset = _learner(folder, ranks, torch.float64)
    with RowWorkers(open_reader(folder, preset), 1, 3) as workers:
        rows = ValidationSet(workers, rows=7, micro_batch=3)
        for step, batch, counts in _batches(folder, preset, ranks, 2):
            learner.learn(step, batch.micro_batches, counts)
            found = validate(learner, rows, step, None)
    return _gather(asdict(found))


def accumulated(folder: Path, ranks: Grid) -> list[float]:
    """Norm of the gradients of one batch in micro batches of 8, 2 and 1 rows."""
    norms = []
    for micro_batch in (8, 2, 1):
        learner, preset = _learner(folder, ranks, torch.float64, train__micro_batch=micro_batch)
        for step, batch, counts in _batches(folder, preset, ranks, 1):
            norms.append(learner.learn(step, batch.micro_batches, counts).wait().grad_norm)
    return norms


def kept(folder: Path, ranks: Grid) -> list[int]:
    """Bytes that a forward pass keeps for the backward pass when nothing, attention's core or all is recomputed."""
    sizes = []
    for what in ("none", "selective", "full"):
        learner, preset = _learner(folder, ranks, model__dropout=0.1, parallel__recompute=what)
        ((_, batch, _),) = _batches(folder, preset, ranks, 1)
        storages: dict[int, int] = {}

        def keep(tensor: Tensor, storages: dict[int, int] = storages) -> Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            learner.losses(batch.micro_batches[0])
        sizes.append(sum(storages.values()))
    return sizes


def overfit(folder: Path, ranks: Grid) -> list[float]:
    """The masked-language-model loss on one batch, before and after 150 steps on it."""
    learner, preset = _learner(folder, ranks, train__steps=1000, train__decay=1000, train__learning_rate=5e-3)
    ((_, batch, counts),) = _batches(folder, preset, ranks, 1)
    losses = [learner.learn(step, batch.micro_batches, counts).wait().lm_loss for step in range(1, 151)]
    return [losses[0], losses[-1]]


def _whole(tensor: Tensor | None) -> Tensor:
    assert isinstance(tensor, DTensor)
    whole: Tensor = tensor.full_tensor()
    return whole.detach().clone()


def _whole_state(learner: Learner) -> dict[str, Tensor]:
    state = saved_state(learner)
    return {name: _whole(tensor) if isinstance(tensor, DTensor) else tensor for name, tensor in state.items()}


def _gather(value: Any) -> list[Any]:
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def _save(result: dict[str, Any], path: Path, ranks: Ranks) -> None:
    if ranks.rank == 0:
        torch.save(result, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    end(0)
