"""From files to documents: kinds, packings, cuts, bad text."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_tui.data import reading
from bert_tui.data.bad_text import BadTextLog
from bert_tui.data.inputs import find_files, look_at
from bert_tui.data.markup import strip_markup
from bert_tui.data.order import BuildOrder
from bert_tui.data.reading import read_shard
from bert_tui.data.shards import cut_into_shards
from trainer.spec.problem import DatasetError


def order_of(*inputs: Path | str, **changes: object) -> BuildOrder:
    facts = {"output": Path("/nowhere/out"), "workers": 1, "train_vocab": 1000, **changes}
    return BuildOrder(inputs=tuple(map(str, inputs)), **facts)  # type: ignore[arg-type]


def documents(order: BuildOrder, shard_bytes: int = 1 << 30) -> tuple[list[tuple[str, ...]], BadTextLog, int]:
    """The documents of all shards, what was bad, and how many lines there are."""
    found: list[tuple[str, ...]] = []
    log, lines = BadTextLog(order.bad_text), 0
    files = [file for path in find_files(order) if (file := look_at(path, order)) is not None]
    for shard in cut_into_shards(files, shard_bytes):
        parts: list[tuple[str, ...]] = []
        log.lines = []
        for piece in read_shard(shard, order, log, lambda size: None):
            parts.append(piece.texts)
            if piece.ends:
                found.append(tuple("".join(texts) for texts in zip(*parts, strict=True)))
                parts = []
        assert not parts
        lines += sum(log.lines)
    return found, log, lines


def refusal(order: BuildOrder) -> tuple[str, str]:
    with pytest.raises(DatasetError) as caught:
        documents(order, 64)
    problem = caught.value.problems[0]
    return problem.code, problem.where


line = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=20)


@given(lines=st.lists(st.one_of(line, st.just(""), st.just(" \t")), max_size=40), size=st.integers(1, 60))
@settings(max_examples=200, deadline=None)
def test_cuts_change_no_document(tmp_path_factory: pytest.TempPathFactory, lines: list[str], size: int) -> None:
    path = tmp_path_factory.mktemp("cuts") / "text"
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    order = order_of(path, format="text", bad_text="skip")
    if "\0" in "".join(lines) or not path.stat().st_size:
        return
    whole, _, count = documents(order)
    cut, _, cut_count = documents(order, size)
    assert cut == whole
    assert cut_count == count
    assert sum(len(text) for (text,) in whole) <= path.stat().st_size


@given(
    texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=30), min_size=1, max_size=30), size=st.integers(1, 99)
)
@settings(max_examples=100, deadline=None)
def test_json_lines_come_back_however_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], size: int
) -> None:
    path = tmp_path_factory.mktemp("cuts") / "lines"
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), newline="")
    if b"\0" in path.read_bytes():
        return
    found, _, count = documents(order_of(path), size)
    assert found == [(text,) for text in texts]
    assert count == len(texts)


def test_files_are_told_by_their_content(tmp_path: Path) -> None:
    plain = b"One text.\n\nAnother\ntext.\n"
    lines = b'{"text": "One text.\\n"}\n{"text": "Another\\ntext.\\n"}\n'
    packed: dict[str, Callable[[bytes], bytes]] = {
        "none": bytes,
        "gzip": gzip.compress,
        "xz": lzma.compress,
        "bzip2": bz2.compress,
        "zstandard": zstandard.compress,
    }
    for content in (plain, lines, b"\xef\xbb\xbf" + plain, b"\xef\xbb\xbf" + lines):
        for name, pack in packed.items():
            path = tmp_path / "file.png"
            path.write_bytes(pack(content))
            order = order_of(path)
            file = look_at(path, order)
            assert file is not None
            assert (file.compression, file.kind) == (name, "json" if b"{" in content else "text")
            assert documents(order, 8)[0] == [("One text.\n",), ("Another\ntext.\n",)]
    path.write_bytes(gzip.compress(plain) + gzip.compress(b"\nThird.\n"))
    assert len(documents(order_of(path))[0]) == 3
    path.write_bytes(zstandard.compress(plain) + zstandard.compress(b"\nThird.\n"))
    assert len(documents(order_of(path))[0]) == 3


def test_the_order_of_files_is_always_the_same(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.txt", "a/10.txt", "a/9.txt", ".hidden", "a/.git/x", "out.bin", "out.build/shards/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("x")
    order = order_of(tmp_path / "b.txt", tmp_path, tmp_path / "a" / "*.txt", output=tmp_path / "out")
    names = [str(path.relative_to(tmp_path)) for path in find_files(order)]
    assert names == ["b.txt", "a/10.txt", "a/9.txt", "a/z.txt"]
    (tmp_path / "[a]*.txt").write_text("x")
    assert find_files(order_of(tmp_path / "[a]*.txt")) == [tmp_path / "[a]*.txt"]
    with pytest.raises(DatasetError) as caught:
        find_files(order_of(tmp_path / "*.gz", tmp_path / "none", tmp_path))
    assert [problem.where for problem in caught.value.problems] == [str(tmp_path / "*.gz"), str(tmp_path / "none")]


def test_what_is_bad_is_named_by_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    good = b'{"text": "A good line of text."}\n'
    for bad, code in {
        b'{"text": "caf\xe9"}\n': "build.not_utf8",
        b'{"text": "half \\ud83d"}\n': "build.surrogate",
        b'{"text": "torn\n': "build.not_json",
        b"[1]\n": "build.not_object",
        b'{"body": "x"}\n': "build.no_key",
        b'{"text": null}\n': "build.no_text_in_key",
        b"[" * 100_000 + b"\n": "build.not_json",
    }.items():
        path.write_bytes(good * 7 + bad + good)
        assert refusal(order_of(path)) == (code, f"{path}:8")
        found, log, count = documents(order_of(path, bad_text="skip"), 64)
        assert (len(found), log.skipped, count) == (8, 1, 9)
        if code in ("build.not_utf8", "build.surrogate"):
            found, log, _ = documents(order_of(path, bad_text="replace"), 64)
            assert (len(found), log.skipped, log.replaced) == (9, 0, 1)
            assert found[7][0].endswith("\ufffd")
        else:
            assert refusal(order_of(path, bad_text="replace"))[0] == code
    text = tmp_path / "text"
    text.write_bytes(b"Good.\n\n" * 20 + b"Of two\nbad \xff\xfe lines.\n\nGood.\n")
    assert refusal(order_of(text)) == ("build.not_utf8", f"{text}:42")
    found, log, _ = documents(order_of(text, bad_text="skip"), 64)
    assert found[20] == ("Of two\n",)
    assert log.skipped == 1


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"PK\x03\x04\0\0")
    assert refusal(order_of(path)) == ("build.not_text", str(path))
    path.write_bytes("text".encode("utf-16"))
    assert refusal(order_of(path)) == ("build.not_text", str(path))
    for pack in (gzip.compress, lambda text: lzma.compress(text, preset=0), bz2.compress, zstandard.compress):
        packed = pack(b"".join(b"A text with number %d in it.\n\n" % number for number in range(200_000)))
        path.write_bytes(packed[: len(packed) // 2])
        assert refusal(order_of(path)) == ("build.damaged", str(path))
        found, log, _ = documents(order_of(path, bad_text="skip"))
        assert log.skipped == 1
        assert all(text[0].startswith("A text") for text in found)
    assert len(found) > 1000
    path.write_bytes(b"")
    assert documents(order_of(path))[0] == []
    assert refusal(order_of("/dev/null")) == ("build.no_file", "/dev/null")


def test_long_lines_and_documents_come_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PIECE", 100)
    monkeypatch.setattr(reading, "LONGEST_DOCUMENT", 1000)
    path = tmp_path / "text"
    content = "word " * 300 + "\n" + "天" * 500 + "\nshort\n" + "x" * 330
    path.write_text(content + "\n\nnext", encoding="utf-8")
    order, log = order_of(path), BadTextLog("refuse")
    file = look_at(path, order)
    assert file is not None
    pieces = list(read_shard(cut_into_shards([file], 1 << 20)[0], order, log, lambda size: None))
    assert max(len(piece.texts[0]) for piece in pieces) < 300
    assert "".join(piece.texts[0] for piece in pieces) == content + "\nnext"
    assert [piece.ends for piece in pieces].count(True) == 2
    assert all(piece.texts[0][-1] in " \n天x" for piece in pieces[:-1])
    assert log.lines == [6]

    path.write_text('{"text": "short"}\n{"text": "' + "long " * 400 + '"}\n{"text": "last"}\n')
    assert refusal(order_of(path)) == ("build.too_long", f"{path}:2")
    assert documents(order_of(path, bad_text="skip"))[0] == [("short",), ("last",)]


def test_markup_is_taken_out_when_asked_for(tmp_path: Path) -> None:
    html = "<html><head><title>T</title><style>p {}</style></head><body><h1>Head</h1><p>One <b>bold</b>\nword &amp; "
    html += "<br>more.</p><script>if (a < b) {}</script><ul><li>first<li>second</ul></body></html>"
    markdown = "# Head\n\nOne *bold* [link](http://x.y) and `code`.\n\n```\nprint(1)\n```\n\n- item\n\n"
    markdown += "| a | b |\n|---|---|\n| c | d |\n"
    (tmp_path / "page").write_text(html)
    (tmp_path / "notes").write_text(markdown)
    found, _, _ = documents(order_of(tmp_path / "page", markup="html"))
    assert [part.strip() for part in found[0][0].split("\n\n") if part.strip()] == [
        "Head", "One bold word &", "more.", "first", "second",
    ]  # fmt: skip
    found, _, _ = documents(order_of(tmp_path / "notes", markup="markdown"))
    assert found[0][0].split("\n\n") == ["Head", "One bold link and code.", "item", "a", "b", "c", "d"]
    assert documents(order_of(tmp_path / "page"))[0][0][0] == html
    (tmp_path / "lines").write_text(json.dumps({"text": html}) + "\n")
    assert "Head" in documents(order_of(tmp_path / "lines", markup="html"))[0][0][0]
    assert "<p>" not in documents(order_of(tmp_path / "lines", markup="html"))[0][0][0]


@given(text=st.text(max_size=200), markup=st.sampled_from(["html", "markdown"]))
@settings(max_examples=200, deadline=None)
def test_wild_markup_is_no_harm(text: str, markup: str) -> None:
    assert isinstance(strip_markup(text, markup), str)  # type: ignore[arg-type]
