"""What is shown of a dataset is what is trained on, and can be read without colours."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from bert_tui.cli import main
from bert_tui.data.show_sample import ShownPiece, ShownSample, legend_lines, plain, read_samples, sample_lines
from tests.data.conftest import English
from trainer.spec.corpus import Corpus
from trainer.spec.indexed_dataset import IndexedDataset
from trainer.spec.preset import Data
from trainer.spec.row_stream import RowStream
from trainer.spec.samples import RowReader
from trainer.spec.vocabulary import read_vocabulary


def test_samples_are_those_that_training_reads(english: English) -> None:
    shown = read_samples(english.sentences, english.lower, Data(), 128, 40)
    dataset, vocabulary = IndexedDataset(english.sentences), read_vocabulary(english.lower)
    size = RowStream(dataset, 0, "train", Data(), 128).size_of_epoch(10)
    rows = list(range(shown[-1].row))
    batch = RowReader(Corpus((dataset,), None), vocabulary, Data(), 128).batch("train", rows)
    ids = batch.tokens[batch.segments > 0]
    pieces = [piece for sample in shown for piece in (*sample.first, *sample.second)]
    assert [piece.seen for piece in pieces] == [vocabulary.pieces[number] for number in ids[: len(pieces)]]
    asked = [piece.answer for piece in pieces if piece.answer]
    assert asked == [vocabulary.pieces[number] for number in batch.masked_label[: len(asked)]]
    assert [sample.swapped for sample in shown] == (batch.swapped[: len(shown)] == 1).tolist()
    counts = {how: sum(sample.count(how) for sample in shown) for how in ("hidden", "replaced", "kept")}
    assert counts["hidden"] > 4 * counts["replaced"] > 0
    assert counts["kept"] > 0
    assert len(read_samples(english.sentences, english.lower, Data(), 128, 10**6)) == size.samples


def test_without_sentence_order_there_is_one_part(english: English) -> None:
    (sample,) = read_samples(english.documents, english.lower, Data(sentence_order=False), 128, 1)
    assert sample.swapped is None
    assert sample.second == ()
    assert not any(plain(line).startswith("B") for line in sample_lines(sample, 80))


SAMPLE = ShownSample(
    row=1,
    first=(
        ShownPiece("[CLS]", "special"),
        ShownPiece("北", "plain"),
        ShownPiece("[MASK]", "hidden", "京"),
        ShownPiece("lamp", "replaced", "天气预报"),
        ShownPiece("##s", "kept", "##s"),
        ShownPiece("[SEP]", "special"),
    ),
    second=(ShownPiece("\x1b", "plain"), ShownPiece("w" * 100, "plain"), ShownPiece("[SEP]", "special")),
    swapped=True,
)


def test_answers_stand_below_their_pieces_also_where_characters_are_wide() -> None:
    upper, lower = [plain(line) for line in sample_lines(SAMPLE, 80)][2:4]
    assert upper == "A  [CLS] 北 [MASK] lamp      ##s  [SEP]"
    assert lower == "            ^京    !天气预报 =##s"
    assert cell_len(upper[: upper.index("lamp")]) == cell_len(lower[: lower.index("!")])


@pytest.mark.parametrize("width", [1, 20, 33, 80, 200])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_sent_to_it_but_text(width: int) -> None:
    lines = [plain(line) for line in (*legend_lines([SAMPLE], width), *sample_lines(SAMPLE, width))]
    assert max(map(cell_len, lines)) <= max(width, 20)
    assert all(line.isprintable() for line in lines)


def test_the_command_line(
    english: English, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    command = ["data", "sample", str(english.sentences), "--vocab", str(english.lower), "--number", "2"]
    texts = []
    for seed in ("1", "1", "2"):
        assert main([*command, "--preset", "bert-tiny", "--seed", seed]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]
    assert texts[0].count(" of them asked: ") == 2
    assert max(map(cell_len, texts[0].splitlines())) <= 80
