"""Started by torchrun: trains a few steps at every layout its ranks allow, and writes what came out.

``python -m tests.trainer.layouts FOLDER`` leaves for each layout ``FOLDER/tT-dD-KIND.pt``, and in
``FOLDER/N-facts.json`` what the ranks say of each other.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor

from tests.trainer.saving import save_checkpoint
from tests.trainer.small_run import PIECES, open_reader, small_preset
from trainer.__main__ import end
from trainer.batches import Counts, StepBatch, positions_of_rank, read_share
from trainer.checkpoint import Identity, Position, load, saved_state
from trainer.evaluate import ValidationSet, validate
from trainer.layers import local
from trainer.learner import Learner
from trainer.loss import word_loss
from trainer.parallel import vocabulary_slice
from trainer.random_streams import RandomStreams
from trainer.ranks import Ranks, joined
from trainer.spec.checkpoint_folder import complete_checkpoints
from trainer.spec.preset import Preset
from trainer.spec.saved_weights import SavedWeights
from trainer.spec.sizing import Shape, shape_of
from trainer.weights import load_weights, save_weights

STEPS = 4
IDENTITY = Identity("data", "vocabulary", {})
KINDS = (
    ("fp64", torch.float64, "megatron"),
    ("fp32", torch.float32, "megatron"),
    ("bert-fp64", torch.float64, "bert"),
)


def main(folder: Path) -> None:
    """Everything that this number of ranks can show."""
    facts: dict[str, Any] = {}
    with joined("cpu", 1) as ranks:
        size = dist.get_world_size()
        for tensor in (t for t in (1, 2, 4) if size % t == 0):
            grid = _grid(ranks, tensor)
            name = f"t{tensor}-d{size // tensor}"
            for kind, dtype, order in KINDS:
                result = trained(folder, grid, dtype, model__layer_order=order)
                _save(result, folder / f"{name}-{kind}.pt", grid)
            facts[name] = {
                "word loss": word_loss_error(grid),
                "streams": stream_numbers(grid),
                "replicas": replicas_differ(folder, grid),
                "not finite": not_finite(folder, grid),
                "begun": begun(folder, grid),
                "plain parameters": plain_parameters(folder, grid),
                "validated rows": validated_rows(grid),
                "checkpoints": resharded(folder, grid),
                "validation": validation(folder, grid),
            }
        if size == 1:
            facts["micro batches"] = accumulated(folder, ranks)
            facts["overfit"] = overfit(folder, ranks)
        if ranks.rank == 0:
            (folder / f"{size}-facts.json").write_text(json.dumps(facts))
        dist.barrier(ranks.host_group)


def _grid(ranks: Ranks, tensor: int) -> Ranks:
    shape = (dist.get_world_size() // tensor, tensor)
    return replace(ranks, mesh=init_device_mesh("cpu", shape, mesh_dim_names=("data", "tensor")))


def _learner(folder: Path, ranks: Ranks, dtype: torch.dtype = torch.float32, **values: Any) -> tuple[Learner, Preset]:
    preset = small_preset(folder, **{"train__clip": 0.5, **values})
    return Learner(shape_of(preset.model), preset, ranks, dtype=dtype), preset


def _batches(folder: Path, preset: Preset, ranks: Ranks, steps: int) -> Iterator[tuple[int, StepBatch, Counts]]:
    """(step, this rank's share, counts of the global batch)."""
    reader, train = open_reader(folder, preset), preset.train
    assert isinstance(train.micro_batch, int)
    for step in range(1, steps + 1):
        first = (step - 1) * train.global_batch
        mine = positions_of_rank(
            first, train.global_batch,
            micro_batch=train.micro_batch, data_rank=ranks.data_rank, data_size=ranks.data_size,
        )  # fmt: skip
        whole = read_share(reader, "train", [range(first, first + train.global_batch)], pin=False)
        yield step, read_share(reader, "train", mine, pin=False), whole.counts


def trained(folder: Path, ranks: Ranks, dtype: torch.dtype, **values: Any) -> dict[str, Any]:
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
        here = folder / "saved" / f"t{ranks.tensor_size}-d{ranks.data_size}"
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


def resharded(folder: Path, ranks: Ranks) -> dict[str, list[str]]:
    """By the layout at which a checkpoint was saved in fp64: what is not the same to the bit when it is read at this
    one; under "fp32" the same for this layout's own checkpoint, read as fp32."""
    own = f"t{ranks.tensor_size}-d{ranks.data_size}"
    saved = sorted(found.name for found in (folder / "saved").iterdir())
    wrong = {name: _changed(folder, ranks, name, torch.float64) for name in saved}
    return wrong | {"fp32": _changed(folder, ranks, own, torch.float32)}


def _changed(folder: Path, ranks: Ranks, saved: str, dtype: torch.dtype) -> list[str]:
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


def stream_numbers(ranks: Ranks) -> list[list[float]]:
    """A number from each rank's two streams."""
    streams = RandomStreams(ranks.device, 5, data_rank=ranks.data_rank, tensor_rank=ranks.tensor_rank)
    streams.begin(3, 0)
    before = torch.rand(1).item()
    with streams.sliced():
        inside = torch.rand(1).item()
    return _gather([before, inside, torch.rand(1).item()])


def replicas_differ(folder: Path, ranks: Ranks) -> float:
    """Largest difference, after steps with dropout, between ranks in what they should hold alike."""
    learner, preset = _learner(folder, ranks, model__dropout=0.1)
    for step, batch, counts in _batches(folder, preset, ranks, 6):
        learner.learn(step, batch.micro_batches, counts)
    worst = 0.0
    for parameter in learner.model.parameters():
        assert isinstance(parameter, DTensor)
        sliced = any(placement.is_shard() for placement in parameter.placements)
        for group in [ranks.data_group] if sliced else [ranks.data_group, ranks.tensor_group]:
            low, high = local(parameter.detach()).clone(), local(parameter.detach()).clone()
            dist.all_reduce(low, dist.ReduceOp.MIN, group=group)
            dist.all_reduce(high, dist.ReduceOp.MAX, group=group)
            worst = max(worst, float((high - low).max()))
    return worst


def not_finite(folder: Path, ranks: Ranks) -> list[Any]:
    """One rank's gradient turns NaN once: (skipped, bad in a row, weights changed) of that step and the next."""
    learner, preset = _learner(folder, ranks)
    parameter = learner.model.get_parameter("layers.0.mlp.widen.weight")
    last_rank = ranks.rank == dist.get_world_size() - 1
    hook = parameter.register_hook(lambda gradient: gradient * (float("nan") if last_rank else 1.0))
    seen: list[Any] = []
    for step, batch, counts in _batches(folder, preset, ranks, 2):
        before = [_whole(p) for p in learner.model.parameters()]
        result = learner.learn(step, batch.micro_batches, counts).wait()
        changed = any(not torch.equal(b, _whole(p)) for b, p in zip(before, learner.model.parameters(), strict=True))
        seen.append([result.skipped, result.bad_in_row, changed])
        hook.remove()
    return _gather(seen)


def begun(folder: Path, ranks: Ranks) -> bool:
    """Whether the weights that one process wrote arrive whole, to the bit, in a model of other first weights."""
    learner, _ = _learner(folder, ranks, train__seed=2)
    expected = torch.load(folder / "t1-d1-fp32.pt")["weights"]
    if dist.get_world_size() == 1:
        (folder / "weights").mkdir()
        save_weights(expected, SavedWeights(folder / "weights", learner.shape, True, ""))
    load_weights(dict(learner.model.named_parameters()), folder / "weights", ranks.host_group)
    return all(torch.equal(_whole(parameter), expected[name]) for name, parameter in learner.model.named_parameters())


def plain_parameters(folder: Path, ranks: Ranks) -> int:
    """Parameters that are no DTensor."""
    learner, _ = _learner(folder, ranks)
    return sum(not isinstance(parameter, DTensor) for parameter in learner.model.parameters())


def validated_rows(ranks: Ranks) -> list[int]:
    """Which of 11 rows are read, by all data-parallel ranks together, three at a time."""
    mine = positions_of_rank(0, 11, micro_batch=3, data_rank=ranks.data_rank, data_size=ranks.data_size)
    rows = _gather([row for part in mine for row in part])
    return sorted(row for number, part in enumerate(rows) if number % ranks.tensor_size == 0 for row in part)


def validation(folder: Path, ranks: Ranks) -> list[Any]:
    """What each rank has of a validation in float64, after a step; four ranks have one micro batch too few."""
    learner, preset = _learner(folder, ranks, torch.float64)
    for step, batch, counts in _batches(folder, preset, ranks, 1):
        learner.learn(step, batch.micro_batches, counts)
    rows = ValidationSet(open_reader(folder, preset), rows=7, micro_batch=3)
    return _gather(asdict(validate(learner, rows, 1, None)))


def accumulated(folder: Path, ranks: Ranks) -> list[float]:
    """Norm of the gradients of one batch in micro batches of 8, 2 and 1 rows."""
    norms = []
    for micro_batch in (8, 2, 1):
        learner, preset = _learner(folder, ranks, torch.float64, train__micro_batch=micro_batch)
        for step, batch, counts in _batches(folder, preset, ranks, 1):
            norms.append(learner.learn(step, batch.micro_batches, counts).wait().grad_norm)
    return norms


def overfit(folder: Path, ranks: Ranks) -> list[float]:
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
