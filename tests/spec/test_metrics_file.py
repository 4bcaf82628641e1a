"""What a killed writer or a full disk leaves of ``metrics.bin``."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.spec.metrics_file import MetricsWriter, read_layout


def _written(path: Path, step: float) -> None:
    writer = MetricsWriter(path)
    writer.append({"step": step})
    writer.close()


@pytest.mark.parametrize("kept", [0, 5, 11, 12, 40])
def test_a_torn_header_is_written_anew(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "metrics.bin"
    _written(path, 1)
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    _written(path, 1)
    assert path.read_bytes() == whole


def test_a_torn_record_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "metrics.bin"
    _written(path, 1)
    layout = read_layout(path)
    assert layout is not None
    path.write_bytes(path.read_bytes() + b"x" * (layout.record_bytes - 1))
    _written(path, 2)
    assert path.stat().st_size == layout.offset + 2 * layout.record_bytes


def test_another_kind_of_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "metrics.bin"
    path.write_text("mine")
    with pytest.raises(ValueError, match="not a metrics file"):
        MetricsWriter(path)
    assert path.read_text() == "mine"
