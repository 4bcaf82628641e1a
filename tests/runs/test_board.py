"""TensorBoard for a run."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from pathlib import Path

import psutil
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from bert_tui.runs.board import find_board, start_board


@pytest.mark.timeout(90)
def test_one_board_serves_the_scalars_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "events"
    writer = EventFileWriter(str(folder))
    writer.add_event(Event(step=1, summary=Summary(value=[Summary.Value(tag="lm loss", simple_value=8.3)])))
    writer.close()
    assert find_board(folder) is None
    board = start_board(folder)
    try:
        assert start_board(folder) == board
        with urllib.request.urlopen(f"{board.url}data/plugin/scalars/tags", timeout=10) as answer:
            assert "lm loss" in json.load(answer)["."]
        assert f"-L {board.port}:127.0.0.1:{board.port}" in board.tunnel
        addresses = {c.laddr.ip for c in psutil.Process(board.pid).net_connections() if c.status == "LISTEN"}
        assert addresses == {"127.0.0.1"}
    finally:
        os.kill(board.pid, signal.SIGTERM)
