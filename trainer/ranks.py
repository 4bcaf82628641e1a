"""This process among the others: device, groups, and its place in the grid of data-parallel x tensor-parallel ranks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from trainer.spec.problem import EnvironmentRefused, Problem

PATIENCE = timedelta(minutes=10)
"""How long a rank waits for the others before it gives up."""
SAVING_PATIENCE = timedelta(hours=4)
"""The same while a checkpoint is written: a rank may have many gigabytes to write to a slow disk."""


@dataclass(frozen=True)
class Ranks:
    """The grid. Tensor-parallel ranks are neighbours, because they talk most."""

    device: torch.device
    mesh: DeviceMesh
    """Dimensions (data, tensor)."""
    host_group: dist.ProcessGroup
    """All ranks, over the CPU: for small facts that must not wait for the device."""
    saving_group: dist.ProcessGroup
    """The same for the thread that writes checkpoints: two threads over one gloo group would mix up their messages."""

    @property
    def rank(self) -> int:
        """Number of this process; 0 is the one that writes and reports."""
        return dist.get_rank()

    @property
    def data_rank(self) -> int:
        """Which share of the rows this process reads."""
        return self.mesh.get_local_rank("data")

    @property
    def data_size(self) -> int:
        """How many shares there are."""
        return self.mesh.size(0)

    @property
    def data_group(self) -> dist.ProcessGroup:
        """The ranks that hold the same slice of the model."""
        return self.mesh.get_group("data")

    @property
    def tensor_rank(self) -> int:
        """Which slice of the model this process holds."""
        return self.mesh.get_local_rank("tensor")

    @property
    def tensor_size(self) -> int:
        """How many slices there are."""
        return self.mesh.size(1)

    @property
    def tensor_group(self) -> dist.ProcessGroup:
        """The ranks that hold one model together."""
        return self.mesh.get_group("tensor")


@contextmanager
def joined(device_type: str, tensor: int) -> Iterator[Ranks]:
    """Joins the ranks that torchrun started, and leaves them at a good end.

    Raises:
        EnvironmentRefused: the device is not there.
    """
    device = _device(device_type)
    dist.init_process_group(dist.get_default_backend_for_device(device), timeout=PATIENCE)
    data = dist.get_world_size() // tensor
    mesh = init_device_mesh(device.type, (data, tensor), mesh_dim_names=("data", "tensor"))
    host_group = dist.new_group(backend="gloo", timeout=PATIENCE)
    yield Ranks(device, mesh, host_group, dist.new_group(backend="gloo", timeout=SAVING_PATIENCE))
    # Not after an error: leaving can wait for peers that are gone, and ending the process leaves as well.
    dist.destroy_process_group()


def _device(device_type: str) -> torch.device:
    if device_type == "cpu":
        return torch.device("cpu")
    found = torch.accelerator.device_count() if torch.accelerator.is_available() else 0
    index = int(os.environ["LOCAL_RANK"])
    if index >= found:
        wanted = int(os.environ["LOCAL_WORLD_SIZE"])
        raise EnvironmentRefused(Problem("layout.devices", device_type, str(wanted), {"devices": found}))
    torch.get_device_module(device_type).set_device(index)
    return torch.device(device_type, index)
