"""On which file system a folder lies, and whether the engine, which is root, can enter it.

From /proc/self/mountinfo (proc_pid_mountinfo(5)). Root on an NFS client counts as nobody on a server that squashes it,
and enters only folders that everybody may enter; a FUSE file system shows itself to nobody but the user who mounted it
unless it was mounted with allow_other (fuse(4)).
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")
NETWORK = ("nfs", "nfs4")


@dataclass(frozen=True)
class MountPoint:
    """One file system where it is mounted."""

    path: Path
    kind: str
    """As "ext4", "nfs4", "fuse.sshfs"."""
    options: frozenset[str]
    """Of the file system itself: "rw", "user_id=1000", "allow_other"."""

    @property
    def private(self) -> bool:
        """Whether only the user who mounted it sees it: not even root."""
        if not self.kind.startswith("fuse") or "allow_other" in self.options:
            return False
        return "user_id=0" not in self.options


def mount_point_of(folder: Path, text: str | None = None) -> MountPoint:
    """Where the file system that holds ``folder`` (resolved, absolute) is mounted; ``text`` is that of mountinfo."""
    text = MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape") if text is None else text
    points = [_mount_point(line) for line in text.splitlines()]
    above = [point for point in points if folder.is_relative_to(point.path)]
    return max(enumerate(above), key=lambda item: (len(item[1].path.parts), item[0]))[1]  # the last hides those before


def closed_to_others(folder: Path, mount: MountPoint) -> list[Path]:
    """The folders from the mount point down to ``folder`` that only their owner and group may enter."""
    inside = [path for path in (folder, *folder.parents) if path.is_relative_to(mount.path)]
    return [path for path in reversed(inside) if not path.stat().st_mode & stat.S_IXOTH]


def nearest_folder(path: str | Path) -> Path:
    """The nearest folder at or above ``path`` that is there, without links."""
    path = Path(os.path.realpath(path))
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _mount_point(line: str) -> MountPoint:
    """Fields: id, parent, device, root, mount point, options, optional ones, "-", kind, source, options."""
    before, _, after = line.partition(" - ")
    kind, _, options = after.split(" ", 2)
    return MountPoint(Path(_unescaped(before.split(" ")[4])), kind, frozenset(options.split(",")))


def _unescaped(text: str) -> str:
    """Blanks, tabs, newlines and backslashes are written as \\040 and so on."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
