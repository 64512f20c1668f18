"""State that earlier versions of the app left: the present code goes on from it, and loses nothing.

Each file `tests/data/state-*.json.gz` was made by `tests/data/make_state.py` with the code of one version. A change of
what is stored that this test does not pass needs code that reads the older form, or a new `STATE_VERSION`.
"""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from local.memory.world import ROOT, World
from shared.services.reporting.audit_access import Reader
from shared.services.state.state_version import STATE_VERSION, stored_version
from tests.faults.living import check_equal
from tests.remotes import GitRemote

STATES = sorted((Path(__file__).resolve().parent.parent / "data").glob("state-*.json.gz"))
RENAMED = f"{ROOT}/etl/load renamed"


class Later:
    """The stored state of a version, under the present code."""

    def __init__(self, file: Path, folder: Path) -> None:
        self.state: dict[str, Any] = json.loads(gzip.decompress(file.read_bytes()))
        remote = GitRemote(folder / "remote.git")
        bundle = folder / "bundle"
        bundle.write_bytes(base64.b64decode(self.state["repository"]))
        fetch = ["fetch", "--quiet", str(bundle), "main:main"]
        subprocess.run(["git", "-C", str(remote.path), *fetch], check=True)
        self.world = World(folder / "scratch", remote=remote)
        self._load()
        self.world.process()

    def _load(self) -> None:
        world, state = self.world, self.state
        world.model.__init__(now=lambda: world.clock.now().timestamp())  # type: ignore[misc]
        for operation in state["workspace"]:
            fields = {n: v for n, v in operation.items() if n not in ("op", "user", "at")}
            world.clock.sleep(operation["at"] / 1000 - world.clock.now().timestamp())
            world.model.apply(operation["op"], operation["user"], **fields)
        world.clock.sleep((datetime.fromisoformat(state["now"]) - world.clock.now()).total_seconds())
        world.tables.stored.clear()
        for table, partition, key, row in state["tables"]:
            world.tables.insert(table, partition, key, row)
        world.blobs.stored = {n: (base64.b64decode(data), seal) for n, (data, seal) in state["blobs"].items()}
        for queue, texts in state["queues"].items():
            for text in texts:
                world.queues.send(queue, text)


@pytest.fixture(params=STATES, ids=lambda file: file.name.partition(".")[0])
def later(request: pytest.FixtureRequest, tmp_path: Path) -> Later:
    return Later(request.param, tmp_path)


def test_there_is_state_of_an_earlier_version() -> None:
    assert STATES


def test_the_run_that_was_under_way_is_finished_and_the_next_exports_nothing(later: Later) -> None:
    world, run_id = later.world, later.state["run"]
    assert world.app.runs.active() == run_id
    world.committing = True
    world.settle()
    finished = world.app.status.run(run_id)
    assert (finished["status"], finished["counts"]["created"]) == ("succeeded", 3)
    check_equal(world)
    after = world.back_up()
    assert (after["status"], after["planned"], after["commit"]) == ("succeeded", 0, None)
    assert stored_version(world.tables) == STATE_VERSION


def test_the_history_is_as_it_was_and_every_version_is_read(later: Later) -> None:
    app = later.world.app
    found = [[v.commit.commit, v.version.kind.value, v.version.path] for v in app.history.versions(RENAMED)]
    assert found == later.state["history"]
    assert len(found) >= 3
    oldest = found[-1]
    assert app.content.at(oldest[2], oldest[0]).data == b"print(1)\n"


def test_the_audit_trail_holds_and_goes_on(later: Later) -> None:
    world = later.world
    before = world.app.audit.prove(None, Reader("test", "here"), 50_000)
    assert (before.verdict.intact, before.verdict.anchored > 0) == (True, True)
    world.committing = True
    world.settle()
    after = world.app.audit.prove(None, Reader("test", "here"), 50_000)
    assert (after.verdict.intact, after.end.sequence > before.end.sequence) == (True, True)
