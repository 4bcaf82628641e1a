"""Which GPU a driver's name means."""

from __future__ import annotations

import pytest

from trainer.spec.gpu_peak import peak_of


@pytest.mark.parametrize(
    ("name", "tflops"),
    [
        ("Tesla V100-SXM2-32GB", 125.0),
        ("Tesla V100-PCIE-16GB", 112.0),
        ("Tesla T4", 65.0),
        ("NVIDIA A100-SXM4-80GB", 312.0),
        ("NVIDIA A100 80GB PCIe", 312.0),
        ("NVIDIA L4", 121.0),
        ("NVIDIA L40S", 362.05),
        ("NVIDIA RTX 6000 Ada Generation", 364.2),
        ("NVIDIA H100 PCIe", 756.0),
        ("NVIDIA H100 NVL", 835.5),
        ("NVIDIA H100 80GB HBM3", 989.5),
        ("NVIDIA GB200", 2500.0),
    ],
)
def test_known(name: str, tflops: float) -> None:
    peak = peak_of(name)
    assert peak is not None
    assert peak.tflops == tflops
    assert peak.source


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA A10G",
        "Quadro RTX 6000",
        "NVIDIA GeForce RTX 3090 Ti",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
        "CPU, 2 threads a rank",
        "",
    ],
)
def test_a_name_that_only_begins_alike_has_no_figure(name: str) -> None:
    assert peak_of(name) is None
