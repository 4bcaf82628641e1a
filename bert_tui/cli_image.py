"""The verbs of ``bert-tui image``: each a few lines over the modules that do the work."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any


def add_image_verbs(verbs: Any) -> None:
    """Adds ``image`` and its verbs to the verbs of the command line (what ``add_subparsers`` gave)."""
    text = "fetch the container image: from its registry, or from a file"
    parser = verbs.add_parser("image", help=text, description=text)
    image_verbs = parser.add_subparsers(metavar="VERB", title="verbs", required=True)

    def verb(name: str, function: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = image_verbs.add_parser(name, help=text, description=text)
        added.set_defaults(verb=function)
        return added

    pulling = verb("pull", pull, "fetch an image; it goes on in the background when you leave")
    _takes_image(pulling, "its name; without it, the one for this machine's driver")
    _takes_detach(pulling)
    loading = verb("load", load, "load images from a file that 'docker save' wrote, for machines without internet")
    loading.add_argument("file", metavar="FILE", help=".tar, .tar.gz or .tar.zst")
    _takes_detach(loading)
    _takes_json(verb("status", status, "what is being fetched and was fetched, and how far it is"))
    _takes_json(verb("list", list_, "the image for this machine, and the images that are here"))
    cancelling = verb("cancel", cancel, "end a fetch")
    _takes_image(cancelling, "its name, or the file; without it, the one that is going on")


def pull(options: argparse.Namespace) -> int:
    """``image pull [IMAGE]``: fetches it."""
    from bert_tui.plain.image import pull_image

    return pull_image(options.image, detach=options.detach, as_json=options.json)


def load(options: argparse.Namespace) -> int:
    """``image load FILE``: loads what is in it."""
    from bert_tui.paths import expand_path
    from bert_tui.plain.image import load_image

    return load_image(Path(expand_path(options.file)), detach=options.detach, as_json=options.json)


def status(options: argparse.Namespace) -> int:
    """``image status``: the jobs of this user."""
    from bert_tui.plain.image import print_fetches

    return print_fetches(as_json=options.json)


def list_(options: argparse.Namespace) -> int:
    """``image list``: what is here."""
    from bert_tui.plain.image import print_images

    return print_images(as_json=options.json)


def cancel(options: argparse.Namespace) -> int:
    """``image cancel [IMAGE]``: ends a fetch."""
    from bert_tui.plain.image import cancel

    return cancel(options.image)


def _takes_image(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("image", nargs="?", default="", metavar="IMAGE", help=text)


def _takes_detach(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--detach", action="store_true", help="start it and give the prompt back")
    _takes_json(parser)


def _takes_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
