"""What is said beside a path while it is typed: what it is and whether it fits, or what is wrong and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bert_tui.advice.words import describe
from bert_tui.checks.data import check_path_field, typed_data_path
from bert_tui.checks.path_description import PathDescription, describe_path
from bert_tui.deadline import within
from bert_tui.paths import typed_path
from trainer.spec.blend import parse_blend
from trainer.spec.preset import Data
from trainer.spec.problem import Problem, SpecError

LOOK_SECONDS = 1.0
"""How long the disk may take to tell what lies at a path."""


@dataclass(frozen=True)
class Look:
    """What was seen at one path."""

    seen: str = ""
    """What it is and that it fits."""
    problem: str = ""
    """What it is instead, or what is wrong with it, and what to do."""
    text: str = ""
    """The path, where it is text that a dataset could be built from."""


def look_at_field(field: str, text: str, data: Data) -> Look:
    """Looks at what was typed into one of the fields of :data:`bert_tui.checks.data.FIELDS`; never for long.

    ``data`` tells which vocabulary a dataset has to fit, and the rest of its settings.
    """
    if field == "data.data_path" and len(typed_data_path(text)) > 1:
        return _look_at_blend(text, data)
    problem = check_path_field(field, text, data)
    if problem is not None and problem.code.startswith("path."):
        return _told(field, problem)
    try:
        path = typed_path(field, text)
        return within(LOOK_SECONDS, lambda: _look(field, path, data, problem), name="look at path")
    except TimeoutError:
        return _told(field, Problem("path.silent", text.strip(), field))
    except OSError as error:
        return _told(field, Problem("path.unusable", text.strip(), field, {"reason": error.strerror or str(error)}))


def first_prefix(data: Data) -> str:
    """The dataset, or the first of a blend.

    Raises:
        PresetError: as :func:`trainer.spec.blend.parse_blend`.
    """
    return parse_blend(data.data_path).prefixes[0]


def _look_at_blend(text: str, data: Data) -> Look:
    """Each dataset in turn; what they hold together, by their shares."""
    try:
        blend = parse_blend(typed_data_path(text))
    except SpecError as error:
        return _told("data.data_path", error.problems[0])
    names = [Path(prefix).name for prefix in blend.prefixes]
    for name, prefix in zip(names, blend.prefixes, strict=True):
        look = look_at_field("data.data_path", prefix, data)
        if look.problem:
            return Look(problem=f"{name}: {look.problem}")
    if blend.weights is not None:
        total = sum(blend.weights)
        names = [f"{weight / total:.0%} {name}" for weight, name in zip(blend.weights, names, strict=True)]
    try:
        fit = within(LOOK_SECONDS, lambda: _fit(data), name="look at vocabulary")
    except TimeoutError:
        fit = "which vocabulary?"
    return Look(f"{len(names)} datasets, {', '.join(names)}; {fit}")


def _look(field: str, path: Path, data: Data, problem: Problem | None) -> Look:
    match field:
        case "data.data_path":
            return _dataset(describe_path(path), data, problem)
        case "data.vocab_file":
            return _vocabulary(describe_path(path), problem)
        case _:
            return Look("can be written" if path.is_dir() else "will be made")


def _dataset(there: PathDescription, data: Data, problem: Problem | None) -> Look:
    if problem is None:
        return Look(f"{there.words}; {_fit(data)}")
    match there.kind:
        case "vocabulary" if there.problem is None:
            return Look(problem=f"{there.words}. It belongs into the field below.")
        case "dataset":
            return _told("data.data_path", problem)
        case _:
            return _elsewhere(there) or _told("data.data_path", problem)


def _vocabulary(there: PathDescription, problem: Problem | None) -> Look:
    if problem is None:
        return Look(there.words)
    match there.kind:
        case "dataset":
            return Look(problem=f"{there.words}. Give the text file with the pieces it was made with.")
        case "vocabulary":
            return _told("data.vocab_file", problem)
        case _:
            return _elsewhere(there) or _told("data.vocab_file", problem)


def _elsewhere(there: PathDescription) -> Look | None:
    """What lies there instead, and what to do; None where the checks say it as well."""
    match there.kind:
        case "text":
            return Look(problem=f"{there.words}. F7 builds a dataset from it.", text=str(there.path))
        case "datasets":
            return Look(problem=f"{there.words}. Give one of them; F4 browses.")
        case "folder" | "other":
            return Look(problem=f"{there.words}. F4 browses.")
        case "absent" if there.names:
            return Look(problem=f"Nothing is there. Did you mean {there.names[0]}?")
        case _:
            return None


def _told(field: str, problem: Problem) -> Look:
    """The remedy alone where the problem is about the field as such, which needs no naming beside it."""
    words = describe(problem)
    return Look(problem=words.remedy if problem.where == field else f"{words.what} {words.remedy}")


def _fit(data: Data) -> str:
    """A dataset that does not fit its vocabulary is a problem and does not come here."""
    from trainer.spec.vocabulary import read_vocabulary

    try:
        read_vocabulary(typed_path("data.vocab_file", data.vocab_file or ""))
    except SpecError:
        return "which vocabulary?"
    return "fits the vocabulary"
