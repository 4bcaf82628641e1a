"""Documents become sentences: no id is lost, and what cannot be split is refused."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_tui.cli import main
from bert_tui.data.resplit import resplit, split_documents
from bert_tui.data.sentence_ends import EndRules
from tests.data.conftest import English
from trainer.spec.dataset_check import check_dataset
from trainer.spec.indexed_dataset import IndexedDataset, IndexedDatasetWriter
from trainer.spec.preset import Data
from trainer.spec.problem import DatasetError
from trainer.spec.vocabulary import Vocabulary, read_vocabulary

ENGLISH = [
    "the",
    "cat",
    "sat",
    "##s",
    "he",
    "said",
    "dr",
    "j",
    "3",
    "14",
    "##15",
    ".",
    "!",
    "?",
    ",",
    '"',
    "'",
    "(",
    ")",
]
CHINESE = ["我", "是", "猫", "。", "！", "？", "，", "“", "”", "」"]  # noqa: RUF001
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *ENGLISH, *CHINESE]


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    path = tmp_path_factory.mktemp("words") / "vocab.txt"
    path.write_text("".join(f"{word}\n" for word in WORDS), encoding="utf-8")
    return read_vocabulary(path)


def split_text(text: str, vocabulary: Vocabulary) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        with IndexedDatasetWriter(Path(folder, "d"), vocabulary.size) as writer:
            writer.add_document([[WORDS.index(word) for word in text.split()]])
        group = split_documents(IndexedDataset(Path(folder, "d")), slice(0, 1), vocabulary, EndRules.of(vocabulary))
    ends = np.cumsum(group.lengths).tolist()
    words = [vocabulary.pieces[number] for number in group.ids]
    return [" ".join(words[start:end]) for start, end in itertools.pairwise([0, *ends])]


@pytest.mark.parametrize(
    "text",
    [
        "the cat sat . | he said",
        "the cat sat ! ? | he said .",
        "he said 3 . 14 ##15 . | the cat sat .",
        "dr . j . cat ##s sat . | he said .",
        'he said " the cat sat . " | the cat sat .',
        'he said . | " the cat sat . " | " he sat . "',
        "( the cat sat . ) | he said .",
        "cat ##s . , the",
        "我 是 猫 。 | 猫 是 我 ！ | 我",  # noqa: RUF001
        "“ 我 是 猫 。 ” | 我 是 猫 ？ 」 | 猫",  # noqa: RUF001
        "[CLS] [UNK] . | the",
    ],
)
def test_where_sentences_end(text: str, vocabulary: Vocabulary) -> None:
    assert split_text(text.replace("| ", ""), vocabulary) == text.split(" | ")


@pytest.mark.parametrize("name", ["documents", "framed"])
def test_every_id_stays_but_the_frames(english: English, name: str, tmp_path: Path) -> None:
    done = resplit(getattr(english, name), english.lower, tmp_path / "new")
    new, wanted = IndexedDataset(tmp_path / "new"), IndexedDataset(english.sentences)
    assert np.array_equal(new.tokens, wanted.tokens)
    assert done.tokens_before - done.tokens == (2 * done.documents if name == "framed" else 0)
    assert (done.documents, done.sentences) == (new.document_count, len(new.lengths))
    ends = [set(np.cumsum(dataset.lengths).tolist()) for dataset in (new, wanted)]
    assert len(ends[0] & ends[1]) > 0.9 * len(ends[1])
    starts = [np.concatenate([[0], np.cumsum(dataset.lengths)])[dataset.documents] for dataset in (new, wanted)]
    assert np.array_equal(starts[0], starts[1])
    summary = check_dataset(tmp_path / "new", read_vocabulary(english.lower), Data())
    assert summary.cautions == ()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(st.lists(st.integers(0, len(WORDS) - 1), max_size=12), max_size=3), min_size=1, max_size=6),
    st.booleans(),
)
def test_wild_documents_keep_their_ids(vocabulary: Vocabulary, texts: list[list[list[int]]], framed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with IndexedDatasetWriter(Path(folder, "d"), vocabulary.size) as writer:
            for text in texts:
                writer.add_document([[2, *ids, 3] if framed else ids for ids in text])
        if not any(texts):
            return
        dataset = IndexedDataset(Path(folder, "d"))
        group = split_documents(dataset, slice(0, len(texts)), vocabulary, EndRules.of(vocabulary))
    assert len(group.counts) == len(texts)
    assert group.counts.sum() == len(group.lengths)
    assert (group.lengths > 0).all()
    sentences = iter(np.split(group.ids, np.cumsum(group.lengths))[:-1])
    for text, count in zip(texts, group.counts.tolist(), strict=True):
        own = [number for ids in text for number in (ids if framed or ids[:1] != [2] or ids[-1:] != [3] else ids[1:-1])]
        assert [number for _ in range(count) for number in next(sentences).tolist()] == own


def test_what_makes_no_sense_is_refused(english: English, tmp_path: Path) -> None:
    def code(prefix: Path, vocabulary: Path, output: str = "new") -> str:
        with pytest.raises(DatasetError) as caught:
            resplit(prefix, vocabulary, tmp_path / output)
        assert not (tmp_path / "new.bin").exists()
        return caught.value.problems[0].code

    assert code(english.sentences, english.lower) == "resplit.split_already"
    assert code(english.documents, english.cased) == "dataset.other_vocabulary"
    assert code(english.documents, english.lower, "absent/new") == "dataset.not_written"
    assert code(english.documents, english.lower, str(english.framed)) == "dataset.output_exists"
    with IndexedDatasetWriter(tmp_path / "tweets", 2000) as writer:
        for start in range(100):
            writer.add_document([np.arange(100, 110) + start])
    assert code(tmp_path / "tweets", english.lower) in ("resplit.no_ends", "dataset.other_vocabulary")


def test_the_command_line(english: English, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["data", "resplit", str(english.framed), "--vocab", str(english.lower), "--output", str(tmp_path / "n")]
    assert main(command) == 0
    assert "[CLS] and [SEP] were taken out; no other token was lost." in capsys.readouterr().out
    assert main(command) == 1
    assert "is there already" in capsys.readouterr().err
