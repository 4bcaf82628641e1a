"""Which number format the matrix products use. Weights, their gradients' sums, norms and losses stay in float32."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import torch

BF16_CAPABILITY = (8, 0)
"""First generation of NVIDIA GPUs (Ampere) that computes in bf16."""


@dataclass(frozen=True)
class Precision:
    """A choice that has been made."""

    name: Literal["bf16", "fp16", "fp32"]
    device_type: str

    @property
    def format(self) -> torch.dtype | None:
        """The 16-bit format; None where products take what weights have."""
        return {"fp16": torch.float16, "bf16": torch.bfloat16}.get(self.name)

    def autocast(self) -> AbstractContextManager[None]:
        """Inside, matrix products take this format."""
        return torch.autocast(self.device_type, self.format, enabled=self.format is not None)


def choose_precision(setting: Literal["auto", "bf16", "fp16", "fp32"], device: torch.device) -> Precision:
    """``auto`` is bf16 where the GPU computes in it, fp16 on older ones, fp32 on a CPU."""
    if setting != "auto":
        return Precision(setting, device.type)
    if device.type == "cpu":
        return Precision("fp32", device.type)
    modern = torch.cuda.get_device_capability(device) >= BF16_CAPABILITY
    return Precision("bf16" if modern else "fp16", device.type)
