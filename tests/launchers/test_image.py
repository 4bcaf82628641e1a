"""Which image a run gets, and how it is fetched or built."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bert_tui.launchers.cpu_image import cpu_image_name
from bert_tui.launchers.engine import connect
from bert_tui.launchers.image import choose_image, expected_image, image_id, prepare_image
from bert_tui.launchers.protocol import Step
from bert_tui.launchers.wheels import BasePython, fetch_wheels, platforms
from trainer.spec.problem import EnvironmentRefused

NEW, OLD = "nvcr.io/nvidia/pytorch:26.09-py3", "nvcr.io/nvidia/pytorch:25.02-py3"


@pytest.mark.parametrize(
    ("driver", "image"),
    [("580.65.06", NEW), ("595.10", NEW), ("575.57.08", OLD), ("535.129.03", OLD), ("525.60.13", OLD)],
)
def test_the_driver_decides(driver: str, image: str) -> None:
    assert choose_image(driver, "cuda") == image


@pytest.mark.parametrize(("driver", "code"), [("470.82", "docker.driver_old"), ("", "docker.driver_unknown")])
def test_no_image_for_the_driver(driver: str, code: str) -> None:
    with pytest.raises(EnvironmentRefused) as refusal:
        choose_image(driver, "cuda")
    assert refusal.value.problems[0].code == code


def test_wheels_for_an_older_system_are_taken_too() -> None:
    tags = platforms(BasePython("3.11", "aarch64", "2.36"))
    assert tags[0] == "manylinux_2_36_aarch64"
    assert {"manylinux_2_28_aarch64", "manylinux2014_aarch64", "linux_aarch64"} <= set(tags)
    assert "manylinux_2_37_aarch64" not in tags


def test_packages_that_pip_cannot_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    lines: list[Step] = []
    with pytest.raises(EnvironmentRefused) as refusal:
        fetch_wheels(b"no-such-package-of-ours==1.0\n", BasePython("3.11", "x86_64", "2.36"), lines.append)
    (problem,) = refusal.value.problems
    assert problem.code == "docker.wheels"
    assert "no-such-package-of-ours" in problem.value
    assert lines


@pytest.mark.docker
@pytest.mark.timeout(400)
def test_the_cpu_image_is_built_once(cpu_image: str) -> None:
    assert cpu_image == expected_image("auto", gpus_wanted=False) == cpu_image_name(connect())
    steps: list[Step] = []
    name, identity = prepare_image("auto", False, steps.append)
    assert (name, identity) == (cpu_image, image_id(connect(), cpu_image))
    assert steps == []


@pytest.mark.docker
@pytest.mark.parametrize(
    ("base", "code"),
    [("127.0.0.1:1/no/base:1", "docker.base_absent"), ("", "docker.base_python")],
    ids=["absent", "without python"],
)
def test_a_base_that_cannot_be_built_on(
    base: str, code: str, empty_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERT_TUI_BASE_IMAGE", base or empty_image)
    with pytest.raises(EnvironmentRefused) as refusal:
        prepare_image("auto", False, lambda step: None)
    (problem,) = refusal.value.problems
    assert (problem.code, problem.value) == (code, base or empty_image)


@pytest.fixture
def empty_image() -> Iterator[str]:
    """An image with one empty file."""
    name, client = "bert-tui-test-empty:1", connect(seconds=60)
    client.import_image_from_data(_layer({"empty": b""}), repository=name.split(":")[0], tag="1")
    yield name
    client.remove_image(name)


@pytest.mark.docker
def test_pulling_from_a_registry(registry: Registry) -> None:
    name, client = f"127.0.0.1:{registry.server_port}/some/image:1", connect(seconds=60)
    steps: list[Step] = []
    try:
        assert prepare_image(name, True, steps.append) == (name, image_id(client, name))
        assert steps
        before = registry.requests
        prepare_image(name, True, steps.append)
        assert registry.requests == before, "an image that is there is not pulled again"
    finally:
        client.remove_image(name)


@pytest.mark.docker
def test_pulling_what_the_registry_has_not_got(registry: Registry) -> None:
    with pytest.raises(EnvironmentRefused) as refusal:
        prepare_image(f"127.0.0.1:{registry.server_port}/some/image:2", True, lambda step: None)
    assert refusal.value.problems[0].code == "docker.image_unknown"


@pytest.mark.docker
def test_pulling_from_a_registry_that_is_not_there() -> None:
    with pytest.raises(EnvironmentRefused) as refusal:
        prepare_image("127.0.0.1:1/some/image:1", True, lambda step: None)
    assert refusal.value.problems[0].code == "docker.registry"


class Registry(ThreadingHTTPServer):
    """A registry with one image, some/image:1, by the registry's HTTP protocol, version 2."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.requests = 0
        layer = gzip.compress(_layer({"file": b"x" * 3_000_000}))
        diff = "sha256:" + hashlib.sha256(gzip.decompress(layer)).hexdigest()
        config = json.dumps(
            {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff]}, "config": {}}
        ).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _described(config, "application/vnd.docker.container.image.v1+json"),
            "layers": [_described(layer, "application/vnd.docker.image.rootfs.diff.tar.gzip")],
        }
        self.content = {
            "/v2/": b"{}",
            "/v2/some/image/manifests/1": json.dumps(manifest).encode(),
            **{f"/v2/some/image/blobs/{_digest(blob)}": blob for blob in (config, layer)},
        }
        self.content[f"/v2/some/image/manifests/{_digest(self.content['/v2/some/image/manifests/1'])}"] = self.content[
            "/v2/some/image/manifests/1"
        ]


_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class _Answer(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        self.server.requests += 1
        body = self.server.content.get(self.path)
        self.send_response(200 if body is not None else 404)
        if body is None:
            body = b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'
        self.send_header("Content-Type", _MANIFEST if "/manifests/" in self.path else "application/octet-stream")
        self.send_header("Docker-Content-Digest", _digest(body))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 (the name that http.server looks for)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test's output is the test's."""


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def _layer(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _described(content: bytes, kind: str) -> dict[str, object]:
    return {"mediaType": kind, "size": len(content), "digest": _digest(content)}
