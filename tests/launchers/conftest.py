"""Jobs to launch, whose "supervisor" is a few lines of a test: what is run is the run's own code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bert_tui.launchers.protocol import Job
from trainer.spec.run_directory import RunDirectory

RUN_ID = "20261124-101010-bert-tiny-0a1b"

MakeJob = Callable[..., Job]


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    """Makes a job of a new run below ``tmp_path``; ``supervisor`` is the text of its trainer/supervise.py."""
    count = iter(range(10_000))

    def make(supervisor: str = "import time; time.sleep(60)", image: str = "", gpus: tuple[str, ...] = ()) -> Job:
        run = RunDirectory(tmp_path / "runs" / f"{RUN_ID[:-4]}{next(count):04x}")
        attempt, logs, data = run.attempt(1), tmp_path / "logs" / run.id, tmp_path / "data"
        for folder in (run.code / "trainer", attempt.path, attempt.control, logs, data):
            folder.mkdir(parents=True, exist_ok=True)
        (run.code / "trainer" / "__init__.py").touch()
        (run.code / "trainer" / "supervise.py").write_text(supervisor)
        (data / "text.bin").write_bytes(b"data")
        return Job(
            attempt=attempt,
            device="cuda" if gpus else "cpu",
            gpus=gpus,
            ranks=2,
            threads=1,
            image=image,
            readable=(run.code, data),
            writable=(run.path, logs),
            stop_seconds=40,
        )

    return make


@pytest.fixture
def no_containers_left(tmp_path: Path) -> Iterator[None]:
    """Ends what a test leaves running, also where it fails."""
    from bert_tui.launchers.container_spec import RUN_LABEL
    from bert_tui.launchers.engine import connect

    yield
    client = connect(seconds=60)
    for container in client.containers(all=True, filters={"label": RUN_LABEL}):
        if Path(container["Labels"][RUN_LABEL]).is_relative_to(tmp_path):
            client.remove_container(container["Id"], force=True, v=True)
