"""The checklist's questions about the docker command, the engine and its settings."""

from __future__ import annotations

import os
import shutil
import subprocess

from bert_tui.checks.check import Check
from bert_tui.checks.docker_words import answered, problem_answer
from bert_tui.checks.runner import Subject
from bert_tui.launchers.engine_facts import EngineFacts, ask_engine
from trainer.spec.problem import Problem
from trainer.spec.sizing import GIB

COMMAND_SECONDS = 3.0
OLDEST_API = (1, 40)
"""Engine 19.03: the first that takes requests for GPUs, and has everything else that a container here is made with."""
SMALLER_BY = 0.9
"""An engine that has less than this share of the machine's memory runs in a machine of its own."""
_DOCKER_CE = "Install Docker's own packages: docs.docker.com/engine/install"


def command(subject: Subject) -> Check:
    """Whether the docker command is there. This program does without; what is to be typed here does not."""
    name = "docker.command"
    path = shutil.which("docker")
    if path is None:
        meaning = "Training needs none, but what is to be typed to repair something here is often a docker command."
        return answered(name, "warn", "no command docker", meaning, "sudo apt install docker.io (Debian, Ubuntu)")
    asked = subprocess.run(
        [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_SECONDS
    )
    seen = asked.stdout.strip().partition(", build")[0]
    if "podman" in asked.stdout.lower():
        meaning = "What you type as docker goes to Podman, and not to a Docker Engine."
        return answered(name, "warn", f"{path} is Podman: {seen}", meaning, "sudo apt remove podman-docker")
    if os.path.realpath(path).startswith("/snap/") or path.startswith("/snap/"):
        meaning = "Docker from snap has no GPU support and sees only files below /home."
        return answered(name, "warn", f"{seen}, from snap", meaning, f"sudo snap remove docker. {_DOCKER_CE}")
    if asked.returncode != 0:
        return answered(name, "unknown", f"{path} fails: {asked.stderr.strip()}", "It may be broken.", _DOCKER_CE)
    return answered(name, "pass", seen)


def engine(subject: Subject) -> Check:
    """Whether there is an engine that this user may use, and of which kind and age it is."""
    name, gpus_wanted = "docker.engine", subject.preset.launch.gpus != "none"
    facts = ask_engine()
    if facts.podman:
        return _podman(facts, gpus_wanted)
    seen = f"Docker Engine {facts.version}, storage {facts.storage}"
    if facts.api < OLDEST_API:
        return problem_answer(name, Problem("docker.old", facts.address, facts.version))
    if facts.root.startswith("/var/snap/"):
        meaning = "Docker from snap has no GPU support and sees only files below /home."
        remedy = f"sudo snap remove docker. {_DOCKER_CE}"
        return answered(name, "fail" if gpus_wanted else "warn", f"{seen}, from snap", meaning, remedy)
    if facts.system == "Docker Desktop":
        meaning = "Docker Desktop runs in a virtual machine: it has no GPUs, and not all of the memory."
        return answered(name, "fail" if gpus_wanted else "warn", f"{seen}, Docker Desktop", meaning, _DOCKER_CE)
    if facts.storage == "vfs":
        meaning = "This storage driver copies each layer as a whole: an image of 20 GB takes several times that."
        return answered(name, "warn", seen, meaning, "Use overlay2: docs.docker.com/engine/storage/drivers")
    return answered(name, "pass", seen)


def settings(subject: Subject) -> Check:
    """Limits, what the engine remarks on itself, and whether containers outlive its restart."""
    name = "docker.settings"
    facts = ask_engine()
    restart = "containers outlive its restart" if facts.live_restore else "containers end when it is restarted"
    if exposed := next((warning for warning in facts.warnings if "API is accessible" in warning), ""):
        meaning = "Whoever reaches that port is root on this machine."
        repair = "Take the tcp:// address out of /etc/docker/daemon.json or docker.service, then restart docker."
        return answered(name, "warn", exposed, meaning, repair)
    if not facts.memory_limit:
        meaning = "The kernel cannot limit a container's memory, so a run that grows may take that of others."
        repair = "Add cgroup_enable=memory to GRUB_CMDLINE_LINUX in /etc/default/grub; sudo update-grub; sudo reboot"
        return answered(name, "warn", "no memory limits", meaning, repair)
    if 0 < facts.memory < SMALLER_BY * subject.machine.memory_total:
        meaning = "It has less memory than this machine: it may run in a virtual machine or on another machine."
        seen = f"{facts.memory / GIB:.1f} of {subject.machine.memory_total / GIB:.1f} GiB memory"
        return answered(name, "warn", seen, meaning, "docker info shows where it runs.")
    if facts.live_restore or facts.podman:
        return answered(name, "pass", restart)
    meaning = "A run that ends so goes on from its last checkpoint when it is resumed."
    advice = 'To keep runs alive: add "live-restore": true to /etc/docker/daemon.json; sudo systemctl reload docker'
    return answered(name, "pass", restart, meaning, advice)


def _podman(facts: EngineFacts, gpus_wanted: bool) -> Check:
    if gpus_wanted:
        return problem_answer("docker.engine", Problem("docker.podman", facts.address))
    seen = f"Podman {facts.version} in Docker's place"
    return answered("docker.engine", "warn", seen, "Training on the CPU works with it, GPUs do not.")
