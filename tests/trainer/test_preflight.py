"""What the preflight refuses before anything starts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.trainer.small_run import small_preset, write_attempt, write_dataset
from trainer.preflight import look_around
from trainer.spec.problem import EnvironmentRefused
from trainer.spec.resolved import read_resolved
from trainer.torch_symbols import missing_symbols, used_symbols

TRAINER = Path(__file__).parents[2] / "trainer"


def test_every_name_of_torch_that_the_trainer_uses_is_looked_up() -> None:
    used = used_symbols(TRAINER)
    assert {"torch.distributed.fsdp.fully_shard", "torch.accelerator.device_count", "torch.compiler.disable"} <= {*used}
    assert missing_symbols(TRAINER) == []


def test_a_name_that_torch_lacks_is_told(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(
        "import torch.nn.functional as F\nimport torch\nfrom torch.nn import Linear, NoSuchLayer\n"
        "def late(): return F.no_such_function(1) + torch.cuda.no_such_reading + Linear.weight.no_matter\n"
    )
    lacking = ["torch.cuda.no_such_reading", "torch.nn.NoSuchLayer", "torch.nn.functional.no_such_function"]
    assert missing_symbols(tmp_path) == lacking


def test_compiling_needs_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dataset(tmp_path)
    attempt = write_attempt(tmp_path, 1, small_preset(tmp_path, train__compile=True))
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(EnvironmentRefused) as refused:
        look_around(*read_resolved(attempt.preset))
    assert refused.value.problems[0].code == "package.compiler"
    assert refused.value.problems[0].value == "no-such-compiler"
    monkeypatch.setenv("CXX", "sh")
    assert f"compiler {shutil.which('sh')}" in look_around(*read_resolved(attempt.preset))
