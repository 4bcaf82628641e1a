"""Layers compiled by torch (``torch.compile``): neighbouring element-wise steps become one kernel each.

What a compiler cannot see through stays outside of its graphs: exchanges between ranks, attention's kernels, and all
that draws from the second random stream or by our own means. They are marked with :func:`outside_graphs`, so a layer
becomes a few graphs, the same for all layers, with these calls in between. All of it is exact, at every layout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import nn

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def outside_graphs(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A decorator: compiled code calls the function as it is."""
    opaque: Callable[Arguments, Result] = torch.compiler.disable(function)
    return opaque


def apply_compile(layers: nn.ModuleList, *, backend: str = "inductor") -> None:
    """Compiles each layer, in place and in the module's own place, as ``recompute`` does and to be called before it:
    a layer computed again runs the compiled code again.

    Args:
        layers: of the model, cut over tensor ranks already.
        backend: torch's name of the compiler; tests capture graphs without generating code.
    """
    for layer in layers:
        layer.forward = torch.compile(layer.forward, backend=backend)
