"""``data build`` and its companions as lines of text, or as JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from bert_tui import diagnostics
from bert_tui.data.build import BuildStopped, build
from bert_tui.data.build_folder import BuildFolder
from bert_tui.data.build_job import BuildView, find_builds, read_build, resume_build, start_build, stop_build
from bert_tui.data.build_records import BuildProgress, BuildResult
from bert_tui.data.build_words import progress_line, result_lines
from bert_tui.data.order import BuildOrder
from bert_tui.exit_status import ExitStatus
from bert_tui.invocation import program
from bert_tui.metrics.sentences import duration
from trainer.spec.problem import DatasetError, SpecError
from trainer.spec.records import to_json

LINE_SECONDS = 2.0
"""Between two lines of one phase."""
POLL_SECONDS = 0.5
STATUS = {
    "finished": ExitStatus.FINISHED,
    "failed": ExitStatus.FAILED,
    "stopped": ExitStatus.STOPPED,
    "died": ExitStatus.FAILED,
}


def build_here(order: BuildOrder, *, as_json: bool) -> int:
    """Builds in the foreground; gives the exit status. Ctrl-C ends the build, which the same command goes on with."""
    lines = _ProgressLines(as_json=as_json)
    try:
        result = build(order, lines.show)
    except BuildStopped:
        diagnostics.tell("stopped; what is finished is kept. The same command goes on from there.")
        return ExitStatus.STOPPED
    except SpecError as error:
        diagnostics.tell_problems(error)
        return ExitStatus.REFUSED if lines.phase == "look" else ExitStatus.FAILED
    _print_result(result, as_json=as_json)
    return ExitStatus.FINISHED


def build_detached(order: BuildOrder, *, as_json: bool) -> int:
    """Starts a build and returns at once."""
    _tell_started(start_build(order), as_json=as_json)
    return ExitStatus.FINISHED


def resume(folder: BuildFolder) -> int:
    """Goes on with a build that ended before it was done."""
    _tell_started(resume_build(folder), as_json=False)
    return ExitStatus.FINISHED


def attach(folder: BuildFolder, *, as_json: bool) -> int:
    """Prints how far a build is until it ends; Ctrl-C ends only the printing."""
    lines = _ProgressLines(as_json=as_json)
    try:
        while (view := read_build(folder)).state == "running":
            if view.progress is not None:
                lines.show(view.progress)
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        diagnostics.tell(f"the build goes on; see it with: {program()} data builds")
        return ExitStatus.DETACHED
    return _tell_end(view, as_json=as_json)


def stop(folder: BuildFolder) -> int:
    """Asks a build to end."""
    if read_build(folder).state != "running":
        diagnostics.tell(f"nothing is being built in {folder.path}")
        return ExitStatus.REFUSED
    stop_build(folder)
    print(f"It ends within a second and keeps what is finished. Go on with: {program()} data resume {folder.path}")
    return ExitStatus.FINISHED


def list_builds(*, as_json: bool) -> int:
    """Prints the builds of this user, the last begun first."""
    views = list(_readable(find_builds()))
    if as_json:
        print(json.dumps([_facts(view) for view in views], ensure_ascii=False, indent=2))
    elif not views:
        print(f"There are no builds yet. {program()} data build --help says how to start one.")
    for view in views if not as_json else ():
        print(f"{view.state:<9} {view.folder.path}")
        if view.state == "finished" and view.result is not None:
            print(f"          {result_lines(view.result)[0]}")
        elif view.progress is not None:
            print(f"          {progress_line(view.progress)}")
        if view.problem is not None:
            diagnostics.tell_problems(DatasetError(*view.problems))
    return ExitStatus.FINISHED


def folder_named(path: Path) -> BuildFolder:
    """The build that an operator means: by the prefix of its dataset, or by its folder."""
    return BuildFolder(path if path.suffix == ".build" else Path(f"{path}.build"))


def _readable(folders: list[BuildFolder]) -> list[BuildView]:
    views = []
    for folder in folders:
        try:
            views.append(read_build(folder))
        except DatasetError as error:
            diagnostics.tell_problems(error)
    return views


def _tell_started(folder: BuildFolder, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"folder": str(folder.path)}))
        return
    print(f"started in {folder.path}; see it with: {program()} data attach {folder.path}")


def _tell_end(view: BuildView, *, as_json: bool) -> int:
    if view.result is not None:
        _print_result(view.result, as_json=as_json)
    if view.problems:
        diagnostics.tell_problems(DatasetError(*view.problems))
    if view.state == "died":
        diagnostics.tell("the build has ended without a word, as after a kill or a restart of the machine")
    if view.resumable:
        diagnostics.tell(f"what is finished is kept; go on with: {program()} data resume {view.folder.path}")
    return STATUS[view.state]


def _print_result(result: BuildResult, *, as_json: bool) -> None:
    if as_json:
        print(to_json(result), flush=True)
        return
    print(f"Built in {duration(result.seconds)}:")
    print("\n".join(result_lines(result)))
    prefixes = " ".join(str(dataset.prefix) for dataset in result.datasets[:1])
    print(f"To train on it: data.data_path = {prefixes}, data.vocab_file = {result.vocab_file}", flush=True)


def _facts(view: BuildView) -> dict[str, object]:
    return {
        "folder": str(view.folder.path),
        "state": view.state,
        "progress": json.loads(to_json(view.progress)) if view.progress else None,
        "problems": [problem.as_json() for problem in view.problems],
        "result": json.loads(to_json(view.result)) if view.result else None,
    }


class _ProgressLines:
    """Prints where a build is, not more often than can be read."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._next = 0.0
        self._cautions = 0
        self.phase = "look"

    def show(self, progress: BuildProgress) -> None:
        """One line, or none if there was one just now."""
        for caution in progress.cautions[self._cautions :]:
            diagnostics.tell_cautions([caution])
        self._cautions = len(progress.cautions)
        now = time.monotonic()
        if progress.phase == self.phase and now < self._next:
            return
        self.phase, self._next = progress.phase, now + LINE_SECONDS
        print(to_json(progress) if self._as_json else progress_line(progress), file=sys.stdout, flush=True)
