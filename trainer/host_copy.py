"""The copy of the state from which a checkpoint is written while training changes the state itself."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.planner import SavePlan

from trainer.host_memory import free_memory
from trainer.placement import local
from trainer.ranks import Ranks


class HostCopy:
    """Some tensors of the state, in memory of the host that is allocated once: page-locked where there is a GPU, so
    that copies are fast and nobody waits for them."""

    def __init__(self, state: Mapping[str, Tensor], names: Collection[str], device: torch.device) -> None:
        self._device = device
        self.tensors = {name: _room_for(local(state[name])) for name in names}
        """This rank's parts, by name."""

    @torch.no_grad()
    def take(self, state: Mapping[str, Tensor]) -> torch.Event | None:
        """Copies. On a GPU the copies are only queued, behind the update before and ahead of the one after; the event
        says when they are there."""
        for name, copy in self.tensors.items():
            copy.copy_(local(state[name]), non_blocking=True)
        if self._device.type == "cpu":
            return None
        event = torch.Event(self._device)
        event.record()
        return event


def _room_for(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu", pin_memory=tensor.device.type != "cpu")


def names_to_write(state: Mapping[str, Tensor], ranks: Ranks) -> set[str]:
    """The tensors of which this rank writes its part: ranks that hold the same share the work, as
    torch.distributed.checkpoint divides it at every save. Every rank calls it."""
    planner = DefaultSavePlanner()
    first = ranks.rank == 0
    planner.set_up_planner(dict(state), is_coordinator=first)
    plans: list[SavePlan] | None = [SavePlan([])] * dist.get_world_size() if first else None
    dist.gather_object(planner.create_local_plan(), plans, dst=0, group=ranks.saving_group)
    divided = planner.create_global_plan(plans)[0] if plans is not None else None
    mine = [SavePlan([])]
    dist.scatter_object_list(mine, divided, src=0, group=ranks.saving_group)
    return {item.index.fqn for item in mine[0].items}


def copies_fit(state: Mapping[str, Tensor], names: Collection[str], share: float, ranks: Ranks) -> bool:
    """Whether the copies of its ranks take no more than this share of the free memory of any host. Every rank calls
    it, before any makes its copy."""
    each = sum(local(state[name]).nbytes for name in names)
    fits = each * int(os.environ.get("LOCAL_WORLD_SIZE", "1")) <= share * free_memory()
    answers = [fits] * dist.get_world_size()
    dist.all_gather_object(answers, fits, group=ranks.saving_group)
    return all(answers)
