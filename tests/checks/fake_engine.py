"""A Docker Engine as far as it answers questions: the recorded answers of a real one, with what another one says put
over them, on a real socket."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

VERSION: Mapping[str, Any] = {
    "Components": [{"Name": "Engine", "Version": "28.2.2", "Details": {"ApiVersion": "1.50"}}],
    "Version": "28.2.2",
    "ApiVersion": "1.50",
    "MinAPIVersion": "1.24",
    "Os": "linux",
    "Arch": "amd64",
}
INFO: Mapping[str, Any] = {
    "Driver": "overlay2",
    "DriverStatus": [["Backing Filesystem", "extfs"], ["Supports d_type", "true"]],
    "DockerRootDir": "/",
    "MemoryLimit": True,
    "SwapLimit": True,
    "CgroupVersion": "2",
    "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
    "Architecture": "x86_64",
    "MemTotal": 64 * 2**30,
    "Runtimes": {"io.containerd.runc.v2": {"path": "runc"}, "runc": {"path": "runc"}},
    "LiveRestoreEnabled": False,
    "SecurityOptions": ["name=seccomp,profile=builtin"],
    "Warnings": None,
}
Answer = tuple[int, Any]
"""Status and JSON. Status 0: it takes its time."""


@contextmanager
def fake_engine(
    path: Path, version: Mapping[str, Any], info: Mapping[str, Any], others: Mapping[str, Answer]
) -> Iterator[None]:
    """Listens at ``path``; ``others`` gives answers by the end of what is asked for, such as ``images/NAME/json``."""
    answers = {"/version": (200, {**VERSION, **version}), "/info": (200, {**INFO, **info}), **others}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content = next(
                (answer for end, answer in answers.items() if self.path.endswith(end)),
                (404, {"message": f"No such image: {self.path}"}),
            )
            if status == 0:
                time.sleep(1)
                return
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def address_string(self) -> str:
            return "unix"

        def log_message(self, format: str, *arguments: Any) -> None:
            """Says nothing."""

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield
        server.shutdown()
