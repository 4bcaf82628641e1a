"""The load of the devices, a line each."""

from __future__ import annotations

from collections.abc import Sequence

from bert_tui.metrics.telemetry import NodeReadings
from bert_tui.widgets.glyphs import glyphs
from bert_tui.widgets.rows import Row, Rows
from trainer.spec.records import GpuReading, Telemetry

BAR = 10


class DeviceTable(Rows):
    """GPUs where there are any, else cores and memory."""

    DEFAULT_CSS = "DeviceTable { height: auto; max-height: 10; }"

    def show(self, nodes: Sequence[NodeReadings], *, uses_gpus: bool) -> None:
        """Takes the newest readings."""
        rows = [row for node in nodes for row in _node_rows(node, uses_gpus, several=len(nodes) > 1)]
        if len(rows) != len(self._rows):
            self.styles.height = max(1, len(rows))
        self.show_rows(rows or [(("devices: no reading yet", "muted"),)])


def _node_rows(node: NodeReadings, uses_gpus: bool, *, several: bool) -> list[Row]:
    latest = node.latest
    prefix = f"{node.node[:12]:<12} " if several else ""
    if latest.gpus:
        return [_gpu_row(prefix, gpu) for gpu in latest.gpus]
    rows = [_host_row(prefix, latest, node.recorded)]
    if uses_gpus and latest.gpu_problem:
        rows.append(((f"{prefix}GPUs cannot be read: {latest.gpu_problem}", "caution"),))
    return rows


def _gpu_row(prefix: str, gpu: GpuReading) -> Row:
    name = gpu.name.removeprefix("NVIDIA ")[:18]
    parts = [
        _percent(gpu.utilization),
        f"{_gib(gpu.memory_used)}/{_gib(gpu.memory_total)} GiB",
        "  - W" if gpu.power is None else f"{gpu.power:3.0f} W",
        "  -" if gpu.temperature is None else f"{gpu.temperature:3.0f} {glyphs().degree}C",
    ]
    return (
        (f"{prefix}GPU {gpu.index:<2} {name:<18} ", ""),
        (_bar(gpu.utilization), "training"),
        (" " + "  ".join(parts), ""),
    )


def _host_row(prefix: str, reading: Telemetry, recorded: bool) -> Row:
    busy = sum(reading.cores) / max(1, len(reading.cores))
    text = f"{_percent(busy)} of {len(reading.cores)} cores  "
    text += f"memory {_gib(reading.memory_used).strip()} of {_gib(reading.memory_total).strip()} GiB"
    if reading.run_cpu is not None and reading.run_memory is not None:
        text += f"  run: {reading.run_cpu / 100:.1f} cores, {_gib(reading.run_memory).strip()} GiB"
    elif not recorded:
        text += "  (this machine)"
    return ((f"{prefix}CPU ", ""), (_bar(busy)[::2], "training"), (f" {text}", ""))


def _bar(percent: float | None) -> str:
    signs = glyphs()
    full = round(min(100.0, max(0.0, percent or 0.0)) / 100 * BAR)
    return signs.bar_full * full + signs.bar_empty * (BAR - full)


def _percent(value: float | None) -> str:
    return "  - %" if value is None else f"{value:3.0f} %"


def _gib(amount: int | None) -> str:
    return "   -" if amount is None else f"{amount / 2**30:4.1f}"
