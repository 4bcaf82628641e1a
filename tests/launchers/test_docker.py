"""The docker launcher on a real engine. The base image stands in for the CPU image: both only bring a python3."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import trainer
from bert_tui.launchers.container_spec import RUN_LABEL
from bert_tui.launchers.cpu_image import base_image
from bert_tui.launchers.docker import DockerLauncher, runs_by_label
from bert_tui.launchers.engine import connect
from bert_tui.launchers.protocol import Alive, Exited, Handle, Job, Unknown
from bert_tui.presets import find_preset
from trainer.spec.preset import replace
from trainer.spec.preset_file import read_preset
from trainer.spec.problem import EnvironmentRefused, Problem
from trainer.spec.records import Exit, read_record
from trainer.spec.resolved import Resolved, render_resolved
from trainer.spec.run_directory import RunDirectory, write_whole

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("no_containers_left"), pytest.mark.timeout(120)]

MakeJob = Callable[..., Job]

LOOK_AROUND = """
import getpass, json, os, pathlib, socket, subprocess, sys, tempfile, time
attempt = pathlib.Path(sys.argv[1])
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())

def may_write(folder):
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False

program = pathlib.Path("/tmp/program")
program.write_text("#!/bin/sh\\necho ran")
program.chmod(0o755)
seen = {
    "uid": os.getuid(), "gid": os.getgid(), "groups": sorted(os.getgroups()), "name": getpass.getuser(),
    "capabilities": status["CapEff"].strip(), "no_new_privileges": status["NoNewPrivs"].strip(),
    "init": pathlib.Path("/proc/1/comm").read_text().strip(), "network": sorted(os.listdir("/sys/class/net")),
    "host": socket.gethostname(), "ran_in_tmp": subprocess.check_output([program], text=True).strip(),
    "may_write": [folder for folder in CANDIDATES if may_write(folder)],
    "shm": os.statvfs("/dev/shm").f_frsize * os.statvfs("/dev/shm").f_blocks,
    "home": os.environ["HOME"], "home_is_there": os.path.isdir(os.environ["HOME"]),
}
(attempt / "seen.json").write_text(json.dumps(seen))
(attempt / "status.json").write_text("{}")
time.sleep(60)
"""


def nothing_recorded(handle: Handle, notices: tuple[str, ...]) -> None:
    """A starter that keeps no record."""


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def containers_of(job: Job) -> list[dict[str, Any]]:
    label = f"{RUN_LABEL}={job.attempt.run.path}"
    return list(connect().containers(all=True, filters={"label": label}))


def test_life_of_a_container(make_job: MakeJob) -> None:
    launcher, job, recorded = DockerLauncher(), make_job(image=base_image()), []
    handle = launcher.start(job, lambda handle, notices: recorded.append((handle, launcher.probe(handle))))
    assert recorded[-1] == (handle, Exited(None)), "recorded before anything runs"
    assert handle["launcher"] == "docker"
    assert launcher.probe(handle) == Alive()
    assert job.attempt.run.path in runs_by_label()
    assert launcher.probe({**handle, "host": "elsewhere"}) == Unknown("it was started on elsewhere")

    launcher.kill(handle)
    wait_until(lambda: launcher.probe(handle) == Exited(137))
    launcher.kill(handle)
    launcher.remove(handle)
    launcher.remove(handle)
    assert launcher.probe(handle) == Exited(None)
    assert job.attempt.run.path not in runs_by_label()


def test_what_the_container_may_do(make_job: MakeJob) -> None:
    job = make_job(image=base_image())
    run = job.attempt.run
    candidates = [
        "/",
        "/etc",
        "/usr",
        "/opt",
        "/var",
        "/root",
        "/home",
        str(run.path),
        str(run.code),
        *map(str, job.readable),
    ]
    candidates += [str(folder) for folder in job.writable]
    supervise = run.code / "trainer" / "supervise.py"
    supervise.write_text(f"CANDIDATES = {candidates!r}\n{LOOK_AROUND}")
    DockerLauncher().start(job, nothing_recorded)
    wait_until(job.attempt.status.exists)

    seen = json.loads((job.attempt.path / "seen.json").read_text())
    assert (seen["uid"], seen["gid"]) == (os.getuid(), os.getgid())
    assert set(seen["groups"]) == {*os.getgroups(), os.getgid()}
    assert seen["name"] == Path("~").expanduser().owner()
    assert int(seen["capabilities"], 16) == 0
    assert seen["no_new_privileges"] == "1"
    assert seen["init"] in ("docker-init", "tini")
    assert seen["network"] == ["lo"]
    assert seen["host"] == socket.gethostname()
    assert seen["ran_in_tmp"] == "ran"
    assert set(seen["may_write"]) == {str(folder) for folder in job.writable}
    assert seen["shm"] == job.ranks * 2**30
    assert seen["home"] == str(run.cache / "home")
    assert seen["home_is_there"]


def test_the_printed_line_makes_the_same_container(make_job: MakeJob) -> None:
    launcher, client, job = DockerLauncher(), connect(seconds=60), make_job(image=base_image())
    handle = launcher.start(job, nothing_recorded)
    ours = client.inspect_container(handle["container"])
    launcher.kill(handle)
    launcher.remove(handle)

    printed = subprocess.run(["sh", "-c", launcher.describe(job)], capture_output=True, text=True, timeout=60)
    assert printed.returncode == 0, printed.stderr
    theirs = client.inspect_container(printed.stdout.strip())
    assert theirs["State"]["Running"]
    assert comparable(theirs) == comparable(ours)


def comparable(container: dict[str, Any]) -> dict[str, Any]:
    """What ``inspect`` tells of a container's making. The command line and the SDK write "not asked for" differently
    (null, empty list, empty map, -1, false), and lists without order differently."""
    host = {key: value for key, value in container["HostConfig"].items() if value and value != -1}
    host.pop("ConsoleSize", None)
    host["Ulimits"] = sorted(host.get("Ulimits", []), key=lambda limit: limit["Name"])
    host["Mounts"] = [{k: v for k, v in mount.items() if v} for mount in host["Mounts"]]
    config = {key: value for key, value in container["Config"].items() if value}
    config["Env"] = sorted(config["Env"])
    mounts = sorted(container["Mounts"], key=lambda mount: mount["Destination"])
    return {"HostConfig": host, "Config": config, "Mounts": mounts, "Name": container["Name"]}


def test_a_refused_ulimit_is_left_out_and_told(make_job: MakeJob) -> None:
    """Where the engine may raise limits there is nothing to refuse, and nothing to tell."""
    launcher, job, calls = DockerLauncher(), make_job(image=base_image()), []
    handle = launcher.start(job, lambda handle, notices: calls.append((handle, notices)))
    assert launcher.probe(handle) == Alive()
    (container,) = containers_of(job)
    assert container["Id"] == handle["container"]
    assert calls[-1][0] == handle
    limits = connect().inspect_container(handle["container"])["HostConfig"]["Ulimits"] or []
    refused = {"memlock", "stack", "nofile"} - {limit["Name"] for limit in limits}
    assert len([notice for notice in calls[-1][1] if "limit" in notice and "raise" in notice]) == len(refused)
    assert all(f"{name}=" not in launcher.describe(job) for name in refused)


@pytest.mark.parametrize(
    ("supervisor", "told"),
    [
        ("raise SystemExit('no torch here')", "no torch here"),
        ("import os; print('\\x1b[31mred'); os._exit(3)", "[31mred"),
    ],
)
def test_a_container_that_dies_at_once(make_job: MakeJob, supervisor: str, told: str) -> None:
    job = make_job(supervisor, image=base_image())
    with pytest.raises(EnvironmentRefused) as refusal:
        DockerLauncher().start(job, nothing_recorded)
    (problem,) = refusal.value.problems
    assert problem.code == "docker.died"
    assert problem.params["output"].endswith(told)
    assert "\x1b" not in problem.english
    assert containers_of(job) == []


def test_an_absent_image(make_job: MakeJob) -> None:
    job = make_job(image="bert-tui-no-such-image:1")
    with pytest.raises(EnvironmentRefused) as refusal:
        DockerLauncher().start(job, nothing_recorded)
    assert [problem.code for problem in refusal.value.problems] == ["docker.image_absent"]
    assert "bert-tui-no-such-image:1" in str(refusal.value)


def test_a_path_that_is_not_there(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(image=base_image())
    (tmp_path / "data" / "text.bin").unlink()
    (tmp_path / "data").rmdir()
    with pytest.raises(EnvironmentRefused) as refusal:
        DockerLauncher().start(job, nothing_recorded)
    (problem,) = refusal.value.problems
    assert (problem.code, problem.where) == ("docker.mount_absent", str(tmp_path / "data"))
    assert containers_of(job) == []


def test_a_second_start_of_the_same_attempt(make_job: MakeJob) -> None:
    launcher, job = DockerLauncher(), make_job(image=base_image())
    handle = launcher.start(job, nothing_recorded)
    with pytest.raises(EnvironmentRefused) as refusal:
        launcher.start(job, nothing_recorded)
    assert [problem.code for problem in refusal.value.problems] == ["docker.name_taken"]
    assert launcher.probe(handle) == Alive(), "the first one is left alone"


def test_a_starter_that_cannot_record_starts_nothing(make_job: MakeJob) -> None:
    job = make_job(image=base_image())

    def disk_full(handle: Handle, notices: tuple[str, ...]) -> None:
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        DockerLauncher().start(job, disk_full)
    assert containers_of(job) == []


@pytest.mark.timeout(400)
def test_two_gpus_asked_for_and_none_inside(make_job: MakeJob, cpu_image: str, tmp_path: Path) -> None:
    """The supervisor counts before anything trains, says what it saw, and ends; nothing is left behind."""
    uuids = ("GPU-11111111", "GPU-22222222")
    launcher, job = DockerLauncher(), make_job(image=cpu_image, gpus=uuids)
    give_it_the_real_trainer(job, tmp_path)
    handle = launcher.start(job, nothing_recorded)
    requested = connect().inspect_container(handle["container"])["HostConfig"]["DeviceRequests"]
    assert [(request["DeviceIDs"], request["Capabilities"]) for request in requested] == [(list(uuids), [["gpu"]])]

    wait_until(lambda: isinstance(launcher.probe(handle), Exited), seconds=100)
    verdict = read_record(Exit, job.attempt.exit)
    assert verdict is not None
    assert verdict.outcome == "failed"
    assert verdict.problem == Problem("gpu.fewer", "container", "2", {"seen": 0})
    launcher.remove(handle)
    assert containers_of(job) == []


def give_it_the_real_trainer(job: Job, folder: Path) -> None:
    """What the starter writes into a run directory, as far as the supervisor's preflight reads it."""
    run = job.attempt.run
    shutil.rmtree(run.code / "trainer")
    shutil.copytree(Path(trainer.__file__).parent, run.code / "trainer")
    preset = replace(
        read_preset(find_preset("bert-tiny"), find_preset),
        checkpoint__path=str(run.path.parent),
        logs__tensorboard_path=str(folder / "logs"),
        launch__launcher="docker",
        launch__gpus=job.gpus,
    )
    resolved = Resolved(
        run_id=run.id,
        preset_name="bert-tiny",
        device="cuda",
        ranks=2,
        threads=1,
        gpus=job.gpus,
        data_path=(str(folder / "data" / "text"),),
        data_fingerprint="",
        vocab_sha256="",
        image=job.image,
        image_id="",
        code_sha256="",
        program_version="",
    )
    write_whole(job.attempt.preset, render_resolved(preset, resolved, "of a test"))


def test_a_run_directory_with_awkward_names(make_job: MakeJob, tmp_path: Path) -> None:
    """Spaces, commas, quotes and letters of other alphabets, through the SDK and through a shell."""
    launcher, job = DockerLauncher(), make_job(image=base_image())
    awkward = tmp_path / "my, \"own\" 'run' ünï=$HOME"
    awkward.mkdir()
    job.attempt.run.path.rename(awkward / job.attempt.run.id)
    run = RunDirectory(awkward / job.attempt.run.id)
    moved = Job(run.attempt(1), "cpu", (), 2, 1, job.image, (run.code,), (run.path,), 40)
    handle = launcher.start(moved, nothing_recorded)
    assert run.path in runs_by_label()
    launcher.kill(handle)
    launcher.remove(handle)
    printed = subprocess.run(["sh", "-c", launcher.describe(moved)], capture_output=True, text=True, timeout=60)
    assert printed.returncode == 0, printed.stderr
