"""A registry of images on this machine, by the registry's HTTP protocol, version 2, its pulling side.

Docker takes registries on 127.0.0.0/8 without TLS. What it serves it makes itself; it can be slow, stall, break off in
the middle of a layer and refuse, and counts what it was asked for.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
REFUSALS = {
    401: ("UNAUTHORIZED", "authentication required"),
    404: ("MANIFEST_UNKNOWN", "manifest unknown"),
    500: ("UNKNOWN", "internal error"),
}
CHUNK = 16_384


class Registry(ThreadingHTTPServer):
    """One image, ``some/image:1``, with a layer for each of ``sizes`` (bytes, which gzip cannot make smaller)."""

    daemon_threads = True

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        layers = [_tar({f"file{number}": _noise(number, size)}) for number, size in enumerate(sizes)]
        packed = [gzip.compress(layer, 1) for layer in layers]
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
            }
        ).encode()
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": _described(config, CONFIG),
                "layers": [_described(layer, LAYER) for layer in packed],
            }
        ).encode()
        self.layers = tuple(digest_of(layer) for layer in packed)
        """Digests of the layers, the lowest first."""
        self.blobs = {digest_of(blob): blob for blob in (config, *packed)}
        self.manifests = {"1": manifest, digest_of(manifest): manifest}
        self.requests = 0
        self.sent: Counter[str] = Counter()
        """Bytes that left, by digest."""
        self.bytes_per_second: Mapping[str, float] = {}
        """How slowly some layers leave; the others as fast as they can."""
        self.stalled: set[str] = set()
        """Layers of which nothing comes after their first half, until they are taken out of here."""
        self.broken: Counter[str] = Counter()
        """How many times the line breaks in the middle of a layer."""
        self.refusal = 0
        """HTTP status of every answer; 0 where they are given."""

    def image(self, tag: str = "1") -> str:
        """The name by which an engine pulls it."""
        return f"127.0.0.1:{self.server_port}/some/image:{tag}"


@contextmanager
def serving(sizes: Sequence[int] = (3_000_000,)) -> Iterator[Registry]:
    """A registry that answers until the end of the block."""
    with Registry(sizes) as registry:
        threading.Thread(target=registry.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield registry
        finally:
            registry.stalled.clear()
            registry.shutdown()


class _Answer(BaseHTTPRequestHandler):
    server: Registry
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.requests += 1
        kind, _, name = self.path.removeprefix("/v2/some/image/").partition("/")
        if self.server.refusal:
            self._refuse(self.server.refusal)
        elif self.path == "/v2/":
            self._answer(b"{}", "application/json")
        elif kind == "manifests" and name in self.server.manifests:
            self._answer(self.server.manifests[name], MANIFEST)
        elif kind == "blobs" and name in self.server.blobs:
            self._send_blob(name)
        else:
            self._refuse(404)

    do_HEAD = do_GET  # noqa: N815 (the name that http.server looks for)

    def _answer(self, body: bytes, kind: str, status: int = 200) -> None:
        self._head(status, kind, len(body), digest_of(body))
        if self.command == "GET":
            self.wfile.write(body)

    def _refuse(self, status: int) -> None:
        code, message = REFUSALS[status]
        self._answer(json.dumps({"errors": [{"code": code, "message": message}]}).encode(), "application/json", status)

    def _head(self, status: int, kind: str, length: int, digest: str, *further: tuple[str, str]) -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="registry"')
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(length)),
            ("Docker-Content-Digest", digest),
            *further,
        ):
            self.send_header(name, value)
        self.end_headers()

    def _send_blob(self, digest: str) -> None:
        whole = self.server.blobs[digest]
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        body = whole[begin:]
        place = ("Content-Range", f"bytes {begin}-{len(whole) - 1}/{len(whole)}")
        self._head(206 if begin else 200, "application/octet-stream", len(body), digest, place)
        if self.command != "GET":
            return
        for start in range(0, len(body), CHUNK):
            sent = self._send_chunk(digest, body[start : start + CHUNK])
            if not sent or (begin + start > len(whole) / 2 and self._interrupts(digest)):
                self.close_connection = True
                return

    def _send_chunk(self, digest: str, chunk: bytes) -> bool:
        try:
            self.wfile.write(chunk)
        except OSError:  # the engine has hung up
            return False
        self.server.sent[digest] += len(chunk)
        if rate := self.server.bytes_per_second.get(digest):
            time.sleep(len(chunk) / rate)
        return True

    def _interrupts(self, digest: str) -> bool:
        """Whether the answer ends here; waits where it is to stall."""
        while digest in self.server.stalled:
            time.sleep(0.05)
        if not self.server.broken[digest]:
            return False
        self.server.broken[digest] -= 1
        return True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test's output is the test's."""


def tar_of_one_file(content: bytes) -> bytes:
    """What `docker import` takes."""
    return _tar({"file": content})


def digest_of(content: bytes) -> str:
    """As registries name content."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _tar(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def _described(content: bytes, kind: str) -> dict[str, object]:
    return {"mediaType": kind, "size": len(content), "digest": digest_of(content)}
