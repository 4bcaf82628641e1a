from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.operator import Operator


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    """Somebody who has never used the program: an empty home folder."""
    somebody = Operator(tmp_path / "home")
    yield somebody
    somebody.end_everything()


@pytest.fixture(scope="module")
def module_operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """The same, for several tests that look at one run."""
    somebody = Operator(tmp_path_factory.mktemp("operator") / "home")
    yield somebody
    somebody.end_everything()
