"""What lies at a path, in words: a dataset, a vocabulary, text, a folder of these, or nothing."""

from __future__ import annotations

import difflib
import json
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bert_tui.checks.folder import COMPRESSED_ENDINGS, Listing, begins_as_vocabulary, list_folder
from bert_tui.metrics.sentences import count
from trainer.spec.problem import Problem, SpecError

PathKind = Literal["dataset", "datasets", "vocabulary", "text", "folder", "other", "absent"]

HEAD = 1 << 16
"""Bytes of a file that are looked at to tell its kind."""
NAMED = 3
"""Names of a folder that are told before the rest is only counted."""
PAIR_SCAN = 1 << 16
"""Documents looked at to tell sentence level from document level."""


@dataclass(frozen=True)
class PathDescription:
    """What lies at a path."""

    kind: PathKind
    path: Path
    """Of a dataset its prefix, whichever of its names was given."""
    words: str
    """What it is, in a few words without a full stop."""
    names: tuple[str, ...] = ()
    """What a folder holds of the kind that it was named for; what an absent path may have meant."""
    problem: Problem | None = None
    """Why a dataset or a vocabulary cannot be used as it is."""


def describe_path(path: Path) -> PathDescription:
    """What lies at ``path``, which is absolute. May take as long as its disk: call it in a thread.

    Raises:
        OSError: it cannot be looked at.
    """
    prefix = path.with_suffix("") if path.suffix in (".bin", ".idx") else path
    if Path(f"{prefix}.idx").exists():
        return _dataset(prefix)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return _absent(path)
    if stat.S_ISDIR(mode):
        return _folder(list_folder(path))
    return _file(path) if stat.S_ISREG(mode) else PathDescription("other", path, "No plain file")


def _dataset(prefix: Path) -> PathDescription:
    import numpy as np

    from trainer.spec.indexed_dataset import IndexedDataset

    try:
        dataset = IndexedDataset(prefix)
    except SpecError as error:
        return PathDescription("dataset", prefix, "Damaged Megatron dataset", problem=error.problems[0])
    several = np.any(np.diff(dataset.documents[:PAIR_SCAN]) > 1)
    level = "sentence level" if several else "document level"
    counts = f"{count(dataset.document_count)} documents, {count(len(dataset.tokens))} pieces"
    return PathDescription("dataset", prefix, f"Megatron dataset, {level}: {counts}")


def _absent(path: Path) -> PathDescription:
    """With the names beside it that look alike."""
    try:
        beside = [entry.name for entry in list_folder(path.parent).entries if entry.name.isprintable()]
    except OSError:
        return PathDescription("absent", path, "Nothing is there")
    alike = difflib.get_close_matches(path.name, beside, NAMED)
    return PathDescription("absent", path, "Nothing is there", tuple(alike))


def _folder(listing: Listing) -> PathDescription:
    more = "more than " if listing.cut else ""
    datasets, texts = listing.names("dataset"), listing.names("text")
    if datasets:
        words = f"Folder with {more}{_counted(datasets, 'dataset')}: {_named(datasets)}"
        return PathDescription("datasets", listing.folder, words, tuple(datasets))
    if texts:
        return PathDescription(
            "text", listing.folder, f"Folder with {more}{_counted(texts, 'text file')}: {_named(texts)}", tuple(texts)
        )
    words = "Folder without datasets or text" if listing.entries else "Empty folder"
    return PathDescription("folder", listing.folder, words)


def _counted(names: Sequence[str], what: str) -> str:
    return f"{len(names):,} {what}{'s' if len(names) > 1 else ''}"


def keys_in_words(keys: Sequence[str]) -> str:
    """As in "the keys title, text"."""
    return f"the key{'s' if len(keys) > 1 else ''} {_named(keys)}"


def _named(names: Sequence[str]) -> str:
    shown = (name if name.isprintable() else ascii(name) for name in names[:NAMED])
    return ", ".join(shown) + (", …" if len(names) > NAMED else "")


def _file(path: Path) -> PathDescription:
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        return PathDescription("other", path, "Empty file")
    if begins_as_vocabulary(path) or _is_vocabulary_name(path, head):
        return _vocabulary(path)
    if path.name.lower().endswith(COMPRESSED_ENDINGS):
        return PathDescription("text", path, f"Compressed text ({path.suffix[1:]})")
    if b"\0" in head:
        return PathDescription("other", path, "Neither text nor a dataset")
    if _is_tokenizer(head):
        return PathDescription("other", path, "Tokenizer of Hugging Face; its vocab.txt is needed")
    if keys := json_keys(head):
        return PathDescription("text", path, f"JSON lines with {keys_in_words(keys)}")
    return PathDescription("text", path, "Plain text")


def _is_vocabulary_name(path: Path, head: bytes) -> bool:
    """Called a vocabulary, with one piece on each of its first lines."""
    lines = head.split(b"\n")[:100]
    return "vocab" in path.name.lower() and path.suffix != ".json" and not any(b" " in line.strip() for line in lines)


def _vocabulary(path: Path) -> PathDescription:
    from trainer.spec.vocabulary import PAD, SPECIALS, read_vocabulary

    try:
        found = read_vocabulary(path)
    except SpecError as error:
        return PathDescription("vocabulary", path, "Vocabulary that needs a repair", problem=error.problems[0])
    special = {PAD, *SPECIALS}
    cased = any(piece != piece.lower() for piece in found.pieces if piece not in special and piece[:1] != "[")
    letters = "cased" if cased else "lower-case"
    return PathDescription("vocabulary", path, f"Vocabulary, {found.size:,} pieces, {letters}")


def _is_tokenizer(head: bytes) -> bool:
    return head.lstrip()[:1] == b"{" and any(key in head for key in (b'"added_tokens"', b'"[UNK]"'))


def json_keys(head: bytes) -> list[str]:
    """The keys of the first line of JSON; empty where it is none, or longer than what was read."""
    line = head.split(b"\n", 1)[0]
    try:
        found = json.loads(line)
    except ValueError:
        return []
    return [str(key) for key in found] if isinstance(found, dict) else []
