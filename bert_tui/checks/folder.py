"""What a folder holds that this program can use: datasets, vocabularies, text, further folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

EntryKind = Literal["folder", "dataset", "vocabulary", "text", "file"]

MOST_ENTRIES = 5000
"""Entries of a folder that are read: enough to choose from, few enough to draw."""
MOST_HEADS = 100
"""Text files of a folder that are opened, to tell vocabularies from text."""
HEAD = 512
"""Bytes read of each of these."""
TEXT_ENDINGS = (".jsonl", ".json", ".ndjson", ".txt", ".text", ".md", ".html", ".htm")
COMPRESSED_ENDINGS = (".gz", ".zst", ".xz")


@dataclass(frozen=True)
class Entry:
    """One thing in a folder."""

    name: str
    """Of a dataset without .bin and .idx."""
    kind: EntryKind


@dataclass(frozen=True)
class Listing:
    """A folder's entries: folders first, each kind by name. Hidden ones are left out."""

    folder: Path
    entries: tuple[Entry, ...]
    cut: bool = False
    """Whether there are more than were read."""

    def names(self, kind: EntryKind) -> list[str]:
        """The names of one kind."""
        return [entry.name for entry in self.entries if entry.kind == kind]


def list_folder(folder: Path) -> Listing:
    """What ``folder`` holds. May take as long as its disk: call it in a thread.

    Raises:
        OSError: it is no folder, or cannot be read.
    """
    with os.scandir(folder) as scan:
        read = list(islice(scan, MOST_ENTRIES + 1))
    entries = sorted(_entries(read[:MOST_ENTRIES]), key=lambda entry: (entry.kind != "folder", entry.name.lower()))
    return Listing(folder, tuple(entries), len(read) > MOST_ENTRIES)


def is_text_name(name: str) -> bool:
    """Whether a file is text by its name, compressed or not."""
    name = name.lower()
    for ending in COMPRESSED_ENDINGS:
        name = name.removesuffix(ending)
    return name.endswith(TEXT_ENDINGS)


def _entries(read: list[os.DirEntry[str]]) -> Iterator[Entry]:
    names = {entry.name for entry in read}
    heads = 0
    for entry in read:
        prefix, ending = entry.name[:-4], entry.name[-4:]
        if entry.name.startswith("."):
            continue
        if _is_folder(entry):
            yield Entry(entry.name, "folder")
        elif ending == ".idx" and f"{prefix}.bin" in names:
            yield Entry(prefix, "dataset")
        elif ending == ".bin" and f"{prefix}.idx" in names:
            continue
        elif ending == ".txt" and heads < MOST_HEADS:
            heads += 1
            yield Entry(entry.name, "vocabulary" if begins_as_vocabulary(Path(entry.path)) else "text")
        else:
            yield Entry(entry.name, "text" if is_text_name(entry.name) else "file")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def begins_as_vocabulary(path: Path) -> bool:
    """Whether one of the first lines is a special piece, as in every WordPiece vocabulary that is published."""
    from trainer.spec.vocabulary import PAD, SPECIALS

    specials = {name.encode() for name in (PAD, *SPECIALS)}
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            lines = file.read(HEAD).split(b"\n")
    except OSError:
        return False
    return any(line.strip() in specials for line in lines)
