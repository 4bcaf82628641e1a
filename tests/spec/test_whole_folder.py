"""Complete or absent, whoever builds and however it ends."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from trainer.spec.whole_folder import ABANDONED_SECONDS, whole_folder


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_it_is_there_when_the_block_has_ended(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "abc"
    with whole_folder(folder) as beside:
        (beside / "data").write_text("whole")
        assert not folder.exists()
    assert (folder / "data").read_text() == "whole"
    assert names(tmp_path / "cache") == ["abc"]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), whole_folder(tmp_path / "abc") as beside:
        (beside / "data").touch()
        raise KeyError
    assert names(tmp_path) == []


def test_the_faster_of_two_stays(tmp_path: Path) -> None:
    folder = tmp_path / "abc"
    with whole_folder(folder) as slow:
        (slow / "data").write_text("slow")
        with whole_folder(folder) as fast:
            (fast / "data").write_text("fast")
    assert (folder / "data").read_text() == "fast"
    assert names(tmp_path) == ["abc"]


def test_what_a_killed_builder_left_goes_after_a_day(tmp_path: Path) -> None:
    for name in (".abc.old", ".abc.new", ".xyz.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data").touch()
    for name in (".abc.old", ".xyz.old"):
        os.utime(tmp_path / name, (time.time() - ABANDONED_SECONDS - 1,) * 2)
    with whole_folder(tmp_path / "abc"):
        pass
    assert names(tmp_path) == [".abc.new", ".xyz.old", "abc"]
