"""Which part of a parameter a rank holds."""

from __future__ import annotations

from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor


def local(parameter: Tensor) -> Tensor:
    """This rank's part of a parameter: all of it where it is replicated or no DTensor."""
    return parameter.to_local() if isinstance(parameter, DTensor) else parameter


def is_cut(parameter: Tensor, dimension: str) -> bool:
    """Whether the ranks along a dimension of the mesh hold different parts."""
    if not isinstance(parameter, DTensor):
        return False
    names = parameter.device_mesh.mesh_dim_names or ()
    return dimension in names and not parameter.placements[names.index(dimension)].is_replicate()


def part_of(whole: Tensor, parameter: Tensor) -> Tensor:
    """The part of ``whole`` that ``parameter`` holds on this rank.

    Tensor parallelism cuts first, sharding cuts its pieces: the dimensions of the mesh are taken from the last.
    """
    if not isinstance(parameter, DTensor):
        return whole
    mesh = parameter.device_mesh
    for number, placement in reversed(list(enumerate(parameter.placements))):
        if not placement.is_replicate():
            dimension: int = placement.dim  # type: ignore[attr-defined]
            first, length = run_of(whole.shape[dimension], mesh, number)
            whole = whole.narrow(dimension, first, length)
    return whole


def run_of(length: int, mesh: DeviceMesh, dimension: int = 0) -> tuple[int, int]:
    """First of ``length`` things on this rank, and how many; cut as by ``torch.chunk``, so the last may get fewer."""
    each = -(-length // mesh.size(dimension))
    first = min(each * mesh.get_local_rank(dimension), length)
    return first, min(each, length - first)
