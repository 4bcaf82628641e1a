"""The build page's answers: what was typed, the order that it makes, and what is seen of the text."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bert_tui.advice.words import describe
from bert_tui.checks.path_description import json_keys, keys_in_words
from bert_tui.data.order import LARGEST_VOCABULARY, SMALLEST_VOCABULARY, BuildOrder, check_order
from bert_tui.deadline import within
from bert_tui.machine import usable_cores
from bert_tui.metrics.sentences import size
from bert_tui.paths import LONGEST_SHOWN, expand_path, typed_path
from bert_tui.wizard.build_answers import BuildForm
from bert_tui.wizard.choices import sentence
from trainer.spec.problem import DatasetError, Problem, RunError, SpecError
from trainer.spec.typed_number import whole_number

if TYPE_CHECKING:
    from bert_tui.data.inputs import InputFile

LOOK_SECONDS = 5.0
"""How long a disk may take to show what text there is."""
COUNT_SECONDS = 3.0
"""How long files are counted."""
MOST_LOOKED_AT = 20
"""Files whose content is looked at; the build looks at all."""
PREVIEW = 300
"""Characters shown of the first document."""
OUTPUT_FOLDER = "~/bert-tui/data"
FIELD_OF = {"inputs": "text", "train_vocab": "pieces", "json_keys": "keys"}
"""How a field of an order is called in the form, where that differs."""
KINDS = {"json": "JSON lines", "text": "plain text, a blank line ends a document", "file": "plain text"}


@dataclass(frozen=True)
class TextSeen:
    """What was seen of the text to build from."""

    words: str = ""
    """How many files of what kind."""
    problem: str = ""
    json: bool = False
    """Whether some of it is JSON lines, of which keys have to be named."""
    keys: tuple[str, ...] = ()
    """The keys of the first JSON line."""
    preview: str = ""
    """The beginning of the first document."""


def order_of(form: BuildForm) -> BuildOrder:
    """The order, its paths absolute.

    Raises:
        DatasetError: names every field that is wrong by its name in :class:`BuildForm`.
    """
    if problems := list(_as_typed(form)):
        raise DatasetError(*problems)
    order = BuildOrder(
        inputs=tuple(expand_path(text) for text in inputs_of(form.text)),
        output=Path(expand_path(form.output)) if form.output.strip() else Path(),
        workers=usable_cores(),
        vocab_file=Path(expand_path(form.vocab_file)) if form.vocabulary == "file" else None,
        train_vocab=whole_number(form.pieces) if form.vocabulary == "train" else None,
        json_keys=tuple(form.keys.replace(",", " ").split()),
        lower_case=form.letters == "lower",
        bad_text=form.bad_text,
    )
    try:
        check_order(order)
    except DatasetError as error:
        raise DatasetError(*(_renamed(problem) for problem in error.problems)) from error
    return order


def _as_typed(form: BuildForm) -> Iterator[Problem]:
    """What can be no path and no number, each with the field it stands in. That a field is empty, the order tells."""
    paths = [("text", text) for text in inputs_of(form.text)]
    paths += [("output", form.output)] if form.output.strip() else []
    paths += [("vocab_file", form.vocab_file)] if form.vocabulary == "file" else []
    for field, text in paths:
        try:
            typed_path(field, text)
        except RunError as error:
            yield from (replace(problem, where=field) for problem in error.problems)
    if form.vocabulary == "train" and whole_number(form.pieces) is None:
        yield Problem("build.vocabulary_size", "pieces", form.pieces[:LONGEST_SHOWN], _sizes())


def inputs_of(text: str) -> list[str]:
    """The files, folders and patterns that were typed, separated by blanks; quotes hold one together. Without quotes,
    text of which not every word begins as a path does (/, ~, $ or .) is one path with blanks in it."""
    try:
        words = shlex.split(text)
    except ValueError:  # a quote without its twin
        words = []
    several = all(word.startswith(("/", "~", "$", ".")) for word in words) or {"'", '"'} & set(text)
    return words if words and several else [text.strip()] if text.strip() else []


def look_at_text(form: BuildForm) -> TextSeen:
    """What text there is; never for long. Called in a thread."""
    if not form.text.strip():
        return TextSeen()
    for text in inputs_of(form.text):
        try:
            typed_path("text", text)
        except RunError as error:
            return TextSeen(problem=sentence(error.problems[0]))
    try:
        return within(LOOK_SECONDS, lambda: _look(form), name="look at text")
    except TimeoutError:
        return TextSeen(problem=describe(Problem("path.silent", form.text.strip())).what)
    except OSError as error:
        return TextSeen(problem=f"{error.filename or form.text}: {error.strerror}.")


def taken_names(form: BuildForm) -> list[str]:
    """The files of a dataset that is there already under the name that was typed; never looks for long."""
    try:
        output = typed_path("output", form.output)
    except RunError:  # what is wrong with it, the order tells
        return []
    files = [Path(f"{output}{ending}") for ending in (".bin", ".idx")]
    try:
        return within(LOOK_SECONDS, lambda: [file.name for file in files if file.exists()], name="look at output")
    except (TimeoutError, OSError):  # the build itself says what is wrong there
        return []


def proposed_output(text: str) -> str:
    """A prefix for the dataset, by the name of the text."""
    inputs = inputs_of(text)
    path = Path(expand_path(inputs[0])) if inputs else Path("dataset")
    names = (re.split(r"[.*?\[]", name)[0].strip("-_ ") for name in (path.name, path.parent.name))
    return f"{OUTPUT_FOLDER}/{next(filter(None, names), 'dataset')}"


def _look(form: BuildForm) -> TextSeen:
    from bert_tui.data.inputs import find_files, look_at

    order = _order_to_look(form)
    try:
        paths = find_files(order, until=time.monotonic() + COUNT_SECONDS)
        files = [file for path in paths[:MOST_LOOKED_AT] if (file := look_at(path, order)) is not None]
    except TimeoutError:
        return TextSeen("a large folder; the build finds every file in it")
    except SpecError as error:
        return TextSeen(problem=sentence(error.problems[0]))
    if not files:
        return TextSeen(problem="There is no text in it.")
    kinds = " and ".join(dict.fromkeys(KINDS[file.kind] for file in files))
    packed = " and ".join(sorted({file.compression for file in files} - {"none"}))
    total = size(sum(path.stat().st_size for path in paths))
    number = f"{len(paths):,} files, " if len(paths) > 1 else ""
    words = f"{number}{total}: {kinds}" + (f", compressed ({packed})" if packed else "")
    first_json = next((file for file in files if file.kind == "json"), None)
    keys = tuple(_keys(first_json)) if first_json else ()
    if keys:
        words += f" with {keys_in_words(keys)}"
    return TextSeen(words, json=first_json is not None, keys=keys, preview=_first_document(files[0], order, keys))


def _order_to_look(form: BuildForm) -> BuildOrder:
    """What is needed to read the text; what is not typed yet stands open."""
    inputs = tuple(expand_path(text) for text in inputs_of(form.text))
    keys = tuple(form.keys.replace(",", " ").split()) or ("text",)
    return BuildOrder(inputs, Path(expand_path(form.output or "dataset")), 1, json_keys=keys, bad_text="skip")


def _keys(file: InputFile) -> list[str]:
    from bert_tui.data.compression import Opened
    from bert_tui.data.inputs import HEAD

    with Opened(file.path, file.compression) as opened:
        return json_keys(opened.stream.read(HEAD))


def _first_document(file: InputFile, order: BuildOrder, keys: tuple[str, ...]) -> str:
    """The beginning of the first document, in one line; under the first key that is there."""
    from bert_tui.data.bad_text import BadTextLog
    from bert_tui.data.reading import read_shard
    from bert_tui.data.shards import SHARD_BYTES, cut_into_shards

    if file.kind == "json" and keys and not set(order.json_keys) <= set(keys):
        return ""
    beginning = file if file.compression != "none" else replace(file, size=min(file.size, SHARD_BYTES))
    shard = cut_into_shards([beginning], SHARD_BYTES)[0]
    pieces = read_shard(shard, order, BadTextLog(order.bad_text), lambda read: None)
    text = next((piece.texts[0] for piece in pieces if piece.texts[0].strip()), "")
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * PREVIEW]).split())
    return f"{line[:PREVIEW].rstrip()}…" if len(line) > PREVIEW else line


def _sizes() -> dict[str, int]:
    return {"least": SMALLEST_VOCABULARY, "most": LARGEST_VOCABULARY}


def _renamed(problem: Problem) -> Problem:
    """With the name that the field has here."""
    return replace(problem, where=FIELD_OF.get(problem.where, problem.where))
