"""NVIDIA GPUs as the driver tells of them, through NVML (``pynvml``), which is imported only when asked.

``read_gpus`` is the light reading of every second; ``list_gpus`` is the whole look: also the processes on each GPU, its
state, and how the GPUs are joined. Meanings of modes and reasons are those of NVIDIA's NVML API reference.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from trainer.spec.records import GpuReading

Answer = TypeVar("Answer")

GpuTrouble = Literal["", "no-library", "no-driver", "not-loaded", "mismatch", "not-allowed", "lost", "reset", "other"]
"""Why GPUs cannot be read: pynvml is not installed; the driver is not installed; it is installed but not loaded; its
library and its kernel module are of different versions (after an update, until a reboot); no permission on the device
files; a GPU fell off the bus; one needs a reset; anything else."""

ComputeMode = Literal["default", "exclusive", "prohibited"]
"""How many processes may compute on a GPU: any number, one, none."""

Join = Literal["nvlink", "pcie", "sockets"]
"""What joins two GPUs: NVLink; PCIe below one processor; the link between two processors, which is the slowest."""


@dataclass(frozen=True)
class GpuState:
    """What may keep a GPU from computing, or slow it down. What a GPU or driver does not tell is taken to be fine."""

    mig: bool = False
    """Whether it is split into instances (MIG); then it cannot be used as a whole."""
    mode: ComputeMode = "default"
    hot: bool = False
    """Whether it computes more slowly just now because it is too hot."""
    underpowered: bool = False
    """Whether it computes more slowly just now because its power supply asks for it."""
    memory_errors: int = 0
    """Errors in its memory that could not be corrected, since the driver was loaded."""
    needs_reset: bool = False
    """Whether broken memory is replaced by spare memory at its next reset."""
    worn_out: bool = False
    """Whether broken memory can no longer be replaced."""


HEALTHY = GpuState()


@dataclass(frozen=True)
class GpuFacts:
    """One GPU, who uses it, and how it is."""

    reading: GpuReading
    processes: tuple[tuple[int, str], ...]
    """(process id, name) of what computes on it; the name is empty where it may not be seen."""
    state: GpuState


@dataclass(frozen=True)
class LostGpu:
    """A GPU that is there and cannot be asked."""

    index: int
    trouble: GpuTrouble
    reason: str
    """In the driver's words."""


@dataclass(frozen=True)
class PeerLink:
    """What joins two GPUs, named by their indices, the smaller first."""

    first: int
    second: int
    join: Join


@dataclass(frozen=True)
class GpuList:
    """The GPUs of this machine."""

    gpus: tuple[GpuFacts, ...]
    driver: str
    """The driver's version, empty where it is not known."""
    trouble: GpuTrouble
    reason: str
    """The trouble in the driver's words, empty where there is none."""
    lost: tuple[LostGpu, ...] = ()
    """GPUs that are there and cannot be asked. They are no trouble of the driver."""
    links: tuple[PeerLink, ...] = ()
    """What joins each two GPUs; pairs of which the driver does not tell are left out."""


def read_gpus() -> tuple[tuple[GpuReading, ...], str]:
    """Every GPU now, and why there is none in words ("" where all went well; that a machine has no driver at all is
    no trouble either). A GPU that fails alone is left out, and the reason names it."""
    answer = _ask(lambda nvml: _ask_each(nvml, _reading))
    if isinstance(answer, _Refused):
        return (), "" if answer.trouble == "no-driver" else answer.reason
    readings, lost = answer
    return tuple(readings), "; ".join(f"GPU {gpu.index}: {gpu.reason}" for gpu in lost)


def list_gpus() -> GpuList:
    """Every GPU with its processes and state, how they are joined, the driver's version, and what went wrong, told
    apart. Asks about each pair of GPUs, so it is nothing for every second."""
    answer = _ask(_look_at_all)
    return GpuList((), "", answer.trouble, answer.reason) if isinstance(answer, _Refused) else answer


def _look_at_all(nvml: Any) -> GpuList:
    gpus, lost = _ask_each(nvml, _facts)
    links = _links(nvml, [gpu.reading.index for gpu in gpus])
    return GpuList(tuple(gpus), _text(nvml.nvmlSystemGetDriverVersion()), "", "", tuple(lost), links)


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
class _Refused:
    """The driver as a whole cannot be asked."""

    trouble: GpuTrouble
    reason: str


def _ask(question: Callable[[Any], Answer]) -> Answer | _Refused:
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError as error:
        return _Refused("no-library", str(error))
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return _Refused(_trouble(nvml, error), str(error))
    try:
        return question(nvml)
    except nvml.NVMLError as error:
        return _Refused(_trouble(nvml, error), str(error))
    finally:
        nvml.nvmlShutdown()


def _ask_each(nvml: Any, question: Callable[[Any, Any, int], Answer]) -> tuple[list[Answer], list[LostGpu]]:
    """The answers of the GPUs that answer, and the others."""
    answers, lost = [], []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            answers.append(question(nvml, nvml.nvmlDeviceGetHandleByIndex(index), index))
        except nvml.NVMLError as error:
            lost.append(LostGpu(index, _trouble(nvml, error), str(error)))
    return answers, lost


def _trouble(nvml: Any, error: Any) -> GpuTrouble:
    kinds: dict[int, GpuTrouble] = {
        nvml.NVML_ERROR_LIBRARY_NOT_FOUND: "no-driver",
        nvml.NVML_ERROR_DRIVER_NOT_LOADED: "not-loaded",
        nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "mismatch",
        nvml.NVML_ERROR_NO_PERMISSION: "not-allowed",
        nvml.NVML_ERROR_GPU_IS_LOST: "lost",
        nvml.NVML_ERROR_RESET_REQUIRED: "reset",
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


def _facts(nvml: Any, device: Any, index: int) -> GpuFacts:
    return GpuFacts(_reading(nvml, device, index), _processes(nvml, device), _state(nvml, device))


def _state(nvml: Any, device: Any) -> GpuState:
    mig = _or_none(nvml, lambda: nvml.nvmlDeviceGetMigMode(device))
    mode = _or_none(nvml, lambda: nvml.nvmlDeviceGetComputeMode(device))
    slowed = _or_none(nvml, lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(device)) or 0
    heat = nvml.nvmlClocksThrottleReasonSwThermalSlowdown | nvml.nvmlClocksThrottleReasonHwThermalSlowdown
    uncorrected, since_load = nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
    errors = _or_none(nvml, lambda: nvml.nvmlDeviceGetTotalEccErrors(device, uncorrected, since_load))
    rows = _or_none(nvml, lambda: nvml.nvmlDeviceGetRemappedRows(device)) or (0, 0, 0, 0)
    return GpuState(
        mig=mig is not None and mig[0] == nvml.NVML_DEVICE_MIG_ENABLE,
        mode=_mode(nvml, mode),
        hot=bool(slowed & heat),
        underpowered=bool(slowed & nvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown),
        memory_errors=int(errors or 0),
        needs_reset=bool(rows[2]),
        worn_out=bool(rows[3]),
    )


def _mode(nvml: Any, mode: int | None) -> ComputeMode:
    if mode == nvml.NVML_COMPUTEMODE_PROHIBITED:
        return "prohibited"
    return "default" if mode in (None, nvml.NVML_COMPUTEMODE_DEFAULT) else "exclusive"


def _links(nvml: Any, indices: Sequence[int]) -> tuple[PeerLink, ...]:
    """One link for each two of these GPUs. One that gets lost meanwhile has none."""
    links = []
    for first, second in itertools.combinations(indices, 2):
        try:
            join = _join(nvml, nvml.nvmlDeviceGetHandleByIndex(first), nvml.nvmlDeviceGetHandleByIndex(second))
        except nvml.NVMLError:
            continue
        if join is not None:
            links.append(PeerLink(first, second, join))
    return tuple(links)


def _join(nvml: Any, first: Any, second: Any) -> Join | None:
    nvlink = _or_none(nvml, lambda: nvml.nvmlDeviceGetP2PStatus(first, second, nvml.NVML_P2P_CAPS_INDEX_NVLINK))
    if nvlink == nvml.NVML_P2P_STATUS_OK:
        return "nvlink"
    ancestor = _or_none(nvml, lambda: nvml.nvmlDeviceGetTopologyCommonAncestor(first, second))
    if ancestor is None:
        return None
    return "sockets" if ancestor >= nvml.NVML_TOPOLOGY_SYSTEM else "pcie"


def _processes(nvml: Any, device: Any) -> tuple[tuple[int, str], ...]:
    found = _or_none(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses_v3(device))
    if found is None:  # drivers before 510 have only the version before
        found = _or_none(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses_v2(device)) or []
    return tuple((int(process.pid), _process_name(int(process.pid))) for process in found)


def _process_name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _or_none(nvml: Any, read: Callable[[], Any]) -> Any:
    """A reading that this GPU may lack, or a driver that is older than the function; a lost GPU is still an error."""
    try:
        return read()
    except nvml.NVMLError as error:
        if error.value in (
            nvml.NVML_ERROR_NOT_SUPPORTED,
            nvml.NVML_ERROR_FUNCTION_NOT_FOUND,
            nvml.NVML_ERROR_NO_PERMISSION,
            nvml.NVML_ERROR_UNKNOWN,
        ):
            return None
        raise


def _text(value: str | bytes) -> str:
    """Older versions of pynvml give bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
