"""Repeating a run: what is named that is not as it was. (That nothing is where nothing changed: test_life_of_a_run.)"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

import bert_tui
from bert_tui.cli import main
from bert_tui.launchers.local import torch_version
from bert_tui.machine import Gpu, Machine
from bert_tui.plan import make_plan
from bert_tui.presets import find_preset
from bert_tui.runs.prepare import code_digest, prepare_code, prepare_data, prepare_rows
from bert_tui.runs.replay import Replay, name_of, replay_of, require_same
from tests.presets import wild
from trainer.spec.indexed_dataset import IndexedDatasetWriter
from trainer.spec.preset import Preset, replace
from trainer.spec.preset_file import override, read_preset
from trainer.spec.problem import PresetError, RunError
from trainer.spec.resolved import Resolved, render_resolved
from trainer.spec.run_directory import RunDirectory
from trainer.spec.sizing import GIB

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b", "c"]
GPUS = tuple(Gpu(f"GPU-{number}", number, "NVIDIA A100", 80 * GIB, 79 * GIB) for number in range(2))
MACHINE = Machine(cores=4, memory_total=64 * GIB, memory_available=60 * GIB, gpus=GPUS, driver="580.65.06")


def silent(*_: object) -> None:
    return


def write_data(folder: Path, documents: int) -> None:
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    with IndexedDatasetWriter(folder / "text_sentence", len(PIECES)) as writer:
        for _ in range(documents):
            writer.add_document([[5, 6, 7, 5], [7, 5, 6], [5, 5, 7]])


@pytest.fixture
def run_toml(tmp_path: Path) -> Path:
    """Of a run on two GPUs over a very small dataset, as the starter writes it."""
    write_data(tmp_path, 100)
    preset = replace(
        Preset(),
        model__layers=1,
        model__hidden=8,
        model__heads=2,
        model__sequence_length=32,
        data__data_path=(str(tmp_path / "text_sentence"),),
        data__vocab_file=str(tmp_path / "vocab.txt"),
        data__split="8,1,1",
        train__steps=20,
        train__warmup=2,
        train__micro_batch=4,
        checkpoint__path=str(tmp_path / "runs"),
        logs__tensorboard_path=str(tmp_path / "logs"),
        launch__launcher="local",
        launch__image="",
    )
    plan = make_plan(preset, "Mine", MACHINE)
    assert plan.problems == ()
    run = RunDirectory(tmp_path / "runs" / "20260101-120000-mine-0000")
    run.path.mkdir(parents=True)
    data = prepare_data(run, plan.preset, None, silent)
    resolved = Resolved(
        run_id=run.id, preset_name="mine", device=plan.device, ranks=plan.ranks, threads=plan.threads, gpus=plan.gpus,
        data_path=data.data_path, data_fingerprint=prepare_rows(run, plan.preset, data, None, silent),
        vocab_sha256=data.vocab_sha256, image="", image_id="", code_sha256=prepare_code(run, update=False, show=silent),
        program_version=bert_tui.__version__, micro_batch=plan.micro_batch, torch_version=torch_version() or "",
        **dataclasses.asdict(plan.hardware),
    )  # fmt: skip
    complete = replace(plan.preset, model__vocab_size=data.vocab_size)
    run.preset.write_text(render_resolved(complete, resolved, "Replay"))
    return run.preset


def replayed(path: Path, machine: Machine = MACHINE, *settings: str) -> Replay:
    preset = override(read_preset(path, find_preset), settings)
    replay = replay_of(path, make_plan(preset, name_of(path), machine))
    assert replay is not None
    return replay


def test_nothing_changed(run_toml: Path) -> None:
    replay = replayed(run_toml)
    assert replay.lines == ()
    assert replay.words == [
        "The same as run 20260101-120000-mine-0000: settings, data, vocabulary, code, versions and hardware."
    ]
    require_same(run_toml, replay)
    assert name_of(run_toml) == "mine"


@pytest.mark.parametrize(
    ("was", "now", "line"),
    [
        ("cores = 4", "cores = 64", "cores: was 64, now 4"),
        ('driver = "580', 'driver = "570', "GPU driver: was 570.65.06, now 580.65.06"),
        ("A100", "H100", "GPUs: was 1 x NVIDIA H100, 1 x NVIDIA A100, now 2 x NVIDIA A100"),
        ('gpus = ["GPU-0"', 'gpus = ["GPU-9"', "GPU ids: was GPU-9 GPU-1, now GPU-0 GPU-1"),
        ("program_version = ", 'program_version = "0" #', "bert-tui: was 0, now"),
        ("torch_version = ", 'torch_version = "2.0" #', "torch: was 2.0, now"),
        ("code_sha256 = ", 'code_sha256 = "00" #', f"the trainer's code: was 00, now {code_digest()[:12]}"),
        ("micro_batch = 4\ncores", "micro_batch = 2\ncores", "rows at once: was 2, now 4"),
        ("cores = 4\n", "", None),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)
def test_what_the_run_was_resolved_to_otherwise_is_named(run_toml: Path, was: str, now: str, line: str | None) -> None:
    before, found, after = run_toml.read_text().partition("[resolved]")
    assert was in after
    run_toml.write_text(before + found + after.replace(was, now, 1))
    lines = replayed(run_toml).lines
    assert len(lines) == (0 if line is None else 1)
    assert all(told.startswith(str(line)) for told in lines)


def test_files_settings_and_devices_that_changed_are_named(run_toml: Path) -> None:
    folder = run_toml.parents[2]
    write_data(folder, 101)
    assert [line.partition(":")[0] for line in replayed(run_toml).lines] == ["data"]
    (folder / "vocab.txt").write_text("\n".join([*PIECES[:-1], "d"]) + "\n")
    (folder / "text_sentence.bin").unlink()
    vocabulary, data = sorted(replayed(run_toml).lines, reverse=True)
    assert vocabulary.startswith("vocabulary: was ") and "text_sentence.bin" in data
    one = dataclasses.replace(MACHINE, gpus=GPUS[:1], cores=2)
    lines = replayed(run_toml, one, "parallel.data=1", "train.steps=30").lines
    assert {"parallel.data: was 2, now 1", "train.steps: was 20, now 30", "processes: was 2, now 1"} <= set(lines)
    assert "GPUs: was 2 x NVIDIA A100, now 1 x NVIDIA A100" in lines


def test_strict_lets_only_the_same_through(run_toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["plan", str(run_toml), "--strict"],
        ["run", str(run_toml), "--strict", "--set", "launch.gpus=none"],
    ):
        assert main(arguments) == 1
        assert "was" in capsys.readouterr().err
    assert main(["plan", "bert-tiny", "--strict"]) == 1
    assert "not the run.toml of a run" in capsys.readouterr().err


@settings(max_examples=60, deadline=None)
@given(content=wild.tables())
def test_any_resolved_table_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "wild-run.toml"
    table = "".join(f"{name} = {wild.as_toml(value)}\n" for name, value in zip(NAMES, content.values(), strict=False))
    path.write_text(f'schema = 1\nextends = "bert-tiny"\n[resolved]\n{table}')
    plan = make_plan(read_preset(find_preset("bert-tiny"), find_preset), "x", MACHINE)
    with pytest.raises((PresetError, RunError)):
        replay_of(path, plan)
    assert name_of(path)


NAMES = [item.name for item in dataclasses.fields(Resolved)]
