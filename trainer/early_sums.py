"""Sums of gradients over ranks that leave as soon as the backward pass has found them.

Parameters are sorted into messages in the reverse order of their use, which is about the order in which gradients
appear. A message leaves when all its gradients are there and the one before it has left: so the order is the same on
all ranks. Large gradients travel alone and in place; small ones are copied together, because each message costs time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from trainer.placement import local

MESSAGE_BYTES = 4 << 20
"""Gradients of at least this size travel alone, smaller ones together up to it."""


class EarlySums:
    """Of the gradients of some parameters, none where nothing is to be summed."""

    def __init__(self, parameters: Sequence[nn.Parameter], group: dist.ProcessGroup) -> None:
        self._group = group
        self._messages = [list(message) for message in _messages(reversed(parameters))]
        self._number = {p: number for number, message in enumerate(self._messages) for p in message}
        self._missing: list[int] = []
        self._under_way: list[_Message] = []
        self._begun = False
        for parameter in parameters:
            parameter.register_post_accumulate_grad_hook(self._found)

    def begin(self) -> None:
        """Gradients found from now on are final."""
        self._begun = True
        self._missing = [len(message) for message in self._messages]

    @torch.no_grad()
    def finish(self) -> None:
        """Sends what is left, and returns when every gradient is a sum (on a GPU: when it is queued to become one)."""
        self._begun = False
        while len(self._under_way) < len(self._messages):
            self._send_next()
        for message in self._under_way:
            message.arrive()
        self._under_way.clear()

    @torch.no_grad()
    def _found(self, parameter: nn.Parameter) -> None:
        """torch calls it when a backward pass has added all it has to a gradient."""
        if not self._begun:
            return
        self._missing[self._number[parameter]] -= 1
        while len(self._under_way) < len(self._messages) and self._missing[len(self._under_way)] == 0:
            self._send_next()

    def _send_next(self) -> None:
        gradients = [gradient_of(parameter) for parameter in self._messages[len(self._under_way)]]
        self._under_way.append(_Message(gradients, self._group))


class _Message:
    """One sum under way."""

    def __init__(self, gradients: list[Tensor], group: dist.ProcessGroup) -> None:
        self._gradients = gradients
        alone = len(gradients) == 1 and gradients[0].is_contiguous()
        self._flat = gradients[0] if alone else torch.cat([gradient.flatten() for gradient in gradients])
        self._work = dist.all_reduce(self._flat, group=group, async_op=True)

    def arrive(self) -> None:
        """Waits, and puts the sums where the gradients were."""
        self._work.wait()
        if self._flat is self._gradients[0]:
            return
        parts = self._flat.split([gradient.numel() for gradient in self._gradients])
        for gradient, part in zip(self._gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def sum_together(gradients: list[Tensor], group: dist.ProcessGroup) -> None:
    """Replaces a few small gradients by their sums over a group, now."""
    _Message(gradients, group).arrive()


def gradient_of(parameter: nn.Parameter) -> Tensor:
    """This rank's part of it."""
    assert parameter.grad is not None
    return local(parameter.grad)


def _messages(parameters: Iterator[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    together: list[nn.Parameter] = []
    size = 0
    for parameter in parameters:
        each = local(parameter).nbytes
        if each >= MESSAGE_BYTES:
            yield [parameter]
            continue
        if size + each > MESSAGE_BYTES:
            yield together
            together, size = [], 0
        together.append(parameter)
        size += each
    if together:
        yield together
