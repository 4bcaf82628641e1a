"""Whatever is typed or pasted into a field: it is taken, or refused with what to do, and nothing breaks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert_tui import presets
from bert_tui.advice.words import describe
from bert_tui.checks.data import FIELDS, check_path_field, check_paths
from bert_tui.paths import typed_path
from bert_tui.widgets.field import pasted_line
from bert_tui.wizard import browsing, edit, saving
from bert_tui.wizard.answers import Answers
from bert_tui.wizard.build_answers import BuildForm
from bert_tui.wizard.build_form import look_at_text, order_of, proposed_output, taken_names
from bert_tui.wizard.completion import complete_path
from bert_tui.wizard.fields import KNOBS
from bert_tui.wizard.look import look_at_field
from trainer.spec.preset import Data, Preset, replace
from trainer.spec.preset_file import read_preset
from trainer.spec.problem import DatasetError, RunError
from trainer.spec.typed_number import decimal_number, whole_number

TINY = read_preset(presets.find_preset("bert-tiny"), presets.find_preset)

REFUSED = {
    "": "path.empty",
    " \t\n": "path.empty",
    "/a\nb": "path.characters",
    "/a\tb": "path.characters",
    "/a\x1b[31mb": "path.characters",
    "/a\u00a0b": "path.characters",
    "/a\u202eb": "path.characters",
    "/a\0b": "path.characters",
    "/a\udcffb": "path.characters",
    "~no-such-user/a": "path.user",
    "$BERT_TUI_UNSET/a": "path.variable",
    "${BERT_TUI_UNSET}/a": "path.variable",
    "/" + "a" * 256: "path.too_long",
    "/a" * 2048: "path.too_long",
    "/" + "\u6f22" * 86: "path.too_long",
}
"""Paths as typed that are refused before any disk is asked."""
ODD = (
    "~", "~/a", "a", "./a", "../a", "/dev", "$HOME/a", "$", "a$", "-a", "*", "[", "{where}", "%s", "[/red]",
    "a:b", "a,b", "a b", 'a"b', "a'b", "\u6f22\u5b57", "e\u0301", "\u05d0\u05d1/a", "circle", "circle/a",
    "file/a", "file/", "locked/a", "locked", "/dev/null", "/proc/1/root", "/proc/self/mem", "x.toml", ".toml", "a/",
)  # fmt: skip
"""Paths as typed that a disk is asked about, in a folder with a circle of links, a file and a locked folder."""
TYPED = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from([*REFUSED, *ODD, "/", ".."])


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current and the home folder."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "circle").symlink_to("other")
    (folder / "other").symlink_to("circle")
    (folder / "file").write_text("text\n")
    (folder / "locked").mkdir(mode=0)
    (folder / "a\x1b[31m.txt").write_text("text\n")
    Path(os.fsdecode(os.fsencode(folder) + b"/a\xff.txt")).touch()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        monkeypatch.setenv("HOME", str(folder))
        yield folder


@pytest.mark.parametrize(("typed", "code"), REFUSED.items(), ids=[ascii(typed)[:20] for typed in REFUSED])
def test_what_can_be_no_path_is_refused_with_what_to_do(typed: str, code: str) -> None:
    with pytest.raises(RunError) as refused:
        typed_path("checkpoint.path", typed)
    (problem,) = refused.value.problems
    words = describe(problem)
    assert problem.code == code
    assert words.remedy
    assert len(words.what) < 200
    assert words.what.isprintable()


@pytest.mark.parametrize("typed", ODD)
def test_every_field_has_an_answer_for_an_odd_path(typed: str) -> None:
    for field in FIELDS:
        look = look_at_field(field, typed, Data())
        assert bool(look.seen) != bool(look.problem)
        assert (look.seen + look.problem).isprintable()
    form = BuildForm(typed, output=typed, vocabulary="file", vocab_file=typed)
    seen = look_at_text(form)
    assert bool(seen.words) != bool(seen.problem)
    assert isinstance(taken_names(form), list)
    assert proposed_output(typed)
    assert browsing.first_folder(typed).is_dir()
    assert (reason := saving.obstacle(typed, replace=False)) or not saving.preset_path(typed).exists()
    assert reason.isprintable()


@given(TYPED)
def test_nothing_that_is_typed_is_a_mistake_of_ours(typed: str) -> None:
    for field in FIELDS:
        problem = check_path_field(field, typed, Data())
        assert problem is None or describe(problem).remedy
    form = BuildForm(typed, typed, typed, "file", typed, typed)
    for changed in (form, BuildForm("/a", output="/o", pieces=typed)):
        _make(changed)
    taken_names(form)
    assert proposed_output(typed)
    assert browsing.first_folder(typed).is_dir()
    completed = complete_path(typed)
    assert completed is None or completed.startswith(typed)
    saving.obstacle(typed, replace=False)


def _make(form: BuildForm) -> None:
    """An order, or a refusal with what to do."""
    try:
        order_of(form)
    except DatasetError as error:
        assert all(describe(problem).remedy for problem in error.problems)


def test_a_preset_is_not_saved_where_none_can_be(folder: Path) -> None:
    answers = Answers(Preset(), "bert-tiny", "x")
    assert "is a folder" in saving.obstacle("/", replace=True)
    assert "permission" in saving.save_preset(answers, folder / "locked" / "a.toml").lower() or os.geteuid() == 0
    assert saving.obstacle("a" * 253, replace=False)


def test_no_run_is_put_where_its_code_could_not_be_found(tmp_path: Path) -> None:
    place = str(tmp_path / "a:b")
    assert check_path_field("logs.tensorboard_path", place) is None
    problem = check_path_field("checkpoint.path", place)
    assert problem is not None
    assert problem.code == "path.colon"
    (check,) = [check for check in check_paths(replace(TINY, checkpoint__path=place)) if check.name.endswith("nts")]
    assert "without a colon" in check.repair


# Numbers -----------------------------------------------------------------------------------------------------------

WHOLE = {
    "10000": 10_000, "10,000": 10_000, "10_000": 10_000, "1 000 000": 1_000_000, "10k": 10_000, "10 K": 10_000,
    "1.5M": 1_500_000, "2G": 2 * 10**9, "1e5": 100_000, "1.5E3": 1500, "+5": 5, "007": 7, " 9 ": 9,
    "\uff11\uff12": 12, "1\u202f000": 1000, "\u22125": -5, "-5": -5, "0": 0,
}  # fmt: skip
NO_WHOLE = (
    "", " ", "1.5", "1.2345k", "10kk", "k", "1e-3", "1e400", "1e999999", "nan", "inf", "0x", "1,00", "0,001", "1,0000",
    "five", "5 # x", "5\ny=3", "\u00bd", "--5", "1__0", "[5]", "'5'", "true", "9" * 5000, "5.",
)  # fmt: skip


@pytest.mark.parametrize(("typed", "number"), WHOLE.items())
def test_whole_numbers_are_read_as_people_type_them(typed: str, number: int) -> None:
    assert whole_number(typed) == number


@pytest.mark.parametrize("typed", NO_WHOLE)
def test_what_is_no_number_is_refused_with_an_example(typed: str) -> None:
    assert whole_number(typed) is None
    for field in ("train.steps", "train.global_batch", "model.sequence_length"):
        remedy = edit.problem_of(TINY, field, typed, "bert-tiny")
        assert "such as" in remedy
        assert len(remedy) < 150


@pytest.mark.parametrize("typed", ["1e400", "-1e400", "nan", "inf", "0,0001", "1e-4 # x", "", "a", "1e-400", "0", "-1"])
def test_a_learning_rate_that_can_be_none_is_refused(typed: str) -> None:
    assert edit.problem_of(TINY, "train.learning_rate", typed, "bert-tiny")


def test_numbers_with_units_are_taken_and_shown() -> None:
    changed = edit.set_field(TINY, "train.steps", "10k", "bert-tiny")
    assert (changed.train.steps, edit.shown(changed, "train.steps")) == (10_000, "10000")
    assert decimal_number("\uff11e-4") == 1e-4


@given(st.text(max_size=20) | st.from_regex(r"[-+]?[0-9., ]*[eEkM]?[-+]?[0-9]*", fullmatch=True))
def test_any_text_is_a_value_of_a_number_field_or_refused(typed: str) -> None:
    for field in KNOBS:
        if not edit.problem_of(TINY, field, typed, "bert-tiny"):
            changed = edit.set_field(TINY, field, typed, "bert-tiny")
            assert edit.set_field(changed, field, edit.shown(changed, field), "bert-tiny") == changed


# Pasting -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pasted", "line"),
    [
        ("/data/x\n", "/data/x"),
        ("\n\n  /data/x  \r\n/data/y", "/data/x"),
        ("/data/\tx", "/data/ x"),
        ("\x1b[01;34m/data\x1b[0m", "/data"),
        ("\x1b[200~/data\x1b[201~", "/data"),
        ("/da\x07ta\x9b", "/data"),
        ("\x1b", ""),
        ("\u6f22\u5b57", "\u6f22\u5b57"),
    ],
)
def test_pasted_text_becomes_one_line(pasted: str, line: str) -> None:
    assert pasted_line(pasted) == line


@given(st.text())
def test_no_pasted_text_brings_control_characters(pasted: str) -> None:
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in pasted_line(pasted))
