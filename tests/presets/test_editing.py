"""Preset files that people keep: what they wrote stays."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_tui.cli import main
from bert_tui.preset_editing import edited, set_in_file, write_preset
from bert_tui.presets import find_preset
from tests.presets.any_preset import any_preset
from trainer.spec.preset import Preset, replace
from trainer.spec.preset_file import as_tables, read_preset, render
from trainer.spec.problem import PresetError
from trainer.spec.toml_text import toml_value

KEPT = """\
#:schema ./preset.schema.json
# For Wikipedia.

schema = 1   # always
extends = "bert-340m"

# how long
[train]
learning_rate = 1e-4
steps = 1_000_000   # a week
# warm up slowly
warmup = 9900

# where
[data]
data_path = [
    "/data/en_text_sentence",  # English
    "/data/de_text_sentence",
]
"""


def keep(folder: Path, text: str = KEPT) -> Path:
    path = folder / "mine.toml"
    path.write_bytes(text.encode())
    return path


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    path = keep(tmp_path)
    path.chmod(0o640)
    assert set_in_file(path, ["train.steps=10000"]) == ("train.steps",)
    assert path.read_text() == KEPT.replace("1_000_000", "10000")
    assert path.stat().st_mode & 0o777 == 0o640
    set_in_file(path, ["train.clip=0.5", "logs.tensorboard_path=/logs"])
    expected = KEPT.replace("1_000_000", "10000").replace("warmup = 9900\n", "warmup = 9900\nclip = 0.5\n")
    assert path.read_text() == expected + '\n[logs]\ntensorboard_path = "/logs"\n'


def test_what_says_so_already_is_not_touched(tmp_path: Path) -> None:
    path = keep(tmp_path)
    assert edited(path, read_preset(path, find_preset)) == KEPT
    assert set_in_file(path, ["train.steps=1000000", "train.clip=1.0"]) == ()


def test_lines_end_as_they_did(tmp_path: Path) -> None:
    path = keep(tmp_path, KEPT.replace("\n", "\r\n"))
    set_in_file(path, ["train.clip=0.5", "model.layers=3"])
    assert path.read_bytes().count(b"\r\n") == path.read_bytes().count(b"\n") == KEPT.count("\n") + 4


def test_a_value_that_is_to_be_open_leaves_the_base(tmp_path: Path) -> None:
    """TOML has no word for "open", and the base has a value."""
    path = keep(tmp_path)
    wanted = replace(read_preset(path, find_preset), train__decay=None)
    write_preset(path, edited(path, wanted))
    assert read_preset(path, find_preset) == wanted
    text = path.read_text()
    assert "extends" not in text
    assert all(comment in text for comment in ("# For Wikipedia.", "# a week", "# warm up slowly", "# English"))


def test_a_link_stays_a_link_and_folders_are_made(tmp_path: Path) -> None:
    path, link = keep(tmp_path), tmp_path / "link.toml"
    link.symlink_to(path)
    set_in_file(link, ["train.steps=7"])
    assert link.is_symlink() and "steps = 7 " in path.read_text()
    write_preset(tmp_path / "a" / "b" / "new.toml", "schema = 1\n")
    assert (tmp_path / "a" / "b" / "new.toml").stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_changed_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets", "set", "bert-tiny", "train.steps=3"]) == 1
    assert "came with the program" in capsys.readouterr().err
    with pytest.raises(PresetError):
        write_preset(keep(tmp_path) / "x.toml", "")
    assert main(["presets", "set", str(keep(tmp_path)), "train.stepz=3"]) == 1
    assert "did you mean train.steps?" in capsys.readouterr().err
    assert main(["presets", "set", str(keep(tmp_path)), "train.steps=3"]) == 0
    assert "train.steps changed" in capsys.readouterr().out


_number = itertools.count()


def as_dotted(preset: Preset, comment: str) -> str:
    tables = as_tables(preset).items()
    lines = [
        f"{name}.{key} = {toml_value(value)}  # {comment}" for name, table in tables for key, value in table.items()
    ]
    return "\n".join(["schema = 1", *lines])


def as_inline(preset: Preset, comment: str) -> str:
    def inline(table: dict[str, object]) -> str:
        return "{ " + ", ".join(f"{key} = {toml_value(value)}" for key, value in table.items()) + " }"

    return "\n".join(
        ["schema = 1", *(f"{name} = {inline(table)} # {comment}" for name, table in as_tables(preset).items())]
    )


def as_tables_with_base(preset: Preset, comment: str) -> str:
    text = render(preset, heading=comment).replace("schema = 1", f'schema = 1 # {comment}\nextends = "bert-4b"')
    return text.replace("]\n", f"] # {comment}\n\n# {comment}\n")


@settings(max_examples=40, deadline=None)
@given(before=any_preset(), after=any_preset(), way=st.sampled_from([as_dotted, as_inline, as_tables_with_base]))
def test_any_preset_becomes_any_other_in_any_writing(
    tmp_path_factory: pytest.TempPathFactory, before: Preset, after: Preset, way: type
) -> None:
    path = tmp_path_factory.getbasetemp() / f"{next(_number)}.toml"
    path.write_text(way(before, "a remark"))
    text = edited(path, after)
    path.write_text(text)
    assert read_preset(path, find_preset) == after
    if way is as_tables_with_base:
        assert text.count("a remark") >= 1 + len(as_tables(before))
