"""Preset files: strict, chained, overridden, written and read again."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_tui import presets
from tests.presets.any_preset import any_preset
from trainer.spec.preset import Preset, contradictions, get, missing, replace
from trainer.spec.preset import settings as all_settings
from trainer.spec.preset_file import override, read_preset, render
from trainer.spec.problem import PresetError, Problem
from trainer.spec.sizing import parameter_count, shape_of


def written(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text("schema = 1\n" + text, encoding="utf-8")
    return path


def problems(folder: Path, text: str) -> list[Problem]:
    with pytest.raises(PresetError) as caught:
        read_preset(written(folder, text), presets.find_preset)
    return list(caught.value.problems)


def shipped(name: str) -> Preset:
    return read_preset(presets.find_preset(name), presets.find_preset)


@pytest.mark.parametrize("name", presets.SIZES)
def test_shipped_presets_lack_the_paths_only(name: str) -> None:
    preset = shipped(name)
    assert contradictions(preset) == []
    paths = {"data.data_path", "data.vocab_file", "checkpoint.path", "logs.tensorboard_path"}
    assert {problem.where for problem in missing(preset)} == (set() if name == "bert-tiny" else paths)


@pytest.mark.parametrize(
    ("name", "parameters"), [("bert-340m", 336_297_858), ("bert-4b", 3_869_260_674), ("bert-20b", 22_013_798_274)]
)
def test_sizes_are_megatrons(name: str, parameters: int) -> None:
    assert parameter_count(shape_of(shipped(name).model)) == parameters


def test_unknown_keys_are_told_with_line_and_suggestion(tmp_path: Path) -> None:
    found = problems(tmp_path, '\n[train]\nsteps = 5\nlearning_rat = 3e-4\n\n[modle]\nlayers = 2\n"hiden" = 1\n')
    assert [(problem.code, problem.value) for problem in found] == [
        ("preset.unknown_key", "train.learning_rat"),
        ("preset.unknown_key", "modle"),
    ]
    assert found[0].where.endswith("mine.toml:5")
    assert "train.learning_rate" in found[0].params["suggestion"]
    assert found[1].where.endswith("mine.toml:7")
    assert "model" in found[1].params["suggestion"]


def test_unknown_keys_are_found_in_every_way_of_writing_toml(tmp_path: Path) -> None:
    assert problems(tmp_path, "model.layer = 3\n")[0].value == "model.layer"
    assert problems(tmp_path, "colour = 3\n")[0].where.endswith("mine.toml:2")
    assert problems(tmp_path, "model = 3\n")[0].code == "preset.wrong_type"
    assert problems(tmp_path, "[[model]]\nlayers = 3\n")[0].code == "preset.wrong_type"


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        ("[model]\nlayers = 2.5", "preset.wrong_type", "model.layers"),
        ("[model]\nlayers = true", "preset.wrong_type", "model.layers"),
        ("[model]\nlayers = '2'", "preset.wrong_type", "model.layers"),
        ("[model]\nlayers = 0", "preset.out_of_range", "model.layers"),
        ("[model]\nlayers = 99999999999999999999999999", "preset.out_of_range", "model.layers"),
        ("[model]\nlayer_order = 'post'", "preset.wrong_type", "model.layer_order"),
        ("[model]\ndropout = 1.0", "preset.out_of_range", "model.dropout"),
        ("[data]\npacking = 1", "preset.wrong_type", "data.packing"),
        ("[data]\ndata_path = 'one'", "preset.wrong_type", "data.data_path"),
        ("[data]\ndata_path = ['one', 2]", "preset.wrong_type", "data.data_path"),
        ('[data]\nvocab_file = "a\\u001bb"', "preset.wrong_type", "data.vocab_file"),
        ("[train]\nlearning_rate = 0", "preset.out_of_range", "train.learning_rate"),
        ("[train]\nlearning_rate = nan", "preset.wrong_type", "train.learning_rate"),
        ("[train]\nclip = inf", "preset.wrong_type", "train.clip"),
        (f"[train]\nclip = 1{'0' * 400}", "preset.wrong_type", "train.clip"),
        ("[train]\nmicro_batch = 'most'", "preset.wrong_type", "train.micro_batch"),
        ("[launch]\ngpus = 2", "preset.wrong_type", "launch.gpus"),
        (f"[train]\nsteps = {'9' * 5000}", "preset.not_toml", ""),
        (f"[train]\nsteps = {'[' * 5000}", "preset.not_toml", ""),
        ("[train]\nsteps = 1\nsteps = 2", "preset.not_toml", ""),
    ],
)
def test_wrong_types_and_ranges_are_told(tmp_path: Path, text: str, code: str, field: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert problem.code == code
    assert field in problem.where


def test_every_wrong_value_is_told_at_once(tmp_path: Path) -> None:
    found = problems(tmp_path, "[model]\nlayers = 0\nhidden = 'x'\n[train]\nclip = -1\n")
    assert [problem.code for problem in found] == ["preset.out_of_range", "preset.wrong_type", "preset.out_of_range"]


def test_what_is_no_preset(tmp_path: Path) -> None:
    def code(content: bytes) -> str:
        path = tmp_path / "wild.toml"
        path.write_bytes(content)
        with pytest.raises(PresetError) as caught:
            read_preset(path, presets.find_preset)
        return caught.value.problems[0].code

    assert code(b"\xff\xfe") == "preset.unreadable"
    assert code(b"") == "preset.no_schema"
    assert code(b"schema = 2") == "preset.newer_schema"
    assert code(b"schema = 0") == code(b"schema = 1.0") == code(b"schema = true") == "preset.wrong_schema"
    assert code(b"schema = [") == "preset.not_toml"
    assert code(b"schema = 1\n" * 2) == "preset.not_toml"
    assert code(b"# \n" * (1 << 19)) == "preset.too_large"
    with pytest.raises(PresetError) as caught:
        read_preset(tmp_path, presets.find_preset)
    assert caught.value.problems[0].code == "preset.unreadable"


def test_a_chain_of_files_ends_in_a_shipped_preset(tmp_path: Path) -> None:
    written(tmp_path, 'extends = "bert-4b"\n[train]\nsteps = 7\nwarmup = 2\n', "base.toml")
    (tmp_path / "below").mkdir()
    middle = 'extends = "../base.toml"\n[train]\nwarmup = 3\n'
    path = written(tmp_path / "below", middle)
    preset = read_preset(path, presets.find_preset)
    assert (preset.train.steps, preset.train.warmup, preset.model.layers, preset.train.clip) == (7, 3, 48, 1.0)


def test_a_circle_is_told(tmp_path: Path) -> None:
    written(tmp_path, 'extends = "two.toml"\n', "one.toml")
    path = written(tmp_path, 'extends = "one.toml"\n', "two.toml")
    for start in (path, tmp_path / "one.toml"):
        with pytest.raises(PresetError) as caught:
            read_preset(start, presets.find_preset)
        assert caught.value.problems[0].code == "preset.extends_loop"


@pytest.mark.parametrize("name", ["bert-5b", "/nowhere/x.toml", "~nobody-here/x", "x" * 5000, "", "a\\u0000b"])
def test_what_cannot_be_extended_is_told(tmp_path: Path, name: str) -> None:
    assert problems(tmp_path, f'extends = "{name}"\n')[0].code == "preset.base_not_found"
    assert problems(tmp_path, "extends = 3\n")[0].code == "preset.wrong_type"


def test_one_string_is_a_list_of_one() -> None:
    preset = override(Preset(), ["data.data_path=/x/wiki_text_sentence", "launch.gpus=GPU-8f1c"])
    assert preset.data.data_path == ("/x/wiki_text_sentence",)
    assert preset.launch.gpus == ("GPU-8f1c",)
    assert override(Preset(), ["launch.gpus=none"]).launch.gpus == "none"


def test_limits_are_told_as_people_write_them() -> None:
    with pytest.raises(PresetError) as refused:
        override(Preset(), ["train.steps=2000000000", "train.weight_decay=1.5", "train.adam_beta2=1"])
    assert {problem.where: problem.params["expected"] for problem in refused.value.problems} == {
        "--set: train.steps": "at least 1 and at most 1,000,000,000",
        "--set: train.weight_decay": "at least 0 and at most 1",
        "--set: train.adam_beta2": "at least 0 and at most 0.999999",
    }


def test_overrides() -> None:
    texts = ["train.learning_rate=3e-4", "train.steps = 9", "data.vocab_file=/a b/v.txt", "launch.gpus=none"]
    preset = override(shipped("bert-340m"), [*texts, 'data.data_path=["/x", "/y"]', "train.warmup=1"])
    assert (preset.train.learning_rate, preset.train.steps, preset.train.warmup) == (3e-4, 9, 1)
    assert (preset.data.vocab_file, preset.launch.gpus, preset.data.data_path) == ("/a b/v.txt", "none", ("/x", "/y"))
    assert preset.model == shipped("bert-340m").model


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("steps=9", "preset.unknown_key"),
        ("train.steps", "preset.wrong_type"),
        ("train.stesp=9", "preset.unknown_key"),
        ("trian.steps=9", "preset.unknown_key"),
        ("train.steps=", "preset.wrong_type"),
        ("train.steps=many", "preset.wrong_type"),
        ("train.steps=-1", "preset.out_of_range"),
        ("data.vocab_file=a\nb", "preset.wrong_type"),
        ("data.vocab_file=\udcff", "preset.wrong_type"),
        (f"train.steps={'9' * 5000}", "preset.wrong_type"),
        (f"train.steps={'[' * 5000}", "preset.wrong_type"),
    ],
)
def test_wrong_overrides_are_told(text: str, code: str) -> None:
    with pytest.raises(PresetError) as caught:
        override(Preset(), [text])
    assert caught.value.problems[0].code == code
    assert caught.value.problems[0].english


def test_contradictions_are_told() -> None:
    def codes(**values: Any) -> list[str]:
        return [problem.code for problem in contradictions(replace(shipped("bert-340m"), **values))]

    assert codes(model__heads=15) == ["layout.heads_hidden"]
    assert codes(parallel__tensor=3) == ["layout.tensor_heads"]
    assert codes(parallel__sequence=True) == ["layout.sequence_alone"]
    assert codes(parallel__sequence=True, parallel__tensor=8) == []
    assert codes(parallel__sequence=True, parallel__tensor=8, model__sequence_length=500) == ["layout.sequence_length"]
    assert codes(parallel__shard="full", parallel__data=1) == []
    assert codes(train__global_batch=30) == ["layout.batch"]
    assert codes(train__min_learning_rate=1.0) == ["layout.learning_rates"]
    assert codes(train__warmup=990_000) == ["layout.warmup"]
    assert codes(data__split="0,1") == ["data.split"]
    assert codes(data__split="one") == ["data.split"]
    assert codes(data__split="nan,1,1") == ["data.split"]


@settings(max_examples=150, deadline=None)
@given(any_preset(), st.text(max_size=40))
def test_what_is_rendered_is_read_again(preset: Preset, heading: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.toml")
        path.write_text(render(preset, heading=heading), encoding="utf-8")
        assert read_preset(path, presets.find_preset) == preset


def test_every_setting_has_an_example_that_fits() -> None:
    for section, key, setting in all_settings():
        example = f'["{setting.example}"]' if key == "data_path" else setting.example
        assert get(override(Preset(), [f"{section}.{key}={example}"]), f"{section}.{key}") is not None
        assert setting.help.endswith("."), key


toml_lines = ["schema = 1", "[model]", "[[train]]", "[data.x]", "layers = ", "extends = ", '"bert-tiny"', "resolved"]
toml_values = ["1e999", "0x1", "inf", "1979-05-27T07:32:00Z", "true"]
toml_pieces = st.sampled_from(toml_lines) | st.sampled_from(toml_values) | st.sampled_from("'\"=[]{}.#,\n\0\ufeffé")


@settings(max_examples=300, deadline=None)
@given(st.lists(toml_pieces, max_size=20).map("".join) | st.text(max_size=60))
def test_wild_text_is_read_or_refused(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for content in (text, f"schema = 1\n{text}"):
            path = Path(folder, "x.toml")
            path.write_bytes(content.encode("utf-8", "surrogatepass"))
            try:
                read_preset(path, presets.find_preset)
            except PresetError as error:
                assert all(problem.english for problem in error.problems)
