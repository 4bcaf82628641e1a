"""NVIDIA GPUs as the driver tells of them, through NVML (``pynvml``), which is imported only when asked.

``read_gpus`` is the light reading of every second; ``list_gpus`` also names the processes on each GPU.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trainer.spec.records import GpuReading

GpuTrouble = Literal["", "no-library", "no-driver", "not-loaded", "mismatch", "not-allowed", "lost", "other"]
"""Why GPUs cannot be read: pynvml is not installed; the driver is not installed; it is installed but not loaded; its
library and its kernel module are of different versions (after an update, until a reboot); no permission on the device
files; a GPU fell off the bus; anything else."""


@dataclass(frozen=True)
class GpuFacts:
    """One GPU and who uses it."""

    reading: GpuReading
    processes: tuple[tuple[int, str], ...]
    """(process id, name) of what computes on it; the name is empty where it may not be seen."""


@dataclass(frozen=True)
class GpuList:
    """The GPUs of this machine."""

    gpus: tuple[GpuFacts, ...]
    driver: str
    """The driver's version, empty where it is not known."""
    trouble: GpuTrouble
    reason: str
    """The trouble in the driver's words, empty where there is none."""


def read_gpus() -> tuple[tuple[GpuReading, ...], str]:
    """Every GPU now, and why there is none in words ("" where all went well; that a machine has no driver at all is
    no trouble either). A GPU that fails alone is left out, and the reason names it."""
    facts = _ask(lambda nvml, device, index: _reading(nvml, device, index))
    return tuple(facts.items), "" if facts.trouble == "no-driver" else facts.reason


def list_gpus() -> GpuList:
    """Every GPU with its processes, the driver's version, and what went wrong, told apart."""
    answer = _ask(lambda nvml, device, index: GpuFacts(_reading(nvml, device, index), _processes(nvml, device)))
    return GpuList(tuple(answer.items), answer.driver, answer.trouble, answer.reason)


@contextmanager
def kept_open() -> Iterator[None]:
    """Inside, the driver stays initialised (NVML counts its users), which makes every reading after the first cheap.
    Where there is no driver nothing is kept, and the readings say why."""
    nvml = _initialised()
    try:
        yield
    finally:
        if nvml is not None:
            nvml.nvmlShutdown()


def _initialised() -> Any:
    """NVML, or None where it cannot be had."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return None
    return nvml


@dataclass(frozen=True)
class _Answer:
    items: list[Any]
    driver: str
    trouble: GpuTrouble
    reason: str


def _ask(question: Callable[[Any, Any, int], Any]) -> _Answer:
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError as error:
        return _Answer([], "", "no-library", str(error))
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return _Answer([], "", _trouble(nvml, error), str(error))
    try:
        return _ask_each(nvml, question)
    except nvml.NVMLError as error:
        return _Answer([], "", _trouble(nvml, error), str(error))
    finally:
        nvml.nvmlShutdown()


def _ask_each(nvml: Any, question: Callable[[Any, Any, int], Any]) -> _Answer:
    items, trouble, reasons = [], "", []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            items.append(question(nvml, nvml.nvmlDeviceGetHandleByIndex(index), index))
        except nvml.NVMLError as error:
            trouble = _trouble(nvml, error)
            reasons.append(f"GPU {index}: {error}")
    return _Answer(items, _text(nvml.nvmlSystemGetDriverVersion()), trouble, "; ".join(reasons))  # type: ignore[arg-type]


def _trouble(nvml: Any, error: Any) -> GpuTrouble:
    kinds: dict[int, GpuTrouble] = {
        nvml.NVML_ERROR_LIBRARY_NOT_FOUND: "no-driver",
        nvml.NVML_ERROR_DRIVER_NOT_LOADED: "not-loaded",
        nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "mismatch",
        nvml.NVML_ERROR_NO_PERMISSION: "not-allowed",
        nvml.NVML_ERROR_GPU_IS_LOST: "lost",
    }
    return kinds.get(error.value, "other")


def _reading(nvml: Any, device: Any, index: int) -> GpuReading:
    memory = _or_none(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(device))
    watts = _or_none(nvml, lambda: nvml.nvmlDeviceGetPowerUsage(device) / 1000)
    rates = _or_none(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(device))
    return GpuReading(
        index=index,
        uuid=_text(nvml.nvmlDeviceGetUUID(device)),
        name=_text(nvml.nvmlDeviceGetName(device)),
        utilization=None if rates is None else float(rates.gpu),
        memory_used=None if memory is None else int(memory.used),
        memory_total=None if memory is None else int(memory.total),
        temperature=_or_none(nvml, lambda: float(nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU))),
        power=watts,
    )


def _processes(nvml: Any, device: Any) -> tuple[tuple[int, str], ...]:
    found = _or_none(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses(device)) or []
    return tuple((int(process.pid), _process_name(int(process.pid))) for process in found)


def _process_name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _or_none(nvml: Any, read: Callable[[], Any]) -> Any:
    """A reading that this GPU or driver may lack; a lost GPU is still an error."""
    try:
        return read()
    except nvml.NVMLError as error:
        if error.value in (nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_NO_PERMISSION, nvml.NVML_ERROR_UNKNOWN):
            return None
        raise


def _text(value: str | bytes) -> str:
    """Older versions of pynvml give bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
