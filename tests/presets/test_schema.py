"""The JSON schema: derived, shipped, and of one mind with the reader."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import assume, given, settings

from bert_tui import presets
from bert_tui.cli import main
from bert_tui.preset_schema import NAME, as_text, preset_schema
from tests.presets import wild
from tests.presets.any_preset import any_preset
from trainer.spec.preset import Preset
from trainer.spec.preset_file import read_preset, render
from trainer.spec.problem import PresetError

VALIDATOR = jsonschema.Draft7Validator(preset_schema())
_number = itertools.count()


def test_the_shipped_file_is_what_the_settings_say(capsys: pytest.CaptureFixture[str]) -> None:
    """If not: python -m bert_tui.preset_schema."""
    assert (presets.folder() / NAME).read_text() == as_text()
    assert main(["presets", "--schema"]) == 0
    assert capsys.readouterr().out == as_text()
    jsonschema.Draft7Validator.check_schema(preset_schema())


@pytest.mark.parametrize("name", presets.SIZES)
def test_shipped_presets_follow_it_and_name_it_to_editors(name: str) -> None:
    text = (presets.folder() / f"{name}.toml").read_text()
    VALIDATOR.validate(tomllib.loads(text))
    assert text.startswith(f"#:schema ./{NAME}\n")


@settings(max_examples=50, deadline=None)
@given(any_preset())
def test_what_is_rendered_follows_it(preset: Preset) -> None:
    VALIDATOR.validate(tomllib.loads(render(preset)))


@settings(max_examples=150, deadline=None)
@given(content=wild.tables())
def test_schema_and_reader_refuse_the_same(tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / f"schema-{next(_number)}.toml"
    path.write_text(wild.written(content))
    assume("extends" not in content)  # whether there is such a preset, no schema knows
    assume(not any(map(beyond_a_schema, all_values(content))))
    try:
        read_preset(path, presets.find_preset)
        taken = True
    except PresetError:
        taken = False
    assert VALIDATOR.is_valid(content) == taken


def all_values(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(found for item in inner for found in all_values(item))]


def beyond_a_schema(value: Any) -> bool:
    """JSON has one kind of number, and none that is not finite."""
    return isinstance(value, float) and (value.is_integer() or value - value != 0)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("", True),
        ("extends = 'bert-4b'", True),
        ("extends = 4", False),
        ("[resolved]\nrun_id = 'x'", True),
        ("[train]\nsteps = 0", False),
        ("[train]\nclip = 0", False),
        ("[train]\nclip = 1", True),
        ("[train]\nmicro_batch = 'auto'", True),
        ("[train]\nmicro_batch = 'many'", False),
        ("[launch]\ngpus = ['GPU-1', 'GPU-2']", True),
        ("[launch]\ngpus = 'some'", False),
        ('[data]\nvocab_file = "a\\n"', False),
        ("[data]\ndata_path = '/x'", False),
        ("[trian]\nsteps = 3", False),
    ],
)
def test_both_say_of_a_file(tmp_path: Path, text: str, valid: bool) -> None:
    path = tmp_path / "x.toml"
    path.write_text(f"schema = 1\n{text}\n")
    assert VALIDATOR.is_valid(tomllib.loads(path.read_text())) == valid
    if not valid:
        with pytest.raises(PresetError):
            read_preset(path, presets.find_preset)
    else:
        read_preset(path, presets.find_preset)
