"""The pages over a world in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.memory.world import World
from shared import wiring
from tests.pages_site import LOAD, Site, adapters_of, back_up, write


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    world = World(tmp_path / "world")
    monkeypatch.setenv("DATABRICKS_HOST", "https://adb-1.azuredatabricks.net")
    monkeypatch.setenv("GIT_REMOTE_URL", "https://dev.azure.com/o/p/_git/r")
    monkeypatch.setenv("AzureWebJobsStorage", "UseDevelopmentStorage=true")
    monkeypatch.setenv("BACKUP_SCRATCH", str(tmp_path / "scratch"))
    wiring.decorate(lambda real: adapters_of(world, tmp_path))
    wiring.services.cache_clear()
    yield Site(world)
    wiring.decorate(lambda real: real)
    wiring.services.cache_clear()


@pytest.fixture
def past(site: Site) -> str:
    """Two versions of one notebook; the commit of the first."""
    write(site.world, LOAD, "print(1)\n")
    first = back_up(site.world)
    write(site.world, LOAD, "print(2)\n")
    back_up(site.world)
    return first
