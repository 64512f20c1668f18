"""Every method of every adapter, with every fault it can meet: the backup comes through, or says what it could not."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path

import pytest

from local.faults.port_faults import Declared, Fault, FaultTap
from local.memory.world import World, succeeded
from shared import protocols
from shared.services.state.maintenance import Kind
from tests.faults.living import check_equal, fill, live

PROTOCOLS = {
    "workspace": protocols.Workspace,
    "repository": protocols.Repository,
    "blobs": protocols.BlobStore,
    "queue": protocols.Queue,
    "tables": protocols.Tables,
}
NOT_CALLED = {
    ("workspace", "import_notebook"): "the backup writes no notebook",
    ("workspace", "make_folder"): "restores alone: test_restores.py",
    ("workspace", "delete_notebook"): "restores alone: test_restores.py",
    ("repository", "message"): "read by people's requests alone",
    ("repository", "messages_with"): "read through the reader: test_adoption.py",
    ("repository", "commits_with"): "read through the reader: test_audit_acts.py",
    ("repository", "parents"): "read through the reader: test_audit_anchors.py",
    ("repository", "history"): "read through the reader: test_history.py",
    ("blobs", "renew_lease"): "called by a thread of its own: test_lease.py",
}
ANSWERS_WITH_A_BODY = {
    "workspace": {"list", "export", "export_folder", "status"},
    "repository": {"fetch", "tree", "blobs", "contains", "own_files"},
    "blobs": {"get", "get_file"},
}
CAN_BE_STALE = {
    "workspace": {"list", "status"},
    "repository": {"fetch"},
    "blobs": {"names"},
    "tables": {"get", "query"},
}
"""Answers that change while nobody writes: the rest is named by its content, or is itself a write."""
DAYS_BETWEEN = 6
"""So that retention has something to remove, and the sample of one verification is that of the next."""


ONCE = {"delete", "revive", "forget", "export_folder", "create", "touched", "contains"}


def _methods(port: str) -> list[str]:
    return [name for name, _ in inspect.getmembers(PROTOCOLS[port], inspect.isfunction) if not name.startswith("_")]


def _declared() -> list[Declared]:
    found = []
    for port in PROTOCOLS:
        for method in _methods(port):
            if (port, method) in NOT_CALLED:
                continue
            for fault in Fault:
                if fault is Fault.CUT_BODY and method not in ANSWERS_WITH_A_BODY.get(port, ()):
                    continue
                if fault is Fault.STALE and method not in CAN_BE_STALE.get(port, ()):
                    continue
                found.append(Declared(port, method, fault))
    return found


def _provoke(world: World, declared: Declared) -> None:
    """What has to happen for the fault to be met at all."""
    if declared.method == "revive":
        world.remote.move(None)
    if (declared.method, declared.fault) == ("status", Fault.STALE):
        for path, _ in world.notebooks():
            world.model.apply("edit", "ada", path=path, content=f"# {world.clock.monotonic()}\n")


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("declared", _declared(), ids=str)
def test_a_fault_is_survived(tmp_path: Path, declared: Declared, nth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, seed=nth)
    fill(world)
    if nth == 2 and declared.method != "export_folder":
        world.workspace.behaviour.zip_style = "never"
    world.back_up()
    # A rare call may be the only one of its kind.
    tap = FaultTap(replace(declared, nth=1 if declared.method in ONCE else nth))
    world.process(tap)
    if declared.method in ("forget", "check"):
        monkeypatch.setattr("local.memory.repository.MemoryRepository.check", lambda self: ["a bad object"])
    for _ in range(2):
        world.clock.sleep(DAYS_BETWEEN * 86_400)
        live(world, 10)
        world.model.apply("create", "ada", path=f"/Clients/etl/new {world.clock.monotonic()}", content="# new\n")
        _provoke(world, declared)
        run = world.back_up()
        assert run["status"] in ("succeeded", "partial", "failed")
        if succeeded(run) and declared.fault is not Fault.STALE:
            assert world.backed_up() == world.notebooks(), "it said success, and something is missing"
        elif run["status"] == "partial":
            assert run["failures"] or run["counts"]["held"]
        world.maintain(Kind.VERIFY)
        world.maintain(Kind.REBUILD)
    assert tap.fired >= 1, "the declared fault never fired"
    world.process()
    monkeypatch.undo()
    last = world.back_up()
    assert succeeded(last) or (last["status"] == "partial" and last["counts"]["held"])
    check_equal(world)


def test_every_method_is_declared_or_excused() -> None:
    declared = {(d.port, d.method) for d in _declared()}
    everything = {(port, method) for port in PROTOCOLS for method in _methods(port)}
    assert declared | NOT_CALLED.keys() == everything
    assert len(_declared()) >= 150
