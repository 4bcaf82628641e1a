"""What GPUs can do at most: dense matrix products in 16-bit formats with 32-bit sums, as their makers state it.

Data sheets often state twice as much, for matrices of which half is zero; those figures are halved here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Peak:
    """A GPU model, and its peak."""

    model: str
    """The words by which its driver's name for it is known: "A100", "H100 PCIe"."""
    tflops: float
    """TFLOP/s, bf16 (fp16 on those that have no bf16)."""
    source: str


PEAKS = (
    Peak("V100 PCIe", 112.0, "NVIDIA V100 data sheet, 2020 (fp16)"),
    Peak("V100", 125.0, "NVIDIA V100 data sheet, 2020 (fp16)"),
    Peak("T4", 65.0, "NVIDIA T4 data sheet, 2019 (fp16)"),
    Peak("A100", 312.0, "NVIDIA A100 data sheet, 2021"),
    Peak("A10", 125.0, "NVIDIA A10 data sheet, 2021"),
    Peak("A30", 165.0, "NVIDIA A30 data sheet, 2021"),
    Peak("A40", 149.7, "NVIDIA A40 data sheet, 2021"),
    Peak("L40S", 362.05, "NVIDIA L40S data sheet, 2023"),
    Peak("L4", 121.0, "NVIDIA L4 data sheet, 2023 (half of 242 with sparsity)"),
    Peak("GeForce RTX 3090", 71.0, "NVIDIA GA102 whitepaper, 2020 (32-bit sums)"),
    Peak("GeForce RTX 4090", 165.2, "NVIDIA Ada whitepaper, 2022 (32-bit sums)"),
    Peak("RTX A6000", 154.8, "NVIDIA GA102 whitepaper, 2020"),
    Peak("RTX 6000 Ada", 364.2, "NVIDIA RTX 6000 Ada data sheet, 2022 (quarter of 1,457 in fp8 with sparsity)"),
    Peak("H100 PCIe", 756.0, "NVIDIA H100 data sheet, 2023 (half of 1,513 with sparsity)"),
    Peak("H100 NVL", 835.5, "NVIDIA H100 data sheet, 2024 (half of 1,671 with sparsity)"),
    Peak("H100", 989.5, "NVIDIA H100 data sheet, 2023 (SXM, half of 1,979 with sparsity)"),
    Peak("H200 NVL", 835.5, "NVIDIA H200 data sheet, 2024 (half of 1,671 with sparsity)"),
    Peak("H200", 989.5, "NVIDIA H200 data sheet, 2024 (SXM, half of 1,979 with sparsity)"),
    Peak("GB200", 2500.0, "NVIDIA GB200 data sheet, 2024 (half of 5,000 a GPU with sparsity)"),
    Peak("B200", 2250.0, "NVIDIA HGX B200 data sheet, 2024 (half of 4,500 a GPU with sparsity)"),
)
"""The first that fits counts, so forms with less come before the general name."""


NEUTRAL = re.compile(r"nvidia|tesla|sxm\d?|pcie|hbm3e?|\d+gb|generation")
"""Words of a name that tell nothing of the speed, or nothing that an entry before did not ask for."""


def peak_of(device_name: str) -> Peak | None:
    """The entry for the name that a driver gives ("NVIDIA A100-SXM4-80GB"); None for a GPU that is not in the table.

    Every word of the name must be known: neither an A10G nor an RTX 3090 Ti nor a MIG slice is what its name begins
    with.
    """
    words = re.split(r"[\s-]+", device_name.strip().lower())
    return next((peak for peak in PEAKS if _fits(peak.model.lower().split(), words)), None)


def _fits(wanted: list[str], words: list[str]) -> bool:
    rest = [word for word in words if word not in wanted]
    return set(wanted) <= set(words) and all(NEUTRAL.fullmatch(word) for word in rest)
