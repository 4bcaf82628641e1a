"""What a run was started on, as far as speed or numbers may depend on it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hardware:
    """Names and numbers; empty or 0 where they are not known."""

    cores: int = 0
    gpu_names: tuple[str, ...] = ()
    """Of the GPUs that train, in the order of ranks."""
    driver: str = ""
    """Version of the NVIDIA driver, where GPUs train."""


UNKNOWN_HARDWARE = Hardware()
