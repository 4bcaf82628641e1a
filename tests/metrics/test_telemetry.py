"""Device readings of a run, and of this machine while there are none."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bert_tui.metrics.telemetry import KEPT, HostReader, TelemetryFollower
from trainer.spec.records import GpuReading, Telemetry, to_json


def line(time: float) -> str:
    gpu = GpuReading(0, "GPU-0", "NVIDIA A100", 97.0, 10, 80, 60.0, 400.0)
    return to_json(Telemetry(time, (50.0, 60.0), 1, 2, (gpu,))) + "\n"


def test_readings_of_two_nodes_are_followed(tmp_path: Path) -> None:
    follower = TelemetryFollower(tmp_path / "telemetry")
    assert follower.poll() == ()
    (tmp_path / "telemetry").mkdir()
    first, second = (tmp_path / "telemetry" / f"{name}.jsonl" for name in ("a", "b"))
    first.write_text("".join(line(time) for time in range(100)) + line(100)[:30], encoding="utf-8")
    second.write_text(line(7), encoding="utf-8")
    nodes = follower.poll()
    assert [(node.node, node.latest.time) for node in nodes] == [("a", 99.0), ("b", 7.0)]
    assert len(nodes[0].readings) == KEPT
    with first.open("a", encoding="utf-8") as file:
        file.write(line(100)[30:])
    assert follower.poll()[0].latest.time == 100.0
    first.write_text(line(500), encoding="utf-8")  # replaced: shorter than before
    assert follower.poll()[0].latest.time == 500.0


@given(st.lists(st.binary(max_size=100), max_size=6))
def test_no_bytes_break_it(tmp_path_factory: object, pieces: list[bytes]) -> None:
    folder: Path = tmp_path_factory.mktemp("telemetry")  # type: ignore[attr-defined]
    follower = TelemetryFollower(folder)
    for piece in pieces:
        with (folder / "node.jsonl").open("ab") as file:
            file.write(piece)
        follower.poll()
    with (folder / "node.jsonl").open("ab") as file:
        file.write(b"\n" + line(3).encode())
    assert follower.poll()[0].latest.time == 3.0


def test_this_machine_can_be_read() -> None:
    reader = HostReader()
    reader.poll()
    (node,) = reader.poll()
    assert not node.recorded
    assert node.latest.cores
    assert 0 < node.latest.memory_used < node.latest.memory_total
