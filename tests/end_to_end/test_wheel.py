"""The built wheel in a Python of its own finds what it ships."""

import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from packaging.requirements import Requirement

from tests.end_to_end.bare_venv import bare_venv
from tests.end_to_end.operator import Operator

ASK = """
import importlib.resources, json, bert_tui, bert_tui.presets, trainer
print(json.dumps({
    "package": bert_tui.__file__,
    "presets": sorted(path.stem for path in bert_tui.presets.folder().glob("*.toml")),
    "trainer": sorted(entry.name for entry in importlib.resources.files("trainer").iterdir()),
}))
"""


def test_a_wheel_in_a_clean_venv(operator: Operator, tmp_path: Path) -> None:
    python = bare_venv(tmp_path / "venv", *dependencies())
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), "."],
        check=True,
        timeout=120,
    )
    with zipfile.ZipFile(next(tmp_path.glob("bert_tui-*.whl"))) as wheel:
        wheel.extractall(next((tmp_path / "venv" / "lib").glob("python3*")) / "site-packages")
    found = json.loads(typed(operator, python, "-c", ASK))
    assert found["package"].startswith(str(tmp_path / "venv"))
    assert {"bert-tiny", "bert-base", "bert-340m", "bert-4b", "bert-20b"} <= set(found["presets"])
    assert {"Dockerfile", "requirements.txt", "supervise.py"} <= set(found["trainer"])
    few = ("--set", "train.steps=4", "--set", "train.warmup=1", "--set", "model.layers=1")
    lines = typed(operator, python, "-m", "bert_tui", "run", "bert-tiny", "--plain", *few)
    assert "lm loss validation" in lines.splitlines()[-1]


def dependencies() -> list[str]:
    """What an operator's installation has, torch included."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    return [Requirement(text).name for text in (*project["dependencies"], *project["optional-dependencies"]["local"])]


def typed(operator: Operator, python: Path, *words: str) -> str:
    """What a command prints that is to succeed."""
    result = subprocess.run(
        [str(python), *words],
        cwd=operator.home,
        env=operator.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert result.returncode == 0, result.stdout + result.stderr + operator.logs()
    return result.stdout
