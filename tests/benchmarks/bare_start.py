"""Started by torchrun: what any program pays before its first step: it imports torch and meets the other ranks."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor  # noqa: F401

if __name__ == "__main__":
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    dist.all_reduce(torch.ones(1), group=mesh.get_group())
    Path(sys.argv[1]).touch()
    dist.destroy_process_group()
