"""From what is typed on the build page to an order."""

import gzip
import json
from pathlib import Path

import pytest

from bert_tui.advice.words import describe
from bert_tui.wizard.build_answers import BuildForm
from bert_tui.wizard.build_form import inputs_of, look_at_text, order_of, proposed_output, taken_names
from trainer.spec.problem import DatasetError


@pytest.mark.parametrize(
    ("typed", "inputs"),
    [
        ("/a/b.txt", ["/a/b.txt"]),
        ("/a/b.txt ~/c $D/*.gz", ["/a/b.txt", "~/c", "$D/*.gz"]),
        ("/my texts/b.txt", ["/my texts/b.txt"]),
        ("'/my texts/b.txt' /c", ["/my texts/b.txt", "/c"]),
        ("/it's", ["/it's"]),
        ("  ", []),
    ],
)
def test_blanks_separate_paths_and_may_be_part_of_one(typed: str, inputs: list[str]) -> None:
    assert inputs_of(typed) == inputs


@pytest.mark.parametrize(
    ("typed", "output"),
    [
        ("/data/wiki.jsonl.gz", "~/bert-tui/data/wiki"),
        ("/data/wiki/*.jsonl", "~/bert-tui/data/wiki"),
        ("/data/books/", "~/bert-tui/data/books"),
        ("/", "~/bert-tui/data/dataset"),
    ],
)
def test_a_name_is_proposed(typed: str, output: str) -> None:
    assert proposed_output(typed) == output


def test_an_order_is_made() -> None:
    order = order_of(BuildForm("/a /b", "title, text", "/out/wiki", pieces="900", letters="cased", bad_text="skip"))
    assert order.inputs == ("/a", "/b")
    assert order.json_keys == ("title", "text")
    assert (order.output, order.train_vocab, order.vocab_file) == (Path("/out/wiki"), 900, None)
    assert (order.lower_case, order.bad_text) == (False, "skip")
    assert order_of(BuildForm("/a", output="/o", vocabulary="file", vocab_file="/v.txt")).vocab_file == Path("/v.txt")


@pytest.mark.parametrize(
    ("form", "field"),
    [
        (BuildForm("", output="/o"), "text"),
        (BuildForm("/a", output=""), "output"),
        (BuildForm("/a", output="/o", pieces="many"), "pieces"),
        (BuildForm("/a", output="/o", pieces="3"), "pieces"),
        (BuildForm("/a", "", "/o"), "keys"),
    ],
)
def test_what_is_wrong_is_named_by_its_field(form: BuildForm, field: str) -> None:
    with pytest.raises(DatasetError) as caught:
        order_of(form)
    (problem,) = caught.value.problems
    assert problem.where == field
    assert describe(problem).remedy


def test_text_is_told_with_its_first_document(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.jsonl.gz", "wt") as file:
        file.write(json.dumps({"title": "Cats", "text": "A cat sat.\nIt slept."}) + "\n")
    seen = look_at_text(BuildForm(str(tmp_path)))
    assert seen.words.endswith("JSON lines, compressed (gzip) with the keys title, text")
    assert (seen.json, seen.preview) == (True, "A cat sat. It slept.")
    assert look_at_text(BuildForm(str(tmp_path), keys="title")).preview == "Cats"
    assert look_at_text(BuildForm(str(tmp_path / "nothing"))).problem
    (tmp_path / "b.png").write_bytes(b"\x89PNG\0")
    assert look_at_text(BuildForm(str(tmp_path / "b.png"))).problem


def test_a_name_that_is_taken_is_told(tmp_path: Path) -> None:
    (tmp_path / "wiki.bin").touch()
    assert taken_names(BuildForm(output=str(tmp_path / "wiki"))) == ["wiki.bin"]
    assert taken_names(BuildForm(output=str(tmp_path / "other"))) == []
