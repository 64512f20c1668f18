"""What a meter promises, kept by the one that asks a Git server and by the one in memory."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.git_server import REPOSITORY
from local.memory.meter import MemoryMeter
from local.memory.repository import MemoryRemote
from shared.adapters.repository_size import GitSizeMeter
from shared.protocols import SizeMeter
from tests.remotes import GitRemote
from tests.servers import TOKEN

BASIC = "Basic " + base64.b64encode(f":{TOKEN}".encode()).decode()


@dataclass
class Measured:
    """A meter, and how a person adds a file to what it measures; returns the new head."""

    meter: SizeMeter
    add: Callable[[str], str]


@pytest.fixture(params=["memory", "git over http"])
def measured(request: pytest.FixtureRequest) -> Measured:
    if request.param == "memory":
        held = MemoryRemote()
        return Measured(MemoryMeter(held.contents), lambda name: held.person_commits({name: _content(name)}))
    server = request.getfixturevalue("serve")("local.git_server")
    remote = GitRemote(Path(server.folder / REPOSITORY))
    meter = GitSizeMeter(f"{server.url}/{REPOSITORY}", lambda: BASIC)
    return Measured(meter, lambda name: remote.person_commits({name: _content(name)}))


def _content(name: str) -> bytes:
    return random.Random(name).randbytes(2_000).hex().encode()


def test_a_repository_grows_with_what_is_added(measured: Measured) -> None:
    first = measured.meter.measure(measured.add("a.py"), None)
    second = measured.meter.measure(measured.add("b.py"), first)
    assert 1_000 < first.size < second.size < 20_000
    assert (first.whole, second.whole) == (True, True)


def test_the_same_head_has_the_same_size(measured: Measured) -> None:
    head = measured.add("a.py")
    first = measured.meter.measure(head, None)
    assert measured.meter.measure(head, first) == first
    assert measured.meter.measure(head, None) == first
