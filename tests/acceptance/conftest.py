"""A whole system of its own for a test module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.lab import Lab
from local.system import LocalSystem, SystemOptions
from tests.browser import browser
from tests.packages import bare_root

__all__ = ["bare_root", "browser"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A system with the options in the module's OPTIONS."""
    folder = tmp_path_factory.mktemp("system")
    options = SystemOptions(folder / "data", port=0, **getattr(request.module, "OPTIONS", {}))
    (folder / "clones").mkdir()
    with LocalSystem(options) as system:
        yield Lab(system, folder / "clones")
