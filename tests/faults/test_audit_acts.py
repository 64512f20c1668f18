"""Every act leaves one record, none twice, whatever dies or fails meanwhile; and the trail is proved and cared for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from local.faults.crash_points import CRASH_POINTS, RESTORE_POINTS, CrashPoint, CrashTap, play_dead
from local.faults.taps import Call, QuietTap
from local.memory.repository import MemoryCommit, MemoryRemote
from local.memory.world import ROOT, World, succeeded
from shared.domain.audit import AuditAction, AuditEntry, AuditHead, AuditRecord
from shared.domain.audit_check import AuditFault, Forgery
from shared.services.audit.proof import AnchorRules, AuditAnchors, AuditProof
from shared.services.audit.rows import AUDIT, REMOVED, AuditRows, row_key
from shared.services.audit.trail import AuditTrail, AuditUnavailable
from shared.services.state.maintenance import Kind
from shared.settings import Settings
from tests.faults.living import fill, live
from tests.faults.recovering import at_once, restore, undo

TOKEN = "dapi" + "0123456789abcdef" * 2
DAY_SECONDS = 86_400
A = AuditAction


def _trail(world: World) -> AuditTrail:
    return AuditTrail(world.tables, world.clock)


def _records(world: World, action: AuditAction | None = None) -> list[AuditRecord]:
    return [r for r in _trail(world).records() if action in (None, r.action)]


def _of(world: World, correlation: str) -> Counter[str]:
    return Counter(r.action for r in _records(world) if r.correlation == correlation)


def _check_trail(world: World) -> None:
    """The chain holds, and no act that can be repeated is there twice."""
    assert _trail(world).verify().fault is None
    named = Counter((r.correlation, r.key) for r in _records(world))
    assert [name for name, count in named.items() if count > 1] == []


def _check_run(world: World, run: dict[str, Any]) -> None:
    """The records of a run say what its row says."""
    found = _of(world, run["run_id"])
    batches = world.app.batches.rows(run["run_id"])
    once = {name: found[name] for name in (A.RUN_STARTED, A.LISTED, A.RUN_ENDED)}
    assert once == {A.RUN_STARTED: 1, A.LISTED: 1, A.RUN_ENDED: 1}
    assert found[A.EXPORTED] == len(batches)
    assert found[A.DELETED] == bool(run["counts"]["deleted"])
    (ended,) = [r for r in _records(world, A.RUN_ENDED) if r.correlation == run["run_id"]]
    assert ended.result == {"succeeded": "done", "partial": "partial", "failed": "failed"}[run["status"]]
    assert ended.detail["listed"] == run["counts"]["listed"]
    assert ended.detail.get("commit") == run["commit"]


def test_a_run_a_restore_its_undo_and_a_verification_leave_one_record_for_each_act(tmp_path: Path) -> None:
    world = World(tmp_path, seed=5)
    fill(world)
    path, leaky = f"{ROOT}/etl/job", f"{ROOT}/leaky"
    world.model.apply("create", "ada", path=path, language="PYTHON", content="# before\n")
    world.model.apply("create", "ada", path=leaky, language="PYTHON", content=f"t = '{TOKEN}'\n")
    first = world.back_up()
    world.clock.sleep(60)
    world.model.apply("edit", "ada", path=path, content="# after\n")
    world.model.apply("delete", "ada", path=leaky)
    world.remote.person_commits({"etl/job.py": b"overwritten"})
    second = world.back_up()
    for run in (first, second):
        _check_run(world, run)
    plan = at_once(world, paths=[path], at="latest", dry_run=True)
    done = restore(world, paths=[path], at=first["commit"])
    back = undo(world, done["id"])
    assert (done["status"], back["status"]) == ("succeeded", "succeeded")
    proved = world.maintain(Kind.VERIFY)
    rebuilt = world.maintain(Kind.REBUILD)
    assert (proved["status"], proved["failures"], rebuilt["status"]) == ("passed", [], "passed")
    assert proved["audit_records"] > 0
    acts = Counter(r.action for r in _records(world))
    assert acts == {
        A.SETTINGS_SEEN: 1,
        A.RUN_STARTED: 2,
        A.LISTED: 2,
        A.EXPORTED: acts[A.EXPORTED],
        A.COMMITTED: sum("Backup-Run: " in text for text in world.remote.messages().values()),
        A.PUSHED: 2,
        A.SECRET_FOUND: 1,
        A.DELETED: 1,
        A.CONFLICT_SETTLED: 1,
        A.RUN_ENDED: 2,
        A.PLANNED: 1,
        A.RESTORED: 1,
        A.RESTORE_UNDONE: 1,
        A.VERIFIED: 1,
        A.REBUILT: 1,
        A.TAG_CREATED: 2,
    }
    told = {r.action: r for r in _records(world)}
    assert told[A.DELETED].detail == {"notebooks": 1, "paths": leaky}
    assert (told[A.SECRET_FOUND].object, TOKEN in repr(_records(world))) == (leaky, False)
    assert (told[A.CONFLICT_SETTLED].object, told[A.CONFLICT_SETTLED].correlation) == ("etl/job.py", second["run_id"])
    asked = told[A.RESTORED]
    assert (asked.actor, asked.object, asked.correlation, asked.result) == ("ada", path, done["id"], "done")
    assert (asked.detail["from"], asked.detail["commit"], asked.detail["verified"]) == ("10.0.0.1", first["commit"], 1)
    assert told[A.RESTORE_UNDONE].detail["undo_of"] == done["id"]
    assert told[A.PLANNED].correlation == plan["id"]
    assert (told[A.VERIFIED].correlation, told[A.VERIFIED].detail["files"]) == (proved["id"], proved["files"])
    _check_trail(world)


def test_deletions_that_are_held_are_recorded_with_their_paths(tmp_path: Path) -> None:
    world = World(tmp_path, seed=5)
    fill(world, 30)
    world.back_up()
    world.model.apply("delete", "ada", path=f"{ROOT}/etl", recursive=True)
    run = world.back_up()
    (held,) = _records(world, A.DELETION_HELD)
    assert (run["status"], held.detail["notebooks"], held.correlation) == (
        "partial",
        run["counts"]["held"],
        run["run_id"],
    )
    assert str(held.detail["paths"]).split("\n")[0].startswith(f"{ROOT}/etl/")
    _check_run(world, run)


def test_a_run_that_cannot_be_planned_is_recorded_as_failed_with_its_reason(tmp_path: Path) -> None:
    world = World(tmp_path, seed=5)
    world.workspace.behaviour.denied = {ROOT}
    run = world.back_up()
    assert run["status"] == "failed"
    (ended,) = _records(world, A.RUN_ENDED)
    assert (ended.result, "planning" in str(ended.detail["error"])) == ("failed", True)
    assert _of(world, run["run_id"])[A.RUN_STARTED] == 1


@pytest.mark.parametrize("name", CRASH_POINTS)
def test_a_run_whose_process_dies_is_recorded_once(tmp_path: Path, name: str) -> None:
    world = World(tmp_path, seed=len(name))
    fill(world)
    world.back_up()
    live(world, 12)
    tap = CrashTap(CRASH_POINTS[name], play_dead)
    world.process(tap)
    run = world.back_up()
    assert tap.dead, "the point was never reached"
    _check_run(world, run)
    _check_trail(world)


@pytest.mark.parametrize("nth", range(1, 11))
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_that_dies_while_it_records_leaves_each_act_once(tmp_path: Path, when: str, nth: int) -> None:
    world = World(tmp_path, seed=2)
    fill(world)
    world.back_up()
    live(world, 12)
    tap = CrashTap(CrashPoint(when, r"tables\.(insert|replace|upsert|upsert_many)\(audit,", nth), play_dead)
    world.process(tap)
    run = world.back_up()
    assert tap.dead, "the point was never reached"
    assert succeeded(run)
    _check_run(world, run)
    _check_trail(world)


@pytest.mark.parametrize("name", RESTORE_POINTS)
def test_a_restore_whose_process_dies_is_recorded_once(tmp_path: Path, name: str) -> None:
    world = World(tmp_path, seed=len(name))
    fill(world)
    first = world.back_up()
    world.clock.sleep(60)
    for path, language in sorted(world.notebooks()):
        world.model.apply("edit", "ada", path=path, content=f"# broken {language}\n")
    world.model.apply("create", "ada", path=f"{ROOT}/etl/extra", language="SQL", content="-- later\n")
    tap = CrashTap(RESTORE_POINTS[name], play_dead)
    world.process(tap)
    done = _restored(world, folder=ROOT, at=first["commit"], remove_extra=True)
    assert tap.dead, "the point was never reached"
    assert _of(world, done["id"]) == {A.RESTORED: 1}
    _check_trail(world)


def _restored(world: World, **body: Any) -> dict[str, Any]:
    """A restore that is asked for again where the process died before it was known."""
    try:
        return restore(world, **body)
    except BaseException as error:
        if type(error).__name__ != "Crash":
            raise
    world.restart()
    known = [r["id"] for r in world.app.restores.recent(1)]
    if not known:
        return restore(world, **body)
    world.app.restores.step(known[0])
    return world.app.restores.get(known[0])


class Outage(QuietTap):
    """The table of the trail does not answer while `is_down`."""

    def __init__(self) -> None:
        self.is_down = True

    def before(self, call: Call) -> None:
        if self.is_down and call.port == "tables" and call.arguments[0] == AUDIT:
            raise HttpResponseError("the service refused")


def test_a_run_waits_for_a_trail_that_does_not_answer_and_is_recorded_whole(tmp_path: Path) -> None:
    world = World(tmp_path, seed=9)
    fill(world)
    outage = Outage()
    outage.is_down = False
    world.process(outage)
    world.start()
    for _ in range(60):
        world._step()
        if world.app.runs.get(str(world.app.runs.active()))["phase"] == "exporting":
            break
    outage.is_down = True
    for _ in range(40):
        world._step()
    assert world.seen["AuditUnavailable"] + world.seen["HttpResponseError"] > 0
    assert world.app.runs.active() is not None, "a run ended unrecorded"
    outage.is_down = False
    world.settle()
    (row,) = world.app.status.recent(1)
    run = world.app.status.run(row["run_id"])
    assert succeeded(run)
    _check_run(world, run)
    _check_trail(world)


def test_a_restore_is_not_over_before_it_is_recorded(tmp_path: Path) -> None:
    world = World(tmp_path, seed=9)
    world.model.apply("create", "ada", path=f"{ROOT}/job", language="PYTHON", content="# before\n")
    world.back_up()
    world.clock.sleep(60)
    world.model.apply("edit", "ada", path=f"{ROOT}/job", content="# after\n")
    world.app.history.moment("latest")
    outage = Outage()
    world.process(outage)
    with pytest.raises(AuditUnavailable):
        at_once(world, paths=[f"{ROOT}/job"], at="latest")
    (under_way,) = world.app.restores.recent(1)
    assert under_way["status"] == "running"
    outage.is_down = False
    assert world.app.restores.step(under_way["id"])
    assert world.app.restores.get(under_way["id"])["status"] == "succeeded"
    assert _of(world, under_way["id"]) == {A.RESTORED: 1}


def test_each_process_records_its_settings_and_which_changed_without_a_secret(tmp_path: Path) -> None:
    world = World(tmp_path, git_token="a-secret-of-the-settings")
    world.back_up()
    world.process()
    world.back_up()
    world.settings["stall_minutes"] = 20
    world.process()
    world.back_up()
    first, same, changed = _records(world, A.SETTINGS_SEEN)
    assert (first.detail["changed"], same.detail["changed"]) == ("", "")
    assert first.detail["sha256"] == same.detail["sha256"] != changed.detail["sha256"]
    told = [changed.detail[name] for name in ("changed", "before BACKUP_STALL_MINUTES", "BACKUP_STALL_MINUTES")]
    assert told == ["BACKUP_STALL_MINUTES", "15", "20"]
    assert (first.detail["GIT_TOKEN"], "a-secret" in repr(_records(world))) == ("set", False)


def test_the_head_is_kept_in_the_anchors_container_after_each_run_and_verification(tmp_path: Path) -> None:
    world = World(tmp_path, audit_anchor_container="anchors")
    fill(world)
    world.back_up()
    world.maintain(Kind.VERIFY)
    ended, verified = _records(world, A.RUN_ENDED)[0].head, _records(world, A.VERIFIED)[0].head
    assert list(world.anchors.names("")) == [f"{h.sequence:012}-{h.hash}" for h in (ended, verified)]


@pytest.mark.parametrize("anchor", ["git", "blob"])
def test_a_verification_holds_the_trail_to_its_anchors(tmp_path: Path, anchor: str) -> None:
    world = World(tmp_path, audit_anchor_container="anchors" if anchor == "blob" else "")
    fill(world)
    world.back_up()
    before, held = {k: v for k, v in world.tables.stored.items() if k[0] == AUDIT}, _trail(world).head().sequence
    live(world, 12)
    world.back_up()
    if anchor == "git":
        _anchor_in_git(world, _trail(world).head())
    set_back = {k: v for k, v in world.tables.stored.items() if k[0] != AUDIT} | before
    assert world.maintain(Kind.VERIFY)["status"] == "passed"
    world.tables.stored.clear()
    world.tables.stored.update(set_back)
    found = world.maintain(Kind.VERIFY)
    (failure,) = [f for f in found["failures"] if f["path"] == AUDIT]
    assert (found["status"], failure["code"]) == ("failed", "audit_broken")
    assert f"truncated at record {held + 1}:" in failure["reason"]
    (verified,) = [r for r in _records(world, A.VERIFIED) if r.correlation == found["id"]]
    assert verified.result == "partial"


def _anchor_in_git(world: World, head: AuditHead) -> None:
    remote = world.remote
    assert isinstance(remote, MemoryRemote)
    last = remote.commits[str(remote.head)]
    when, address = last.when, Settings.model_fields["committer_email"].default
    text = f"Back up 1 notebook\n\nBackup-Run: r9\n{head.trailer()}\n"
    who = f"Notebook Backup <{address}> {when.isoformat()}"
    remote.head = remote.enter(MemoryCommit(remote.head, last.tree, text, f"{who} {who}", when))


def test_retention_is_applied_by_the_verification_and_the_trail_still_holds(tmp_path: Path) -> None:
    world = World(tmp_path, audit_retention_days=2)
    fill(world)
    for _ in range(5):
        world.back_up()
        world.clock.sleep(DAY_SECONDS)
    assert world.maintain(Kind.VERIFY)["status"] == "passed"
    oldest = _records(world)[0]
    assert oldest.sequence > 1
    assert world.clock.now().timestamp() * 1000 - oldest.at_ms <= 3 * DAY_SECONDS * 1000
    assert len(_records(world, A.AUDIT_PRUNED)) == 1
    assert world.maintain(Kind.VERIFY)["failures"] == []


def _long(tmp_path: Path, count: int = 100) -> tuple[World, AuditProof]:
    world = World(tmp_path)
    trail = AuditTrail(world.tables, world.clock, carried=0)
    for n in range(count):
        trail.append(AuditEntry(A.LISTED, "system", str(n)))
        world.clock.sleep(3_600)
    return world, AuditProof(
        AuditRows(world.tables), AuditAnchors(world.remote.mirror(tmp_path), None, AnchorRules(""))
    )


def _row(world: World, sequence: int) -> tuple[str, str, str]:
    (found,) = [k for k in world.tables.stored if k[0] == AUDIT and k[2] == row_key(sequence)]
    return found


@pytest.mark.parametrize("most", [2, 7, 40, 1_000])
@pytest.mark.parametrize("at", [1, 13, 14, 39, 40, 41, 99])
def test_parts_find_the_same_first_bad_record_as_the_whole(tmp_path: Path, most: int, at: int) -> None:
    world, proof = _long(tmp_path)
    assert (proof.whole(most=most).verdict.records, proof.whole(most=most).verdict.fault) == (100, None)
    forged = AuditTrail(world.tables, world.clock)
    keys = _row(world, at)
    body = str(world.tables.stored[keys][0]["body"]).replace('"system"', '"nobody"')
    world.tables.upsert(*keys, {"body": body})
    assert forged.verify().fault == AuditFault(Forgery.EDITED, at)
    assert proof.whole(most=most).verdict.fault == AuditFault(Forgery.EDITED, at)
    world.tables.delete(*keys)
    found = proof.whole(most=most).verdict.fault
    assert found is not None
    assert found.sequence == at


@pytest.mark.parametrize("most", [7, 1_000])
def test_parts_find_a_trail_that_was_cut_and_one_that_lost_its_beginning(tmp_path: Path, most: int) -> None:
    world, proof = _long(tmp_path)
    whole = proof.whole(most=most)
    assert proof.part(whole.verdict.head, most).verdict.fault is None
    assert proof.part(AuditHead(101, "f" * 64), most).verdict.fault == AuditFault(Forgery.TRUNCATED, 101)
    assert proof.part(AuditHead(50, "f" * 64), most).verdict.fault == AuditFault(Forgery.EDITED, 51)
    tenth = next(r for r in _records(world) if r.sequence == 10).head
    world.tables.upsert(AUDIT, "head", REMOVED, {"sequence": tenth.sequence, "hash": tenth.hash})
    assert proof.whole(most=most).verdict.fault == AuditFault(Forgery.UNSEALED, 10)
