"""The checklist's questions about what an engine makes of the caller and of the folders it shows to containers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from bert_tui.checks.check import Check
from bert_tui.checks.docker_words import answered, problem_answer
from bert_tui.checks.mounts import NETWORK, closed_to_others, mount_point_of, nearest_folder
from bert_tui.checks.runner import Subject
from bert_tui.launchers.engine_facts import ask_engine
from bert_tui.paths import expand_path
from trainer.spec.blend import parse_blend
from trainer.spec.preset import Preset
from trainer.spec.problem import EnvironmentRefused, PresetError, Problem

CONTAINER_LABELS = ("container_file_t", "container_share_t", "svirt_sandbox_file_t")
"""SELinux types that containers may use; the last is the older name of the first."""


def user(subject: Subject) -> Check:
    """Whether the caller is the same user inside containers as outside."""
    facts = ask_engine()
    if facts.remapped:
        raise EnvironmentRefused(Problem("docker.remapped", facts.address, facts.remapped))
    groups = len(set(os.getgroups()) - {os.getgid()})
    also = f" and {groups} more group{'s' if groups > 1 else ''}" if groups else ""
    return answered("docker.user", "pass", f"the same as outside: uid {os.getuid()}, gid {os.getgid()}{also}")


def folders(subject: Subject) -> Check:
    """Whether the engine, which is root, can show the run's folders to a container: their file systems and labels."""
    name = "docker.folders"
    selinux = ask_engine().selinux
    looked_at = list(dict.fromkeys(nearest_folder(expand_path(path)) for path in _paths(subject.preset)))
    kinds = []
    for folder in looked_at:
        mount = mount_point_of(folder)
        if mount.private:
            facts = {"kind": mount.kind, "mount": str(mount.path)}
            return problem_answer(name, Problem("docker.mount_private", str(folder), "", facts))
        closed = closed_to_others(folder, mount) if mount.kind in NETWORK else []
        if closed:
            meaning = "Where the server counts root as nobody (root_squash), the engine cannot enter it for you."
            repair = f"If the trial container fails: chmod o+x {' '.join(map(str, closed))}"
            return answered(name, "warn", f"{closed[-1]} on {mount.kind} is closed to others", meaning, repair)
        if selinux and (label := _foreign_label(folder)):
            meaning = "SELinux may forbid containers to read and write it."
            repair = f"sudo chcon -Rt container_file_t {folder}"
            return answered(name, "warn", f"{folder} is labelled {label}", meaning, repair)
        kinds.append(mount.kind)
    return answered(name, "pass", f"{len(looked_at)} on {', '.join(dict.fromkeys(kinds))}" if kinds else "none chosen")


def _paths(preset: Preset) -> Iterator[str]:
    """The run's folders and files that are chosen by now."""
    yield from filter(None, (preset.checkpoint.path, preset.logs.tensorboard_path, preset.train.init_from))
    if preset.data.source == "files" and preset.data.data_path:
        try:
            yield from parse_blend(preset.data.data_path).prefixes
        except PresetError:
            return  # the line of the data says so


def _foreign_label(folder: Path) -> str:
    """The SELinux type of a folder that containers may not use; empty where they may, or where it has none."""
    try:
        context = os.getxattr(folder, "security.selinux").decode(errors="replace").rstrip("\0")
    except OSError:
        return ""
    label = context.split(":")[2] if context.count(":") >= 2 else context
    return "" if label in CONTAINER_LABELS else label
