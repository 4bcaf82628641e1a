"""The command line: one function a verb, each a few lines over the modules that do the work.

Imports inside the verbs keep ``--help`` and the first paint quick: no Textual, docker, numpy or tensorboard before
they are needed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bert_tui import __version__, diagnostics
from bert_tui.arguments import number_argument, path_argument
from bert_tui.cli_data import add_data_verbs
from bert_tui.cli_image import add_image_verbs
from bert_tui.cli_presets import add_preset_verbs
from bert_tui.exit_status import ExitStatus
from bert_tui.invocation import program
from trainer.spec.problem import PresetError, SpecError

if TYPE_CHECKING:
    from bert_tui.machine import Machine
    from bert_tui.plan import Plan
    from bert_tui.runs.replay import Replay
    from trainer.spec.preset import Preset
    from trainer.spec.run_directory import RunDirectory


def entry() -> None:
    """The console script."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Runs one command; the exit status is one of ExitStatus."""
    _take_any_text()
    options = _parser().parse_args(arguments)
    try:
        return int(options.verb(options))
    except SpecError as error:
        diagnostics.tell_problems(error)
        return ExitStatus.REFUSED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone; Python would complain once more at its end
        return ExitStatus.DETACHED
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        diagnostics.tell_crash(error)
        return ExitStatus.INTERNAL_ERROR


def _take_any_text() -> None:
    """What the other side's encoding lacks becomes a sign that says so; whoever reads an answer refuses such signs."""
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def wizard(options: argparse.Namespace) -> int:
    """``bert-tui``: the full-screen wizard, or the same questions by lines."""
    if options.plain:
        from bert_tui.plain.wizard import ask_by_lines

        return ask_by_lines(sys.stdin, sys.stdout)
    if not _can_draw():
        diagnostics.tell(
            f"there is no terminal here that can be drawn on; use: {program()} run PRESET --plain, or "
            f"{program()} --plain for questions by lines ({program()} --help lists more)"
        )
        return ExitStatus.USAGE
    from bert_tui.app import run_app

    return run_app()


def run(options: argparse.Namespace) -> int:
    """``run PRESET``: starts the run a preset describes, without questions."""
    from bert_tui.checks.checklist import check_run
    from bert_tui.machine import read_machine
    from bert_tui.runs.create import create_run

    machine = read_machine()
    preset, path = _preset(options)
    planned = _plan(preset, path, machine)
    if planned.problems:
        raise PresetError(*planned.problems)
    replay = _replay(options, path, planned)
    checks = check_run(machine, planned.preset, trial=False)
    failed = [answer for answer in checks if answer.answer == "fail"]
    if failed:
        diagnostics.tell_failed_checks(failed)
        return ExitStatus.REFUSED
    diagnostics.tell_cautions(planned.cautions)
    for line in replay.words if replay else []:
        diagnostics.tell(line)
    return _watch(create_run(planned, replay), options)


def check(options: argparse.Namespace) -> int:
    """``check [PRESET]``: the checklist; without a preset, of what the wizard would begin with here."""
    from bert_tui.checks.checklist import check_machine, check_run
    from bert_tui.checks.groups import grouped_lines
    from bert_tui.machine import read_machine

    machine, lines = read_machine(), []
    if options.preset:
        answers = check_run(machine, _preset(options)[0])
    else:
        answers, suited = check_machine(machine, _changes(options))
        where = "in a container" if suited.preset.launch.launcher == "docker" else "without a container"
        lines = ["", f"Looked at for {suited.size} {where}. For something else: {program()} check PRESET"]
    if options.json:
        print(json.dumps([vars(answer) for answer in answers], ensure_ascii=False, indent=2))
    else:
        print("\n".join([*grouped_lines(answers), *lines]))
    failed = any(answer.answer == "fail" for answer in answers)
    return ExitStatus.REFUSED if failed else ExitStatus.FINISHED


def plan(options: argparse.Namespace) -> int:
    """``plan PRESET``: what a run would be; starts nothing."""
    from bert_tui.changes import compared_with_origin
    from bert_tui.machine import read_machine
    from bert_tui.measured import with_measured
    from bert_tui.runs.job import describe_plan
    from bert_tui.wizard.review import micro_batch_words, sentences

    preset, path = _preset(options)
    machine = read_machine()
    planned = with_measured(_plan(preset, path, machine), machine)
    command = describe_plan(planned)
    if options.json:
        print(json.dumps({**planned.as_json(), "command": command}, ensure_ascii=False, indent=2, sort_keys=True))
    else:
        print("\n".join([*sentences(planned), micro_batch_words(planned, path), "", command]))
    replay = _replay(options, path, planned)
    if not options.json:
        lines = replay.words if replay else compared_with_origin(path, preset).lines
        print("\n".join(["", *lines] if lines else []))
    if planned.problems:
        diagnostics.tell_problems(PresetError(*planned.problems))
        return ExitStatus.REFUSED
    return ExitStatus.FINISHED


def calibrate(options: argparse.Namespace) -> int:
    """``calibrate PRESET``: trains a few steps at every layout that is possible, and keeps what was measured."""
    from bert_tui.machine import read_machine
    from bert_tui.plain.calibration import calibrate_by_lines

    return calibrate_by_lines(_preset(options)[0], read_machine(), sys.stdout, as_json=options.json)


def runs(options: argparse.Namespace) -> int:
    """``runs``: every run that can be found, newest first."""
    from bert_tui.plain.listing import list_runs

    return list_runs(options.root, as_json=options.json)


def attach(options: argparse.Namespace) -> int:
    """``attach [RUN]``: watches a run."""
    return _watch(_find(options), options)


def logs(options: argparse.Namespace) -> int:
    """``logs RUN``: what the trainer printed."""
    from bert_tui.plain.logs import print_log

    return print_log(_find(options), follow=options.follow)


def stop(options: argparse.Namespace) -> int:
    """``stop RUN``: saves a checkpoint, then ends; ``--now`` ends without one."""
    from bert_tui.runs.control import kill_run, request_stop

    found = _find(options)
    if options.now:
        kill_run(found)
        print(f"{found.id} was ended without a checkpoint of its last steps")
    else:
        request_stop(found)
        print(f"{found.id} will save a checkpoint and end; see it with: {program()} attach {found.id}")
    return ExitStatus.FINISHED


def delete(options: argparse.Namespace) -> int:
    """``delete RUN``: removes a run that is over, with all it has, after asking."""
    from bert_tui.plain.deletion import delete_after_asking

    return delete_after_asking(_find(options), asked=options.yes)


def resume(options: argparse.Namespace) -> int:
    """``resume RUN``: goes on from the last checkpoint."""
    from bert_tui.runs.create import resume_run

    found = _find(options)
    resume_run(found, options.set, update_code=options.update_code)
    return _watch(found, options)


def board(options: argparse.Namespace) -> int:
    """``board [RUN]``: TensorBoard on this machine's loopback."""
    from bert_tui.plain.board import serve_board

    return serve_board(_find(options))


def export(options: argparse.Namespace) -> int:
    """``export RUN``: a checkpoint as a folder for Hugging Face's transformers."""
    from bert_tui.plain.conversion import export as export_lines

    return export_lines(_find(options), options.output, options.step)


def import_(options: argparse.Namespace) -> int:
    """``import HF_DIR``: a Hugging Face folder as weights to begin a run with."""
    from bert_tui.plain.conversion import import_ as import_lines

    return import_lines(options.folder, options.output)


def _can_draw() -> bool:
    """Whether there is a terminal, and one that can do more than print lines."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _watch(run: RunDirectory, options: argparse.Namespace) -> int:
    """Shows a run in the way asked for: not at all, as lines, as JSON, or full screen."""
    if getattr(options, "detach", False):
        print(json.dumps({"run": run.id, "directory": str(run.path)}) if options.json else f"started {run.id}")
        return ExitStatus.FINISHED
    if options.plain or options.json or not _can_draw():
        from bert_tui.plain.progress import follow_run

        return follow_run(run, sys.stdout, json=options.json)
    from bert_tui.app import run_app

    return run_app(run)


def _preset(options: argparse.Namespace) -> tuple[Preset, Path]:
    from bert_tui.plan import fill_from_variables
    from bert_tui.presets import find_preset
    from trainer.spec.preset_file import override, read_preset

    path = find_preset(options.preset)
    preset, used = fill_from_variables(read_preset(path, find_preset))
    for variable in used:
        diagnostics.tell(f"taken from the environment: {variable}")
    return override(preset, _changes(options)), path


def _changes(options: argparse.Namespace) -> list[str]:
    return [*options.set, *([f'launch.launcher="{options.launcher}"'] if options.launcher else [])]


def _plan(preset: Preset, path: Path, machine: Machine) -> Plan:
    from bert_tui.plan import make_plan
    from bert_tui.runs.replay import name_of

    return make_plan(preset, name_of(path), machine)


def _replay(options: argparse.Namespace, path: Path, planned: Plan) -> Replay | None:
    """What the plan repeats; where that is asked for, nothing else is let through."""
    from bert_tui.runs.replay import replay_of, require_same

    replay = replay_of(path, planned)
    if options.strict:
        require_same(path, replay)
    return replay


def _find(options: argparse.Namespace) -> RunDirectory:
    from bert_tui.runs.registry import find_run

    return find_run(options.run, options.root)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bert-tui",
        description="Walks you through starting a BERT pre-training run in a GPU container, and shows it live. "
        "Without a verb it opens the wizard.",
        epilog="Exit status: 0 finished, 1 refused before the start, 2 usage, 3 stopped on request, 4 training failed, "
        "5 the view ended and the run goes on, 6 lost.",
    )
    parser.add_argument("--version", action="version", version=f"bert-tui {__version__}")
    parser.add_argument("--plain", action="store_true", help="ask the wizard's questions by lines, without a screen")
    parser.set_defaults(verb=wizard)
    verbs = parser.add_subparsers(metavar="VERB", title="verbs")

    def verb(function: Any, text: str, *groups: Any) -> argparse.ArgumentParser:
        name = function.__name__.rstrip("_")  # import is a word of Python's own
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(verb=function)
        for group in groups:
            group(added)
        return added

    verb(run, "start the run a preset describes", _takes_preset, _takes_changes, _takes_strict, _shows).add_argument(
        "--detach", action="store_true", help="start it and give the prompt back"
    )
    verb(check, "go through the checklist; exit status 1 if something fails", _takes_changes, _takes_json).add_argument(
        "preset", nargs="?", metavar="PRESET", help="what to check for; without it, what the wizard would begin with"
    )
    verb(
        plan,
        "say what a run would be, and the exact command; starts nothing",
        _takes_preset,
        _takes_changes,
        _takes_strict,
        _takes_json,
    )
    add_preset_verbs(verbs)
    verb(
        calibrate,
        "measure every layout that is possible here, in a few steps each",
        _takes_preset,
        _takes_changes,
        _takes_json,
    )
    verb(runs, "list the runs", _takes_json, _takes_root)
    verb(attach, "watch a run", _takes_run, _shows)
    verb(logs, "print what the trainer printed", _takes_run).add_argument(
        "--follow", action="store_true", help="go on as it is written"
    )
    verb(stop, "save a checkpoint, then end the run", _takes_run).add_argument(
        "--now", action="store_true", help="end it at once, losing the steps since the last checkpoint"
    )
    resuming = verb(resume, "go on from the last checkpoint", _takes_run, _shows)
    _takes_set(resuming)
    resuming.add_argument("--detach", action="store_true", help="start it and give the prompt back")
    resuming.add_argument(
        "--update-code", action="store_true", help="run today's trainer instead of the run's own copy"
    )
    deleting = verb(delete, "remove a run that is over, with all it has, after asking", _takes_root)
    deleting.add_argument("run", metavar="RUN", help="its id or the beginning of it")
    deleting.add_argument("--yes", action="store_true", help="do not ask")
    add_data_verbs(verbs)
    add_image_verbs(verbs)
    verb(board, "serve TensorBoard on this machine's loopback", _takes_run)
    exporting = verb(
        export, "write a checkpoint as a folder for Hugging Face's transformers", _takes_run, _takes_output
    )
    exporting.add_argument(
        "--step", type=number_argument, metavar="N", help="the checkpoint of this step (default: the last)"
    )
    importing = verb(import_, "make a Hugging Face folder into weights for train.init_from", _takes_output)
    importing.add_argument("folder", type=path_argument, metavar="HF_DIR", help="what save_pretrained of a BERT wrote")
    return parser


def _takes_preset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("preset", metavar="PRESET", help="a preset's name, such as bert-tiny, or the path of a file")


def _takes_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting, as train.learning_rate=3e-4"
    )


def _takes_changes(parser: argparse.ArgumentParser) -> None:
    _takes_set(parser)
    parser.add_argument("--launcher", choices=["docker", "local"], help="instead of the preset's launcher")


def _takes_strict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--strict", action="store_true", help="of a run's run.toml: refuse if anything is not as it was in that run"
    )


def _takes_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", nargs="?", default="latest", metavar="RUN", help="its id, the beginning of it, or 'latest' (the default)"
    )
    _takes_root(parser)


def _takes_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--root",
        action="append",
        default=[],
        type=path_argument,
        metavar="DIR",
        help="also look for runs in this folder",
    )


def _takes_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        type=path_argument,
        required=True,
        metavar="DIR",
        help="the folder to make; one that is there must be empty",
    )


def _takes_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def _shows(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plain", action="store_true", help="print lines instead of drawing a screen")
    _takes_json(parser)
