"""English text that is on every machine with Python: the documentation of the language and of its library.

Nothing is imported or run: the files are parsed, and their string literals read.
"""

from __future__ import annotations

import ast
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

from trainer.spec.problem import DatasetError, Problem
from trainer.spec.sample_index import Report

SHORTEST = 100
"""Characters; shorter docstrings are mostly one line that repeats a name."""
PASSED_OVER = frozenset({"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "turtledemo"})
"""Folders of the library that not every installation has, or that hold other people's packages."""
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def sample_documents(report: Report, library: Path | None = None) -> list[str]:
    """Every topic of ``help()`` and every longer docstring of the standard library, in a fixed order, each once.

    Raises:
        DatasetError: the library's source or its topics are not on this machine.
    """
    topics = topics_file(library)
    folder = topics.parent.parent
    found = dict.fromkeys(_topics(topics))
    files = sorted(_library_files(folder))
    for number, path in enumerate(files):
        found |= dict.fromkeys(_docstrings(path))
        report(number + 1, len(files), "files", path.name)
    return list(found)


def topics_file(library: Path | None = None) -> Path:
    """Where the topics of ``help()`` are, inside the folder of the standard library.

    Raises:
        DatasetError: they are not on this machine.
    """
    path = (library or Path(sysconfig.get_paths()["stdlib"])) / "pydoc_data" / "topics.py"
    if not path.is_file():
        raise DatasetError(Problem("sample.no_text", str(path)))
    return path


def _topics(path: Path) -> Iterator[str]:
    """The values of the dictionary of topics."""
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.Dict):
            yield from (value.value for value in node.values if _is_text(value))  # type: ignore[attr-defined]


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _library_files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*.py"):
        inside = path.relative_to(folder).parts
        if PASSED_OVER.isdisjoint(inside) and inside[0] != "pydoc_data":
            yield path


def _docstrings(path: Path) -> Iterator[str]:
    """The longer docstrings of one file, from top to bottom."""
    for node in ast.walk(_parse(path)):
        if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)) and len(text) >= SHORTEST:
            yield text


def _parse(path: Path) -> ast.Module:
    """The syntax tree; empty for a file that this Python cannot parse (templates, other versions)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the style of the library's own source
        try:
            return ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            return ast.Module(body=[], type_ignores=[])
