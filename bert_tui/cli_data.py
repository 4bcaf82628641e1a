"""The verbs of ``bert-tui data``: each a few lines over the modules that do the work."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bert_tui.paths import expand_path

if TYPE_CHECKING:
    from bert_tui.data.order import BuildOrder


def add_data_verbs(verbs: Any) -> None:
    """Adds ``data`` and its verbs to the verbs of the command line (what ``add_subparsers`` gave)."""
    text = "build a dataset from text, and look at datasets and vocabularies"
    parser = verbs.add_parser("data", help=text, description=text)
    data_verbs = parser.add_subparsers(metavar="VERB", title="verbs", required=True)
    _add_build(data_verbs)
    _add_builds(data_verbs)


def build(options: argparse.Namespace) -> int:
    """``data build``: from any text to a dataset."""
    from bert_tui.plain.building import build_detached, build_here

    order = _order(options)
    return (build_detached if options.detach else build_here)(order, as_json=options.json)


def builds(options: argparse.Namespace) -> int:
    """``data builds``: the builds of this user, running and ended."""
    from bert_tui.plain.building import list_builds

    return list_builds(as_json=options.json)


def attach_build(options: argparse.Namespace) -> int:
    """``data attach PREFIX``: watches a build."""
    from bert_tui.plain.building import attach, folder_named

    return attach(folder_named(options.build), as_json=options.json)


def stop_build(options: argparse.Namespace) -> int:
    """``data stop PREFIX``: ends a build; what it has finished stays."""
    from bert_tui.plain.building import folder_named, stop

    return stop(folder_named(options.build))


def resume_build(options: argparse.Namespace) -> int:
    """``data resume PREFIX``: goes on with a build that ended before it was done."""
    from bert_tui.plain.building import folder_named, resume

    return resume(folder_named(options.build))


def _order(options: argparse.Namespace) -> BuildOrder:
    from bert_tui.data.order import BuildOrder
    from bert_tui.machine import usable_cores

    return BuildOrder(
        inputs=tuple(options.input),
        output=options.output,
        workers=options.workers if options.workers is not None else usable_cores(),
        vocab_file=options.vocab,
        train_vocab=options.train_vocab,
        json_keys=tuple(options.json_key or ["text"]),
        lower_case=not options.cased,
        markup=options.markup,
        bad_text=options.bad_text,
        format=options.format,
        language=options.language,
    )


def _add_build(verbs: Any) -> None:
    text = "make a dataset from text: JSON lines or plain text, packed or not, files, folders and patterns"
    parser = verbs.add_parser("build", help=text, description=text)
    parser.set_defaults(verb=build)
    parser.add_argument(
        "--input", nargs="+", action="extend", required=True, metavar="PATH", help="files, folders or quoted patterns"
    )
    parser.add_argument(
        "--output", type=_path, required=True, metavar="PREFIX", help="where to put it, without .bin and .idx"
    )
    vocabulary = parser.add_mutually_exclusive_group(required=True)
    vocabulary.add_argument("--vocab", type=_path, metavar="FILE", help="the vocabulary, one piece a line")
    vocabulary.add_argument(
        "--train-vocab", type=int, metavar="SIZE", help="learn one of this size from the text: PREFIX-vocab.txt"
    )
    case = parser.add_mutually_exclusive_group()
    case.add_argument("--lower", action="store_true", help="lower-case the text, take off accents (the default)")
    case.add_argument("--cased", action="store_true", help="keep case and accents: for a cased vocabulary")
    parser.add_argument(
        "--json-key",
        action="append",
        metavar="KEY",
        help="what holds the text (default: text); with several, a dataset each",
    )
    parser.add_argument(
        "--format",
        choices=["auto", "json", "text", "file"],
        default="auto",
        help="json: an object a line; text: a blank line ends a document; file: each file is a document "
        "(default: seen from the content)",
    )
    parser.add_argument(
        "--markup",
        choices=["keep", "markdown", "html"],
        default="keep",
        help="take this out of the text (default: keep)",
    )
    parser.add_argument(
        "--bad-text",
        choices=["refuse", "replace", "skip"],
        default="refuse",
        help="what to do with text that is not UTF-8 and with lines that do not fit (default: refuse)",
    )
    parser.add_argument(
        "--language", default="en", metavar="CODE", help="whose abbreviations end no sentence (default: en)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one a core)")
    parser.add_argument("--detach", action="store_true", help="start it and give the prompt back")
    _takes_json(parser)


def _add_builds(verbs: Any) -> None:
    def verb(name: str, function: Any, text: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
        parser.set_defaults(verb=function)
        return parser

    _takes_json(verb("builds", builds, "list the builds of datasets"))
    attaching = verb("attach", attach_build, "watch a build")
    _takes_build(attaching)
    _takes_json(attaching)
    _takes_build(verb("stop", stop_build, "end a build; what it has finished is kept"))
    _takes_build(verb("resume", resume_build, "go on with a build that ended before it was done"))


def _takes_build(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("build", type=expand_path, metavar="PREFIX", help="its --output, or the folder it works in")


def _takes_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def _path(text: str) -> Path:
    return Path(expand_path(text))
