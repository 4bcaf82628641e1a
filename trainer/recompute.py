"""Activations that are computed again for the backward pass instead of being kept (arXiv 2205.05198, section 5)."""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch import nn
from torch.utils.checkpoint import checkpoint

from trainer.model import Bert
from trainer.random_streams import RandomStreams


def apply_recompute(model: Bert, what: Literal["none", "selective", "full"], streams: RandomStreams) -> None:
    """Keeps of each layer everything, all but the insides of its attention core, or only its input. In place."""
    for layer in model.layers:
        if what == "selective":
            _compute_again(layer.get_submodule("attention.core"), streams)
        elif what == "full":
            _compute_again(layer, streams)


def _compute_again(module: nn.Module, streams: RandomStreams) -> None:
    # In the module's own place, not in one around it: names in checkpoints stay, and FSDP2's hooks run outside.
    module.forward = partial(
        checkpoint, module.forward, use_reentrant=False, preserve_rng_state=False, context_fn=streams.repeated
    )
