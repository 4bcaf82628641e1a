"""What a run was resolved to: the ``[resolved]`` table of ``run.toml`` and ``attempt.toml``."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trainer.spec import preset_file
from trainer.spec.preset import Preset
from trainer.spec.problem import Problem, RunError


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
    table = tomllib.loads(path.read_text(encoding="utf-8")).get("resolved")
    if not isinstance(table, dict):
        table = {}
    names = {item.name for item in dataclasses.fields(Resolved)}
    open_names = {item.name for item in dataclasses.fields(Resolved) if item.default is dataclasses.MISSING}
    if lacking := sorted(open_names - table.keys()):
        raise RunError(Problem("run.unresolved", str(path), "", {"lacking": ", ".join(lacking)}))
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items() if key in names
    }
    return preset, Resolved(**values)


def _no_extends(name: str) -> Path:
    raise RunError(Problem("run.extends", "run.toml", name))
