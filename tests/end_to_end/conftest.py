from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import NO_ENGINE
from tests.end_to_end.operator import Operator


@pytest.fixture
def operator(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Operator]:
    """Somebody who has never used the program: an empty home folder, and no engine unless the test is about one."""
    somebody = Operator(tmp_path / "home")
    if request.node.get_closest_marker("docker") is None:
        somebody.variables["DOCKER_HOST"] = NO_ENGINE
    yield somebody
    somebody.end_everything()


@pytest.fixture(scope="module")
def module_operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """The same without an engine, for several tests that look at one run."""
    somebody = Operator(tmp_path_factory.mktemp("operator") / "home", {"DOCKER_HOST": NO_ENGINE})
    yield somebody
    somebody.end_everything()
