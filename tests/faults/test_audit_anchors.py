"""Whoever may push can write any commit: none of theirs makes a whole trail look forged, none hides a forgery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.memory.commits import MemoryCommit
from local.memory.repository import MemoryRemote
from local.memory.world import World
from shared.domain.audit import AuditAction, AuditEntry, AuditHead
from shared.domain.audit_check import AuditFault, Forgery
from shared.services.audit.proof import AnchorRules, AuditAnchors, AuditProof, Contradiction, ProvedPart
from shared.services.audit.rows import AUDIT, AuditRows
from shared.services.audit.trail import AuditTrail
from shared.services.state.maintenance import Kind
from tests.faults.living import fill, live

ADDRESS = "notebook-backup@localhost"
PERSON = "Ada <ada@example.com> 2026-01-01T00:00:00+00:00"
COPIED = f"Notebook Backup <{ADDRESS}> 2026-01-01T00:00:00+00:00"
FORGED = AuditHead(3, "f" * 64)


def _remote(world: World) -> MemoryRemote:
    assert isinstance(world.remote, MemoryRemote)
    return world.remote


def _person_pushes(
    world: World, message: str, committer: str = PERSON, on: str | None = None, merged: str | None = None
) -> str:
    """A commit on the branch, or, with `on`, one beside it."""
    remote = _remote(world)
    last = remote.commits[str(remote.head)]
    commit = MemoryCommit(on or remote.head, last.tree, message, f"{PERSON} {committer}", last.when, merged)
    name = remote.enter(commit)
    if on is None or merged:
        remote.head = name
    return name


def _block(head: AuditHead) -> str:
    """A message in the form of the backup's own."""
    trailers = f"Backup-Run: r9\nBackup-Workspace: w\nBackup-Root: /Clients\n{head.trailer()}\n"
    return f"Back up 1 notebook at 2026-01-01 00:00:00 UTC\n\n1 changed\n\n{trailers}"


def _backed_up(tmp_path: Path, **settings: str) -> World:
    world = World(tmp_path, seed=5, **settings)
    fill(world, 10)
    world.back_up()
    live(world, 4)
    world.back_up()
    return world


def _proof(world: World, *foreign: str, lost: AuditHead | None = None) -> ProvedPart:
    rules = AnchorRules(ADDRESS, foreign, lost)
    return AuditProof(AuditRows(world.tables), AuditAnchors(world.remote.mirror(world.scratch), None, rules)).part()


def _failures(world: World) -> list[dict[str, Any]]:
    return [f for f in world.maintain(Kind.VERIFY)["failures"] if f["path"] == AUDIT]


@pytest.mark.parametrize(
    "message",
    [
        f"Note what the backup said\n\n{FORGED.trailer()}\n",
        f"Note what the backup said\n\nIt said:\n{FORGED.trailer()}\nwhich is odd\n",
        _block(FORGED),
        f"{_block(FORGED)}\nReviewed-by: Grace\n",
    ],
    ids=["a trailer", "in the body", "the whole block", "the block and another"],
)
def test_a_person_who_writes_an_anchor_does_not_break_the_proof(tmp_path: Path, message: str) -> None:
    world = _backed_up(tmp_path)
    _person_pushes(world, message)
    found = _proof(world)
    assert (found.verdict.fault, found.strange, found.foreign) == (None, 1, 0)
    assert _failures(world) == []


def test_a_merge_that_brings_such_commits_does_not_break_the_proof(tmp_path: Path) -> None:
    world = _backed_up(tmp_path)
    first = list(world.remote.messages())[-1]
    beside = _person_pushes(world, f"Beside\n\n{FORGED.trailer()}\n", on=first)
    _person_pushes(world, f"Merge\n\n{FORGED.trailer()}\n", on=str(_remote(world).head), merged=beside)
    found = _proof(world)
    assert (found.verdict.fault, found.strange) == (None, 2)
    assert _failures(world) == []


def test_the_backups_own_commits_still_anchor_beside_those_of_people(tmp_path: Path) -> None:
    world = _backed_up(tmp_path)
    _person_pushes(world, f"Beside\n\n{FORGED.trailer()}\n")
    found = _proof(world)
    heads = {text.partition("Backup-Audit: ")[2].strip() for text in world.remote.messages().values()}
    own = {head for head in heads if head and head != f"{FORGED.sequence}:{FORGED.hash}"}
    # One anchor is the stored head itself.
    assert found.anchors == len(own) + 1
    assert found.verdict.anchored == found.end.sequence


def test_a_copied_commit_of_the_backup_says_the_same_again_and_harms_nothing(tmp_path: Path) -> None:
    world = _backed_up(tmp_path)
    oldest = list(world.remote.messages().values())[-1]
    for committer in (PERSON, COPIED):
        _person_pushes(world, oldest, committer)
    assert _proof(world).verdict.fault is None
    assert _failures(world) == []


def test_a_commit_with_the_backups_copied_identity_is_named_and_can_be_declared_foreign(tmp_path: Path) -> None:
    world = _backed_up(tmp_path)
    forged = _person_pushes(world, _block(FORGED), COPIED)
    found = _proof(world)
    assert found.verdict.fault == AuditFault(Forgery.FORKED, 3)
    assert found.against == (Contradiction(FORGED, (forged,), kept=False),)
    (failure,) = _failures(world)
    assert forged in failure["reason"]
    declared = _proof(world, forged)
    assert (declared.verdict.fault, declared.foreign, declared.against) == (None, 1, ())
    world.settings["audit_foreign"] = f"{'0' * 40}, {forged.upper()}"
    world.process()
    assert _failures(world) == []


def test_a_commit_that_names_a_record_to_come_is_named_too(tmp_path: Path) -> None:
    world = _backed_up(tmp_path)
    later = AuditHead(10**6, "e" * 64)
    forged = _person_pushes(world, _block(later), COPIED)
    found = _proof(world)
    assert found.verdict.fault is not None
    assert found.verdict.fault.kind is Forgery.TRUNCATED
    assert found.against == (Contradiction(later, (forged,), kept=False),)


def test_a_trail_computed_anew_is_still_found_and_the_commits_that_prove_it_are_named(tmp_path: Path) -> None:
    world = _backed_up(tmp_path)
    entries = list(AuditTrail(world.tables, world.clock).records())
    named = {c for c, text in world.remote.messages().items() if "Backup-Audit: " in text}
    for key in [k for k in world.tables.stored if k[0] == AUDIT]:
        del world.tables.stored[key]
    world.process()
    anew = AuditTrail(world.tables, world.clock)
    for _ in entries:
        anew.append(_entry())
    found = _proof(world)
    assert found.verdict.fault is not None
    assert found.verdict.fault.kind is Forgery.FORKED
    assert found.against
    assert {c for one in found.against for c in one.commits} <= named


def _entry() -> AuditEntry:
    return AuditEntry(AuditAction.LISTED, "system", "forged")


def _lost(tmp_path: Path) -> tuple[World, AuditHead, str]:
    """A world whose trail went with its storage; its last head, and the commit that names it."""
    world = _backed_up(tmp_path)
    name, text = next(iter(world.remote.messages().items()))
    number, _, digest = text.partition("Backup-Audit: ")[2].strip().partition(":")
    for key in [k for k in world.tables.stored if k[0] == AUDIT]:
        del world.tables.stored[key]
    world.process()
    live(world, 4)
    world.back_up()
    return world, AuditHead(int(number), digest), name


def _forge(world: World) -> None:
    """Write the new trail anew, as long as it was."""
    count = AuditTrail(world.tables, world.clock).head().sequence
    for key in [k for k in world.tables.stored if k[0] == AUDIT]:
        del world.tables.stored[key]
    world.process()
    anew = AuditTrail(world.tables, world.clock)
    for _ in range(count):
        anew.append(_entry())


def test_after_a_loss_the_commits_up_to_the_last_head_do_not_count(tmp_path: Path) -> None:
    world, lost, _ = _lost(tmp_path)
    assert _proof(world).verdict.fault is not None
    assert _proof(world, lost=lost).verdict.fault is None
    _forge(world)
    assert _proof(world, lost=lost).verdict.fault is not None


def test_a_copy_of_the_last_lost_commit_does_not_hide_the_anchors_before_it(tmp_path: Path) -> None:
    world, lost, name = _lost(tmp_path)
    message = world.remote.messages()[name]
    beside = _person_pushes(world, message, COPIED, on=str(_remote(world).commits[name].parent))
    _person_pushes(world, "Merge", on=str(_remote(world).head), merged=beside)
    _person_pushes(world, message, COPIED)
    assert _proof(world, lost=lost).verdict.fault is None
    _forge(world)
    assert _proof(world, lost=lost).verdict.fault is not None


def test_a_merge_with_another_first_parent_does_not_bring_back_what_was_lost(tmp_path: Path) -> None:
    world, lost, _ = _lost(tmp_path)
    beside = _person_pushes(world, "Beside", on=list(world.remote.messages())[-1])
    copied = _person_pushes(world, _block(FORGED), COPIED, on=beside)
    # The branch's own commits are on the second line of it.
    _person_pushes(world, "Merge", on=copied, merged=str(_remote(world).head))
    assert _proof(world, lost=lost).verdict.fault is None
    _forge(world)
    assert _proof(world, lost=lost).verdict.fault is not None
