"""Whatever lies in the files of a run, whoever looks at it sees a run, and no traceback."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bert_tui.metrics.run_view import RunWatcher
from bert_tui.metrics.sentences import headline
from bert_tui.plain.listing import list_runs
from bert_tui.runs.end import settle
from bert_tui.runs.state import state_of
from tests.conftest import NO_ENGINE
from tests.staged_run import StagedRun
from trainer.spec.problem import Problem
from trainer.spec.records import Launch, Progress, Validation, from_json, read_record, to_json

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")

FILES = (
    "attempts/001/request.json",
    "attempts/001/attempt.toml",
    "attempts/001/preparation.json",
    "attempts/001/launch.json",
    "attempts/001/status.json",
    "attempts/001/progress.json",
    "attempts/001/exit.json",
    "attempts/001/train.log",
    "attempts/001/starter.log",
    "attempts/001/telemetry/node.jsonl",
    "preset.toml",
    "run.toml",
    "lock",
    "metrics.bin",
)
RECORDS = ("preparation", "launch", "status", "progress", "exit")
HOSTS = (socket.gethostname(), "node7")

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(10**400), 2**63, 1e308, -1e308, "\ud800", "\x1b[2J", "docker", "local", "train"]),
    st.floats(),
    st.text(max_size=8),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
wild = st.one_of(st.binary(max_size=300), values.map(lambda value: json.dumps(value).encode()))


@pytest.fixture(scope="module", autouse=True)
def no_engine() -> Iterator[None]:
    """Asking one for its containers at each look would take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", NO_ENGINE)
        yield


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> StagedRun:
    """A run in the middle of its training, with something in every file."""
    run = StagedRun(tmp_path_factory.mktemp("wild"))
    run.prepare("launch", done=1.0, total=2.0, unit="files", detail="text")
    run.launch()
    run.train(1, 3, validate_every=2)
    run.status("train", problem=Problem("end.rank_killed", "1", "SIGKILL"))
    run.checkpoint(2)
    run.telemetry(gpus=1)
    return run


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), content=wild)
def test_any_bytes_in_any_file(staged: StagedRun, name: str, content: bytes) -> None:
    look_at(staged, {name: content})


@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_a_record_with_one_value_changed(staged: StagedRun, data: st.DataObject) -> None:
    record = data.draw(st.sampled_from(RECORDS))
    tree = copy.deepcopy(records_of(staged)[record])
    parent, key = data.draw(st.sampled_from(list(places(tree))))
    if data.draw(st.booleans()):
        parent[key] = data.draw(values)
    else:
        del parent[key]
    look_at(staged, {f"attempts/001/{record}.json": json.dumps(tree).encode()})


@settings(max_examples=100, deadline=None)
@given(words=st.text(max_size=30), record=st.sampled_from(["exit", "status"]))
def test_any_words_of_a_failure(staged: StagedRun, words: str, record: str) -> None:
    tree = records_of(staged)
    tree[record]["problem"]["value"] = tree[record]["problem"]["where"] = words
    look_at(staged, {f"attempts/001/{name}.json": json.dumps(tree[name]).encode() for name in ("exit", record)})


@pytest.mark.parametrize("launcher", ["docker", "local", "slurm"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_handle(staged: StagedRun, launcher: str, data: st.DataObject) -> None:
    names = ("host", "boot_id", "pid", "pid_started", "engine", "container", "name")
    handle = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(names, values)))
    handle |= {"launcher": launcher} | data.draw(st.fixed_dictionaries({}, optional={"host": st.sampled_from(HOSTS)}))
    launch = Launch(1, launcher, "here", "boot", staged.now, handle, "true")
    look_at(staged, {"attempts/001/launch.json": to_json(launch).encode("utf-8", "surrogatepass")})


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_an_ended_run_is_brought_to_rest_whatever_tells_of_its_container(
    staged: StagedRun, data: st.DataObject
) -> None:
    preset = data.draw(st.fixed_dictionaries({}, optional={"launch": values}))
    request = {"preset_name": "", "preset": preset, "device": "cpu", "gpus": [], "ranks": 1, "threads": 1}
    handle = data.draw(st.fixed_dictionaries({}, optional={"launcher": values}))
    launch = json.dumps({**records_of(staged)["launch"], "handle": handle})
    files = {"request": json.dumps(request), "exit": json.dumps(records_of(staged)["exit"])}
    files["launch"] = data.draw(st.sampled_from([launch, ""]))
    with holding(staged, {f"attempts/001/{name}.json": text.encode() for name, text in files.items()}):
        settle(state_of(staged.directory), patience=0.0)


def test_a_validation_that_was_no_number_hides_nothing(staged: StagedRun) -> None:
    progress = read_record(Progress, staged.attempt.progress)
    assert progress is not None
    broken = replace(progress, validation=Validation(2, math.nan, math.nan, 6.0))
    assert from_json(Progress, to_json(broken)) == replace(progress, validation=Validation(2, None, None, 6.0))
    look_at(staged, {"attempts/001/progress.json": to_json(broken).encode()})


def records_of(staged: StagedRun) -> dict[str, dict[str, Any]]:
    """The records as they should be; an exit among them."""
    folder = staged.attempt.path
    found = {name: json.loads((folder / f"{name}.json").read_text()) for name in RECORDS if name != "exit"}
    problem = found["status"]["problem"]
    exit = {"outcome": "failed", "code": 1, "signal": 9, "out_of_memory": False, "when": staged.now, "rank": 1}
    return found | {"exit": exit | {"written_by": "supervisor", "step": 3, "problem": problem}}


def places(tree: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Every key of it and of the dictionaries inside."""
    for key, value in tree.items():
        yield tree, key
        if isinstance(value, dict):
            yield from places(value)


def look_at(staged: StagedRun, contents: dict[str, bytes]) -> None:
    """Looks in every way there is, while these files hold these bytes."""
    run = staged.directory
    with holding(staged, contents):
        state_of(run)
        watcher = RunWatcher(run)
        for _ in range(2):
            assert headline(watcher.poll()).text.isprintable()
        watcher.wait_until_settled()
        for as_json in (False, True):
            with terminal() as seen:
                list_runs([run.path.parent], as_json=as_json)
            assert run.id in seen.getvalue().decode("utf-8")


@contextlib.contextmanager
def holding(staged: StagedRun, contents: dict[str, bytes]) -> Iterator[None]:
    """The run with these bytes in these files; afterwards everything is as before."""
    folder = staged.directory.path
    kept = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    try:
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        yield
    finally:
        for path in folder.rglob("*"):
            if path.is_file() and path not in kept:
                path.unlink()
        for path, before in kept.items():
            path.write_bytes(before)
            os.utime(path)


@contextlib.contextmanager
def terminal() -> Iterator[io.BytesIO]:
    """Standard output as it is: strict about what is no text."""
    seen = io.BytesIO()
    stream = io.TextIOWrapper(seen, encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(stream):
        yield seen
    stream.detach()
