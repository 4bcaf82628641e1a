"""What a run was resolved to: the ``[resolved]`` table of ``run.toml`` and ``attempt.toml``."""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trainer.spec import preset_file
from trainer.spec.preset import Preset
from trainer.spec.problem import Problem, RunError
from trainer.spec.toml_text import read_text


@dataclass(frozen=True)
class Resolved:
    """Facts about this machine and these files that the preset leaves open or names only loosely."""

    run_id: str
    preset_name: str
    device: Literal["cpu", "cuda"]
    ranks: int
    """Processes: tensor-parallel size x data-parallel size."""
    threads: int
    """OMP_NUM_THREADS of each."""
    gpus: tuple[str, ...]
    """UUIDs, empty on a CPU."""
    data_path: tuple[str, ...]
    """The indexed datasets, absolute, without .bin and .idx, and their weights, as in the preset."""
    data_fingerprint: str
    """Identifies the datasets and everything that shapes the rows."""
    vocab_sha256: str
    image: str
    """Empty where no container is used."""
    image_id: str
    code_sha256: str
    program_version: str
    micro_batch: int = 1
    """Rows at once: what the preset says, or for "auto" what the plan chose by the memory formula."""
    cores: int = 0
    gpu_names: tuple[str, ...] = ()
    driver: str = ""
    """This and the two above: trainer.spec.hardware."""
    torch_version: str = ""
    """Of the torch beside the program, where no container is used; in one, the image tells."""


def render_resolved(preset: Preset, resolved: Resolved, heading: str) -> str:
    """The text of ``run.toml`` or ``attempt.toml``. The preset's "auto" values must have been replaced,
    but for the precision and the micro batch."""
    return preset_file.render(preset, heading=heading, extra={"resolved": dataclasses.asdict(resolved)})


def read_resolved(path: Path) -> tuple[Preset, Resolved]:
    """The preset and the ``[resolved]`` table of a file in a run directory.

    Raises:
        PresetError: the file is no valid preset.
        RunError: its ``[resolved]`` table is absent or lacks something.
    """
    preset = preset_file.read_preset(path, _no_extends)
    table = tomllib.loads(read_text(path)).get("resolved")
    if not isinstance(table, dict):
        table = {}
    values: dict[str, Any] = {}
    lacking = []
    for item in dataclasses.fields(Resolved):
        value = table.get(item.name, item.default)
        taken = tuple(value) if isinstance(value, list) else value
        if _fits(item.name, taken):
            values[item.name] = taken
        else:
            lacking.append(item.name)
    if lacking:
        raise RunError(Problem("run.unresolved", str(path), "", {"lacking": ", ".join(sorted(lacking))}))
    return preset, Resolved(**values)


def _fits(name: str, value: Any) -> bool:
    """Whether a value is of its field's type; one that is absent is not."""
    hint = typing.get_type_hints(Resolved)[name]
    if typing.get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    if typing.get_origin(hint) is Literal:
        return value in typing.get_args(hint)
    return type(value) is hint


def _no_extends(name: str, path: Path) -> Path:
    raise RunError(Problem("run.extends", str(path), name))
