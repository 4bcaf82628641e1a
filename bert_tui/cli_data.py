"""The verbs of ``bert-tui data``: each a few lines over the modules that do the work."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bert_tui.paths import expand_path


def add_data_verbs(verbs: Any) -> None:
    """Adds ``data`` and its verbs to the verbs of the command line (what ``add_subparsers`` gave)."""
    text = "build a dataset from text, and look at datasets and vocabularies"
    parser = verbs.add_parser("data", help=text, description=text)
    data_verbs = parser.add_subparsers(metavar="VERB", title="verbs", required=True)
    _add_inspect(data_verbs)
    _add_sample(data_verbs)
    _add_vocabulary(data_verbs)
    _add_resplit(data_verbs)


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
    parser.add_argument("--number", type=int, default=3, metavar="N", help="how many samples (default: 3)")
    parser.add_argument("--seed", type=int, metavar="S", help="instead of data.seed: other samples, other masks")


def _add_vocabulary(verbs: Any) -> None:
    text = "say what a vocabulary file holds and everything that is wrong with it, and repair it"
    parser = verbs.add_parser("vocabulary", help=text, description=text)
    parser.set_defaults(verb=vocabulary)
    parser.add_argument("file", type=_path, metavar="FILE", help="the vocabulary, one piece a line")
    _takes_json(parser)
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--fix", type=_path, metavar="NEW", help="write a repaired copy to this path")
    target.add_argument("--in-place", action="store_true", help="repair the file itself")
    parser.add_argument(
        "--renumber", action="store_true", help="repair also what gives pieces other ids; datasets must be built anew"
    )


def _add_resplit(verbs: Any) -> None:
    text = "cut the documents of a dataset into sentences, and take [CLS] and [SEP] out of it"
    parser = verbs.add_parser("resplit", help=text, description=text)
    parser.set_defaults(verb=resplit)
    _takes_dataset(parser)
    parser.add_argument("--output", type=_path, required=True, metavar="PREFIX2", help="the new dataset")


def _takes_dataset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prefix", type=_path, metavar="PREFIX", help="the dataset's path without .bin and .idx")
    parser.add_argument("--vocab", type=_path, required=True, metavar="FILE", help="the vocabulary it was made with")


def _takes_preset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", metavar="PRESET", help="the run it is for (default: the settings of no preset)")


def _takes_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def _path(text: str) -> Path:
    return Path(expand_path(text))


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate < float("inf"):
        raise ValueError(text)
    return rate


def _preset(options: argparse.Namespace) -> Any:
    """The preset named, or the defaults; fields that have nothing to do with data may be open."""
    from bert_tui.presets import find_preset
    from trainer.spec.preset import Preset
    from trainer.spec.preset_file import read_preset

    return read_preset(find_preset(options.preset), find_preset) if options.preset else Preset()
