"""The tensors of a Hugging Face folder: one safetensors file, or several with an index."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from trainer.huggingface import NO_PARAMETERS, TIED
from trainer.spec.problem import ConversionError, Problem

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
FLOATING = ("F32", "F16", "BF16", "F64")
NAMED = 5
"""How many tensors that do not fit are named before the rest is only counted."""


@dataclass(frozen=True)
class Stored:
    """Where one tensor lies."""

    file: Path
    name: str
    shape: tuple[int, ...]
    type: str
    """As the file names it: F32, BF16, I8."""


@dataclass(frozen=True)
class TensorFiles:
    """All tensors of a folder, by the names of today."""

    folder: Path
    names: Mapping[str, Stored]

    def read(self, name: str) -> Tensor:
        """One tensor, whole.

        Raises:
            ConversionError: the file is damaged.
        """
        stored = self.names[name]
        with _opened(stored.file) as file:
            tensor: Tensor = file.get_tensor(stored.name)
        return tensor

    def require(self, wanted: Mapping[str, torch.Size], *, cut: Collection[str]) -> None:
        """Whether the folder holds exactly these tensors; those named in ``cut`` may have more rows, to be cut off.

        Raises:
            ConversionError: it does not; the first of each kind are named.
        """
        missing = [name for name in wanted if name not in self.names]
        unknown = [
            name for name in self.names if name not in wanted and name not in TIED and not NO_PARAMETERS.match(name)
        ]
        if missing or unknown:
            raise ConversionError(
                *self._named("convert.tensor_missing", missing), *self._named("convert.tensor_unknown", unknown)
            )
        problems = [_misfit(name, self.names[name], tuple(shape), name in cut) for name, shape in wanted.items()]
        if found := [problem for problem in problems if problem is not None]:
            raise ConversionError(*found[:NAMED])
        self._require_tied()

    def _named(self, code: str, names: list[str]) -> list[Problem]:
        facts = {"count": len(names)}
        return [Problem(code, str(self.folder), name, facts) for name in names[:NAMED]]

    def _require_tied(self) -> None:
        for second, first in TIED.items():
            if second in self.names and not torch.equal(self.read(second), self.read(first)):
                raise ConversionError(Problem("convert.untied", str(self.folder), second, {"first": first}))


def find_tensors(folder: Path) -> TensorFiles:
    """The tensors in a folder.

    Raises:
        ConversionError: there is no safetensors file, or one is damaged or missing.
    """
    found: dict[str, Stored] = {}
    for path in _files(folder):
        with _opened(path) as file:
            for name in file.keys():  # noqa: SIM118 - no mapping
                facts = file.get_slice(name)
                found[_name_of_today(name)] = Stored(path, name, tuple(facts.get_shape()), facts.get_dtype())
    for second, first in TIED.items():
        if second in found:
            found.setdefault(first, found[second])
    return TensorFiles(folder, found)


def _name_of_today(name: str) -> str:
    """TensorFlow's names of a norm's parameters are in many files made before 2020."""
    return re.sub(r"\.beta$", ".bias", re.sub(r"\.gamma$", ".weight", name))


def _files(folder: Path) -> list[Path]:
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    index = folder / INDEX
    if not index.is_file():
        raise ConversionError(Problem("convert.no_safetensors", str(folder)))
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        return [folder / Path(name).name for name in sorted(names)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _unreadable(index, error) from error


@contextmanager
def _opened(path: Path) -> Iterator[safe_open]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ConversionError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return ConversionError(Problem("convert.unreadable", str(path), "", {"reason": reason}))


def _misfit(name: str, stored: Stored, wanted: tuple[int, ...], cut: bool) -> Problem | None:
    if stored.type not in FLOATING:
        return Problem("convert.tensor_type", str(stored.file), name, {"type": stored.type})
    longer = cut and len(stored.shape) == len(wanted) and stored.shape[0] >= wanted[0]
    if stored.shape == (stored.shape[:1] + wanted[1:] if longer else wanted):
        return None
    facts = {"shape": list(stored.shape), "expected": list(wanted)}
    return Problem("convert.tensor_shape", str(stored.file), name, facts)
