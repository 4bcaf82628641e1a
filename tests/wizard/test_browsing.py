"""What the browser offers, and what is typed by taking it."""

from pathlib import Path

import pytest

from bert_tui.checks.folder import Entry, Listing
from bert_tui.wizard.browsing import HERE, UP, Wanted, best, first_folder, offered, typed

LISTING = Listing(
    Path("/data"),
    (
        Entry("old", "folder"),
        Entry("notes.txt", "text"),
        Entry("odd\nname", "text"),
        Entry("vocab.txt", "vocabulary"),
        Entry("wiki", "dataset"),
    ),
)


@pytest.mark.parametrize(
    ("wanted", "possible", "begins"),
    [
        ("dataset", [UP, "old/", "wiki"], "wiki"),
        ("vocabulary", [UP, "old/", "notes.txt", "vocab.txt"], "notes.txt"),
        ("text", [HERE, UP, "old/", "notes.txt", "vocab.txt"], HERE),
        ("folder", [HERE, UP, "old/"], HERE),
        ("prefix", [HERE, UP, "old/"], HERE),
        ("file", [UP, "old/", "notes.txt", "vocab.txt"], "notes.txt"),
    ],
)
def test_only_what_fits_can_be_taken(wanted: Wanted, possible: list[str], begins: str) -> None:
    choices = offered(LISTING, wanted)
    assert [choice.value for choice in choices if not choice.reason] == possible
    assert best(choices) == begins
    assert all(choice.title.isprintable() for choice in choices)


def test_what_is_taken_is_typed_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert typed(Path("/data"), "wiki", "dataset", "") == "/data/wiki"
    assert typed(Path("/home/me/data"), HERE, "folder", "") == "~/data"
    assert typed(Path("/data"), HERE, "prefix", "~/bert-tui/data/wiki") == "/data/wiki"


def test_it_begins_where_the_typed_path_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert first_folder("") == tmp_path
    assert first_folder(f"{tmp_path}/no/such/file") == tmp_path
    assert first_folder("~") == tmp_path
