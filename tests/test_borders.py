"""The two packages' borders, proved at run time: what is imported by the time something has been done."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HEAVY = {"torch", "numpy", "docker", "tensorboard", "tokenizers", "textual", "psutil", "pynvml"}


def imported_by(code: str) -> set[str]:
    """Top-level modules in ``sys.modules`` after ``code`` ran in a fresh interpreter."""
    script = f"{code}\nimport sys\nprint('MODULES', *{{name.split('.')[0] for name in sys.modules}})"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return set(result.stdout.rpartition("MODULES")[2].split())


def test_help_imports_nothing_heavy() -> None:
    code = "from bert_tui import cli\ntry: cli.main(['--help'])\nexcept SystemExit: pass"
    assert not imported_by(code) & HEAVY


def test_the_app_is_importable_without_what_the_first_paint_does_not_need() -> None:
    modules = imported_by("import bert_tui.app")
    assert "textual" in modules
    assert not modules & (HEAVY - {"textual"})


@pytest.mark.parametrize("module", ["preset_file", "sizing", "records", "run_directory", "samples", "vocabulary"])
def test_the_spec_needs_no_torch(module: str) -> None:
    assert not imported_by(f"import trainer.spec.{module}") & (HEAVY - {"numpy"})


def test_the_trainer_needs_torch_numpy_tensorboard_and_nothing_of_ours() -> None:
    modules = imported_by("import trainer.train, trainer.supervise")
    assert "torch" in modules
    assert not modules & {"bert_tui", "textual", "rich", "docker", "psutil", "tokenizers", "safetensors"}


def test_the_supervisor_needs_no_torch() -> None:
    assert "torch" not in imported_by("import trainer.supervise")


def test_the_contract_names_every_module_of_the_trainer() -> None:
    linter = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["importlinter"]
    (forbidden,) = [
        contract["forbidden_modules"]
        for contract in linter["contracts"]
        if contract["name"] == "bert_tui sees nothing of the trainer but its spec"
    ]
    modules = {f"trainer.{path.stem}" for path in Path("trainer").glob("*.py")} - {"trainer.__init__"}
    assert set(forbidden) == modules
