"""Which names of torch the trainer uses, read from its own source: so no list can fall behind the code."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType


def missing_symbols(folder: Path) -> list[str]:
    """The dotted names of torch that the modules in ``folder`` use, at import or later, and that this torch lacks.

    What a module looks up by ``getattr`` is optional, and no part of this.
    """
    return [name for name in used_symbols(folder) if not _exists(name)]


def used_symbols(folder: Path) -> list[str]:
    """Sorted, as ``torch.distributed.fsdp.fully_shard``."""
    sources = (path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")))
    return sorted({name for source in sources for name in _used(ast.parse(source))})


def _used(tree: ast.Module) -> Iterator[str]:
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
            for alias in node.names:
                modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "torch":
                    modules[alias.asname or "torch"] = alias.name if alias.asname else "torch"
                    yield alias.name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            dotted = _dotted(node)
            head, _, rest = dotted.partition(".")
            if head in modules and rest:
                yield f"{modules[head]}.{rest}"


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        inside = _dotted(node.value)
        return f"{inside}.{node.attr}" if inside else ""
    return node.id if isinstance(node, ast.Name) else ""


def _exists(name: str) -> bool:
    parts = name.split(".")
    found = importlib.import_module(parts[0])
    for number, part in enumerate(parts[1:], 2):
        if not isinstance(found, ModuleType):
            break  # what a class or a function has is not looked into
        if not hasattr(found, part):
            try:
                importlib.import_module(".".join(parts[:number]))
            except ImportError:
                return False
        found = getattr(found, part)
    return True
