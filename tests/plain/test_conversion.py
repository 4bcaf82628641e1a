"""``bert-tui export`` and ``import`` as an operator types them."""

from __future__ import annotations

import hashlib
import json
import textwrap
from pathlib import Path

import pytest
import torch

from bert_tui import cli
from bert_tui.checks import data as checks
from bert_tui.checks.check import Check
from bert_tui.checks.runner import Subject
from bert_tui.exit_status import ExitStatus
from bert_tui.machine import Machine
from bert_tui.presets import find_preset
from bert_tui.runs import conversion
from tests.trainer.small_run import small_preset, write_attempt, write_dataset
from trainer.huggingface import parameters
from trainer.spec.checkpoint_folder import folder_name
from trainer.spec.preset import Preset, replace
from trainer.spec.preset_file import read_preset
from trainer.spec.run_directory import RunDirectory
from trainer.spec.saved_weights import SavedWeights
from trainer.spec.sizing import shape_of
from trainer.weights import save_weights


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run with a checkpoint of step 6."""
    folder = tmp_path_factory.mktemp("conversion")
    write_dataset(folder)
    preset = small_preset(folder, model__layer_order="bert")
    attempt = write_attempt(folder, 1, preset)
    run = attempt.run
    run.preset.write_bytes(attempt.preset.read_bytes())
    shape = shape_of(preset.model)
    path = run.checkpoints / folder_name(6)
    path.mkdir(parents=True)
    digest = hashlib.sha256(run.vocabulary.read_bytes()).hexdigest()
    weights = {name: torch.randn(tensor.shape) for name, tensor in parameters(shape, sentence_order=True).items()}
    save_weights(weights, SavedWeights(path, shape, True, digest))
    return run


@pytest.fixture(autouse=True)
def own_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_an_export_can_be_imported_and_trained_on(
    run: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hf, weights = tmp_path / "hf", tmp_path / "weights"
    assert cli.main(["export", str(run.path), "--output", str(hf)]) == ExitStatus.FINISHED
    said = capsys.readouterr()
    assert f"BertForPreTraining.from_pretrained('{hf}')" in said.out
    assert json.loads((hf / "config.json").read_text())["architectures"] == ["BertForPreTraining"]
    assert cli.main(["import", str(hf), "--output", str(weights)]) == ExitStatus.FINISHED
    lines = capsys.readouterr().out.splitlines()
    preset = _read("\n".join(line for line in lines if line.startswith("    ")), tmp_path)
    assert preset.train.init_from == str(weights)
    assert _check(preset).answer == "pass"
    assert _check(replace(preset, model__layer_order="megatron")).answer == "fail"
    assert _check(replace(preset, data__vocab_file=str(_other_vocabulary(run, tmp_path)))).answer == "fail"


def _read(lines: str, folder: Path) -> Preset:
    path = folder / "preset.toml"
    path.write_text(f"schema = 1\n{textwrap.dedent(lines)}\n")
    return read_preset(path, find_preset)


def _check(preset: Preset) -> Check:
    return checks.weights(Subject(preset, Machine(cores=0, memory_total=0, memory_available=0)))


def _other_vocabulary(run: RunDirectory, folder: Path) -> Path:
    path = folder / "other.txt"
    path.write_text(run.vocabulary.read_text().replace("w1\n", "x1\n"))
    return path


def test_refusals_are_words(run: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export = ["export", str(run.path), "--output", str(tmp_path / "hf"), "--step", "7"]
    assert cli.main(export) == ExitStatus.REFUSED
    assert cli.main(["import", str(tmp_path), "--output", str(tmp_path)]) == ExitStatus.REFUSED
    said = capsys.readouterr().err
    assert "no complete checkpoint of step 7" in said
    assert "config.json cannot be read" in said
    assert "Traceback" not in said
    assert not (tmp_path / "hf").exists()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PACKAGES", ("no_such_package",), "needs the package no_such_package"),
        ("MODULE", "trainer.no_such_module", "No module named trainer.no_such_module"),
        ("MODULE", "tests.plain.killed", "ended from outside by signal 9"),
    ],
)
def test_a_conversion_that_cannot_run_is_told(
    run: RunDirectory,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: object,
    words: str,
) -> None:
    monkeypatch.setattr(conversion, name, value)
    assert cli.main(["export", str(run.path), "--output", str(tmp_path / "hf")]) == ExitStatus.REFUSED
    assert words in capsys.readouterr().err
