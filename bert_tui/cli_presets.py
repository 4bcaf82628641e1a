"""The verbs of presets: ``bert-tui presets`` and what stands below it."""

from __future__ import annotations

import argparse
from typing import Any

from bert_tui.exit_status import ExitStatus


def presets(options: argparse.Namespace) -> int:
    """``presets``: every preset that has a name; with ``--schema``, the JSON schema of their files."""
    if options.schema:
        from bert_tui.preset_schema import as_text

        print(as_text(), end="")
        return ExitStatus.FINISHED
    from bert_tui.plain.preset_listing import list_presets

    return list_presets(as_json=options.json)


def set_(options: argparse.Namespace) -> int:
    """``presets set PRESET KEY=VALUE``: changes a file, and keeps its comments."""
    from bert_tui.preset_editing import set_in_file
    from bert_tui.presets import find_preset

    path = find_preset(options.preset)
    changed = set_in_file(path, options.settings)
    print(f"{path}: {', '.join(changed)} changed" if changed else f"{path} says so already")
    return ExitStatus.FINISHED


def add_preset_verbs(verbs: Any) -> None:
    """Adds ``presets`` to the verbs of the program."""
    text = "list the presets, where they lie and what they are"
    parser = verbs.add_parser("presets", help=text, description=text)
    parser.set_defaults(verb=presets)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--schema", action="store_true", help="print the JSON schema of preset files, for editors")
    below = parser.add_subparsers(metavar="VERB", title="verbs")
    text = "change settings in a preset file; its comments and its order stay"
    setting = below.add_parser("set", help=text, description=text)
    setting.set_defaults(verb=set_)
    setting.add_argument("preset", metavar="PRESET", help="a preset's name, or the path of a file")
    setting.add_argument("settings", nargs="+", metavar="KEY=VALUE", help="a setting, as train.steps=1000")
