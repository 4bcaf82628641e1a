"""Random numbers for dropout under tensor parallelism.

Activations that every tensor rank holds whole must lose the same elements on each of them, or the replicas drift
apart; activations of which each rank holds a different slice (heads of attention, tokens under sequence parallelism)
must lose different ones. So there are two streams: the default generator, equal on the ranks of a tensor group, and a
second one for the slices. Both are set anew for each micro batch from (seed, step, micro batch, ranks): a resumed run
draws what the undisturbed run would have drawn, and no generator state needs to be saved.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from torch import Tensor


class RandomStreams:
    """The two streams of one rank."""

    def __init__(self, device: torch.device, seed: int, *, data_rank: int, tensor_rank: int) -> None:
        # The CPU's generator lives in torch itself, every other device's in the module of its backend.
        self._generators = torch if device.type == "cpu" else torch.get_device_module(device)
        self._seed = seed
        self._data_rank = data_rank
        self._tensor_rank = tensor_rank
        self._sliced = self._generators.get_rng_state()

    def begin(self, step: int, micro_batch: int) -> None:
        """Sets both streams to their place for one micro batch."""
        self._generators.manual_seed(self._derive(step, micro_batch, 1 + self._tensor_rank))
        self._sliced = self._generators.get_rng_state()
        self._generators.manual_seed(self._derive(step, micro_batch, 0))

    @contextmanager
    def sliced(self) -> Iterator[None]:
        """Inside, random numbers differ from rank to rank."""
        replicated = self._generators.get_rng_state()
        self._generators.set_rng_state(self._sliced)
        try:
            yield
        finally:
            self._sliced = self._generators.get_rng_state()
            self._generators.set_rng_state(replicated)

    def repeated(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """What to surround a computation that begins now with, and what its repetition, which draws the same numbers.

        The form is that of ``context_fn`` of ``torch.utils.checkpoint``.
        """
        return nullcontext(), self._set_back(self._generators.get_rng_state(), self._sliced)

    @contextmanager
    def _set_back(self, replicated: Tensor, sliced: Tensor) -> Iterator[None]:
        now = self._generators.get_rng_state(), self._sliced
        self._set(replicated, sliced)
        try:
            yield
        finally:
            self._set(*now)

    def _set(self, replicated: Tensor, sliced: Tensor) -> None:
        self._generators.set_rng_state(replicated)
        self._sliced = sliced

    def _derive(self, *place: int) -> int:
        sequence = np.random.SeedSequence((self._seed, self._data_rank, *place))
        return int(sequence.generate_state(1, np.uint64)[0])
