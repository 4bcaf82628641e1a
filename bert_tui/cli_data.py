"""The verbs of ``bert-tui data``: each a few lines over the modules that do the work."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from bert_tui.arguments import number_argument, path_argument

if TYPE_CHECKING:
    from bert_tui.data.order import BuildOrder


def add_data_verbs(verbs: Any) -> None:
    """Adds ``data`` and its verbs to the verbs of the command line (what ``add_subparsers`` gave)."""
    text = "build a dataset from text, and look at datasets and vocabularies"
    parser = verbs.add_parser("data", help=text, description=text)
    data_verbs = parser.add_subparsers(metavar="VERB", title="verbs", required=True)
    _add_what(data_verbs)
    _add_inspect(data_verbs)
    _add_sample(data_verbs)
    _add_vocabulary(data_verbs)
    _add_resplit(data_verbs)
    _add_build(data_verbs)
    _add_builds(data_verbs)


def what(options: argparse.Namespace) -> int:
    """``data what PATH``: what lies there."""
    from bert_tui.plain.paths import print_description

    return print_description(options.path)


def inspect(options: argparse.Namespace) -> int:
    """``data inspect PREFIX``: what a dataset holds, and everything that is wrong with it."""
    from bert_tui.plain.inspection import print_inspection

    return print_inspection(
        options.prefix, options.vocab, _preset(options), options.rate, full=options.full, as_json=options.json
    )


def sample(options: argparse.Namespace) -> int:
    """``data sample PREFIX``: what the model will see."""
    from bert_tui.plain.samples import print_samples

    return print_samples(options.prefix, options.vocab, _preset(options), options.number, options.seed)


def vocabulary(options: argparse.Namespace) -> int:
    """``data vocabulary FILE``: everything that is wrong with a vocabulary, and its repair."""
    from bert_tui.plain.vocabulary import print_vocabulary

    return print_vocabulary(
        options.file, options.fix, in_place=options.in_place, renumber=options.renumber, as_json=options.json
    )


def resplit(options: argparse.Namespace) -> int:
    """``data resplit PREFIX``: cuts the documents of a dataset into sentences."""
    from bert_tui.plain.resplit import print_resplit

    return print_resplit(options.prefix, options.vocab, options.output)


def _add_what(verbs: Any) -> None:
    text = "say what lies at a path: a dataset, a vocabulary, text, or a folder of these"
    parser = verbs.add_parser("what", help=text, description=text)
    parser.set_defaults(verb=what)
    parser.add_argument(
        "path", type=path_argument, metavar="PATH", help="a file, a folder, or a dataset without .bin and .idx"
    )


def _add_inspect(verbs: Any) -> None:
    text = "say what a dataset holds and everything that is wrong with it; exit status 1 if it cannot be used"
    parser = verbs.add_parser("inspect", help=text, description=text)
    parser.set_defaults(verb=inspect)
    _takes_dataset(parser)
    _takes_preset(parser)
    _takes_json(parser)
    parser.add_argument("--full", action="store_true", help="look at all of it instead of evenly spread parts")
    parser.add_argument(
        "--rate", type=_rate, metavar="TOKENS_PER_SECOND", help="say how long an epoch takes at this speed"
    )


def _add_sample(verbs: Any) -> None:
    text = "show what the model will see of a dataset: the pair of texts, and what is hidden in it"
    parser = verbs.add_parser("sample", help=text, description=text)
    parser.set_defaults(verb=sample)
    _takes_dataset(parser)
    _takes_preset(parser)
    parser.add_argument("--number", type=number_argument, default=3, metavar="N", help="how many samples (default: 3)")
    parser.add_argument(
        "--seed", type=number_argument, metavar="S", help="instead of data.seed: other samples, other masks"
    )


def _add_vocabulary(verbs: Any) -> None:
    text = "say what a vocabulary file holds and everything that is wrong with it, and repair it"
    parser = verbs.add_parser("vocabulary", help=text, description=text)
    parser.set_defaults(verb=vocabulary)
    parser.add_argument("file", type=path_argument, metavar="FILE", help="the vocabulary, one piece a line")
    _takes_json(parser)
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--fix", type=path_argument, metavar="NEW", help="write a repaired copy to this path")
    target.add_argument("--in-place", action="store_true", help="repair the file itself")
    parser.add_argument(
        "--renumber", action="store_true", help="repair also what gives pieces other ids; datasets must be built anew"
    )


def _add_resplit(verbs: Any) -> None:
    text = "cut the documents of a dataset into sentences, and take [CLS] and [SEP] out of it"
    parser = verbs.add_parser("resplit", help=text, description=text)
    parser.set_defaults(verb=resplit)
    _takes_dataset(parser)
    parser.add_argument("--output", type=path_argument, required=True, metavar="PREFIX2", help="the new dataset")


def _takes_dataset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prefix", type=path_argument, metavar="PREFIX", help="the dataset's path without .bin and .idx")
    parser.add_argument(
        "--vocab", type=path_argument, required=True, metavar="FILE", help="the vocabulary it was made with"
    )


def _takes_preset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", metavar="PRESET", help="the run it is for (default: the settings of no preset)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting, as data.split=8,1,1"
    )


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
        "--output", type=path_argument, required=True, metavar="PREFIX", help="where to put it, without .bin and .idx"
    )
    vocabulary = parser.add_mutually_exclusive_group(required=True)
    vocabulary.add_argument("--vocab", type=path_argument, metavar="FILE", help="the vocabulary, one piece a line")
    vocabulary.add_argument(
        "--train-vocab",
        type=number_argument,
        metavar="SIZE",
        help="learn one of this size from the text: PREFIX-vocab.txt",
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
    parser.add_argument("--workers", type=number_argument, metavar="N", help="processes (default: one a core)")
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
    parser.add_argument("build", type=path_argument, metavar="PREFIX", help="its --output, or the folder it works in")


def _takes_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate < float("inf"):
        raise ValueError(text)
    return rate


def _preset(options: argparse.Namespace) -> Any:
    """The preset named, or the defaults, changed as asked; fields that have nothing to do with data may be open."""
    from bert_tui.presets import find_preset
    from trainer.spec.preset import Preset
    from trainer.spec.preset_file import override, read_preset

    named = read_preset(find_preset(options.preset), find_preset) if options.preset else Preset()
    return override(named, options.set)
