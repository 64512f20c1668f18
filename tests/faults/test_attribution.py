"""Thirty days and twelve people: each change is told with who made it, in Git and in the history."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from local.faults.crash_points import CRASH_POINTS, CrashTap, play_dead
from local.faults.port_faults import Declared, Fault, FaultTap
from local.memory.workspace import PRINCIPAL
from local.memory.world import ROOT, World
from shared.domain.change_report import Selection
from shared.domain.times import iso
from shared.domain.versions import VersionKind
from shared.services.audit.rows import Where
from shared.services.reporting.audit_access import Reader
from shared.services.reporting.report_html import report_html
from shared.services.state.maintenance import Kind
from tests.faults.recovering import restore, undo
from tests.people_at_work import TWELVE, Counts, PeopleAtWork, Truth
from tests.remotes import GitRemote

DAY = 86_400
type Told = dict[tuple[str, str], str | None]
"""Who did what: by path and kind of change."""


@dataclass
class Life:
    """A world that twelve people work in."""

    world: World

    def __post_init__(self) -> None:
        world = self.world
        self.people = PeopleAtWork(world.draw, self._apply, self._notebooks, world.clock.sleep)

    @property
    def truth(self) -> Truth:
        """Who did what since the last backup."""
        return self.people.truth

    def day(self, acts: int = 14) -> None:
        """Some acts, none of them twice on one notebook."""
        self.people.day(acts)

    def back_up(self) -> str:
        """A backup that succeeds; its commit."""
        run = self.world.back_up()
        assert run["status"] == "succeeded", run["failures"]
        return str(run["commit"])

    def told(self) -> Told:
        """What the history says of the last run."""
        history = self.world.app.history
        latest = history.moment("latest")
        paths = {path for path, _ in self.truth}
        found = [v for path in paths for v in history.versions(path) if v.commit.run_id == latest.run_id]
        return {
            (v.version.path, v.version.kind.value): v.version.author
            for v in found
            if v.version.kind is not VersionKind.MOVED_AWAY
        }

    def reported(self) -> Counts:
        """What the report of the last day counts, by person and kind of change."""
        reports = self.world.app.reports
        found = reports.changes(reports.period(None, None), Selection(), 10_000).report
        assert found.left_out == 0
        groups = {g.key.name: g.tally.kinds for g in found.people}
        return Counter({(name, kind.value): count for name, kinds in groups.items() for kind, count in kinds.items()})

    def _apply(self, op: str, user: str, /, **fields: str) -> None:
        self.world.model.apply(op, user, **fields)

    def _notebooks(self) -> list[str]:
        return [path for path, _ in self.world.notebooks()]


@pytest.fixture(params=["memory", "git"])
def life(request: pytest.FixtureRequest, tmp_path: Path) -> Life:
    remote = GitRemote(tmp_path / "remote.git") if request.param == "git" else None
    return Life(World(tmp_path / "scratch", seed=9, remote=remote))


def test_each_change_of_thirty_days_is_told_with_who_made_it(life: Life) -> None:
    days = 30 if life.world.remote.__class__ is not GitRemote else 5
    commits: Counter[str] = Counter()
    for _ in range(days):
        life.day()
        life.back_up()
        assert life.told() == life.truth
        assert life.reported() == life.people.counts()
        commits.update(set(life.truth.values()) - {None})
        life.world.clock.sleep(DAY)
    by_author = Counter(f"{author}" for author in _commit_authors(life.world))
    assert by_author == commits


def _commit_authors(world: World) -> list[str]:
    """Who wrote each of the backup's commits, in Git."""
    mirror = world.remote.mirror(world.scratch / "looking")
    head = mirror.fetch()
    assert head
    return [c.author for c in mirror.history(head) if "Backup-Run: " in c.message]


def test_rows_that_come_late_are_entered_beside_the_commit(life: Life) -> None:
    life.world.workspace.behaviour.update({"audit_late_seconds": 6 * 3_600, "audit_late_every": 3})
    unknown = total = 0
    for _ in range(4):
        life.day()
        commit = life.back_up()
        told = life.told()
        assert all(told[what] in (None, who) for what, who in life.truth.items())
        unknown += sum(who is None for who in told.values())
        total += len(told)
        life.world.clock.sleep(8 * 3_600)
        life.world.maintain(Kind.VERIFY)
        life.world.app.attribution.catch_up(f"catch-{total}")
        assert life.told() == life.truth
        assert commit in life.world.remote.messages(), "history was rewritten"
        life.world.process()
        assert life.told() == life.truth
        life.world.clock.sleep(DAY)
    assert 0 < unknown < total / 2


def test_an_index_that_is_made_anew_knows_late_authors_too(life: Life) -> None:
    life.world.workspace.behaviour.update({"audit_late_seconds": 3_600, "audit_late_every": 2})
    life.day()
    life.back_up()
    life.world.clock.sleep(2 * 3_600)
    assert life.world.app.attribution.catch_up("later") > 0
    for file in life.world.scratch.glob("history.sqlite*"):
        file.unlink()
    life.world.process()
    assert life.told() == life.truth


@pytest.mark.parametrize("method", ["ours", "events"])
def test_a_run_goes_on_without_authors_where_they_cannot_be_read(life: Life, method: str) -> None:
    life.day()
    tap = FaultTap(Declared("changes", method, Fault.ERROR_BEFORE, times=9))
    life.world.process(tap)
    run = life.world.back_up()
    assert tap.fired > 0
    assert run["status"] == "succeeded"
    assert [n["code"] for n in run["notices"]] == ["authors_unknown"]
    assert set(life.told().values()) == {None}
    life.world.process()
    assert life.world.app.attribution.catch_up("later") == len(life.truth)
    assert life.told() == life.truth


def _restored(life: Life) -> tuple[str, str, dict[str, Any]]:
    """A notebook that was changed by a restore, at once after somebody's edit; the day it is from, and the restore."""
    life.day()
    commit = life.back_up()
    life.world.clock.sleep(DAY)
    path = next(p for p, kind in life.truth if kind == "created")
    life.world.model.apply("edit", TWELVE[0], path=path, content="# edited\n")
    life.back_up()
    life.world.clock.sleep(DAY)
    life.world.model.apply("edit", TWELVE[1], path=path, content="# broken\n")
    life.world.clock.sleep(30)
    found = restore(life.world, paths=[path], at=commit)
    assert found["status"] == "succeeded"
    return path, commit, found


def test_a_restore_is_told_as_the_work_of_whoever_asked_for_it(life: Life) -> None:
    path, commit, done = _restored(life)
    other = next(p for p, _ in life.world.notebooks() if p != path)
    life.world.model.apply("edit", "ada", path=other, content="# by hand\n")
    life.back_up()
    history, reports = life.world.app.history, life.world.app.reports
    put_back, version = history.version(path, commit).version, history.versions(path)[0].version
    assert (version.author, version.restore, version.restored_from) == ("ada", done["id"], put_back.modified_at)
    assert (version.sha256, history.versions(other)[0].version.restore) == (put_back.sha256, None)
    assert _commit_authors(life.world)[-2:] == ["ada", "ada"], "what she did by hand is a commit of its own"
    message = life.world.remote.messages()[history.versions(path)[0].commit.commit]
    day = iso(put_back.modified_at)[:10]
    assert f"\nBackup-Restore: {done['id']}\n" in message
    assert (
        f"Restore {done['id']} of {iso(int(_began(done) * 1000))[:16].replace('T', ' ')} UTC: 1 put back from {day}\n"
        in message
    )
    assert "Backup-Restore" not in life.world.remote.messages()[history.versions(other)[0].commit.commit]
    shown = report_html(reports.changes(reports.period(None, None), Selection(), 100))
    assert f"restored by ada from {day}" in shown
    assert PRINCIPAL not in {v.version.author for v in history.versions(path)}
    (record,) = [
        r
        for r in life.world.app.audit.page(Where(action="committed"), 10_000, Reader("t", ""), {}).records
        if r.detail.get("restores")
    ]
    assert record.detail["restores"] == done["id"]


def _began(done: dict[str, Any]) -> float:
    return datetime.fromisoformat(done["created_at"]).timestamp()


def test_an_undo_that_removes_what_a_restore_made_is_told_with_who_asked(life: Life) -> None:
    life.day()
    commit = life.back_up()
    life.world.clock.sleep(DAY)
    path = next(p for p, kind in life.truth if kind == "created")
    life.world.model.apply("delete", TWELVE[0], path=path)
    life.back_up()
    life.world.clock.sleep(DAY)
    made = restore(life.world, paths=[path], at=commit)
    life.back_up()
    life.world.clock.sleep(DAY)
    undone = undo(life.world, str(made["id"]))
    life.back_up()
    told = [(v.version.kind, v.version.author, v.version.restore) for v in life.world.app.history.versions(path)]
    assert told[:2] == [(VersionKind.DELETED, "ada", undone["id"]), (VersionKind.CREATED, "ada", made["id"])]


def test_whoever_saves_a_notebook_after_its_restore_is_its_author(life: Life) -> None:
    path, _, done = _restored(life)
    life.world.clock.sleep(30)
    content = life.world.notebooks()[path, "PYTHON"].decode()
    life.world.model.apply("edit", TWELVE[2], path=path, content=content)
    life.back_up()
    version = life.world.app.history.versions(path)[0].version
    assert (version.author, version.restore) == (TWELVE[2], None)
    assert done["items"][0]["found_sha256"] == version.sha256, "the bytes are those of the restore"


def test_a_restore_is_known_where_the_log_is_not(life: Life) -> None:
    path, _, done = _restored(life)
    life.world.process(FaultTap(Declared("changes", "events", Fault.ERROR_BEFORE, times=9)))
    run = life.world.back_up()
    assert [n["code"] for n in run["notices"]] == ["authors_unknown"]
    version = life.world.app.history.versions(path)[0].version
    assert (version.author, version.restore) == ("ada", done["id"])


def test_a_restore_whose_result_comes_after_the_backup_is_entered_beside_the_commit(life: Life) -> None:
    path, commit, done = _restored(life)
    row, _ = life.world.tables.stored["restores", "restore", done["id"]]
    results = row.pop("results")
    life.world.process()
    life.back_up()
    assert life.world.app.history.versions(path)[0].version.author is None, "nobody is better than somebody else"
    row["results"] = results
    life.world.clock.sleep(3_600)
    life.world.process()
    assert life.world.app.attribution.catch_up("later") == 1
    put_back = life.world.app.history.version(path, commit).version
    version = life.world.app.history.versions(path)[0].version
    assert (version.author, version.restore, version.restored_from) == ("ada", done["id"], put_back.modified_at)


def test_a_history_read_from_git_alone_knows_authors_and_restores(life: Life) -> None:
    path, _, done = _restored(life)
    life.back_up()
    before = _makers(life.world)
    for name in [n for n in life.world.blobs.stored if n.startswith("history")]:
        life.world.blobs.delete(name)
    for file in life.world.scratch.glob("history.sqlite*"):
        file.unlink()
    life.world.process()
    assert _makers(life.world) == before
    assert before[path, "changed"] == ("ada", done["id"])


def _makers(world: World) -> dict[tuple[str, str], tuple[str | None, str | None]]:
    """Who made the last change of each kind of each notebook, and by which restore."""
    found = world.app.history.changes(0, 2**62)
    return {
        (c.found.version.path, c.found.version.kind.value): (c.found.version.author, c.found.version.restore)
        for c in found
    }


@pytest.mark.parametrize("gone", ["Load", "load"])
def test_a_file_that_gets_another_name_since_a_sibling_went_is_nobodys_change(life: Life, gone: str) -> None:
    world, paths = life.world, {name: f"{ROOT}/{name}" for name in ("Load", "load")}
    for path in paths.values():
        world.model.apply("create", "ada", path=path, language="PYTHON", content="# made\n")
    life.back_up()
    files = set(world.remote.contents())
    world.clock.sleep(DAY)
    world.model.apply("delete", "bob", path=paths.pop(gone))
    life.back_up()
    (stays,) = paths.values()
    assert world.backed_up() == world.notebooks()
    assert life.reported() == Counter({("bob", "deleted"): 1})
    assert [v.version.kind for v in world.app.history.versions(stays)] == [VersionKind.CREATED]
    by = {"bob"} if set(world.remote.contents()) < files else {"bob", "Notebook Backup"}
    assert set(_commit_authors(world)) == {"ada", *by}


@pytest.mark.parametrize("name", ["committed, not pushed", "pushed, answer lost", "pushed, manifest missing"])
def test_a_death_around_the_push_loses_no_author(life: Life, name: str) -> None:
    life.day()
    life.world.process(CrashTap(CRASH_POINTS[name], play_dead))
    life.back_up()
    assert life.world.seen["restart"] == 1
    assert life.told() == life.truth
    assert len(_commit_authors(life.world)) == len(set(life.truth.values()))


def test_a_persons_edit_is_told_though_the_first_author_has_nothing_to_commit(life: Life) -> None:
    world, paths = life.world, [f"{ROOT}/{name}" for name in ("one", "two", "three")]
    for path in paths:
        world.model.apply("create", "ada", path=path, language="PYTHON", content="# made\n")
    world.back_up()
    world.clock.sleep(3_600)
    one, two, three = paths
    # What nobody is known for stands on the branch already; the backup puts back `two`, and Ada changes `three`.
    world.model.apply("edit", PRINCIPAL, path=one, content="# same\n")
    world.clock.sleep(3_600)
    world.model.apply("edit", "ada", path=three, content="# hers\n")
    person = world.remote.person_commits({"one.py": b"# same\n", "two.py": b"theirs"})
    assert world.back_up()["status"] == "succeeded"
    told = world.app.history.versions(two)
    assert [v.version.kind for v in told] == [VersionKind.CONFLICT, VersionKind.BRANCH_EDIT, VersionKind.CREATED]
    assert told[1].commit.commit == person
    assert world.app.content.at(two, person).data == b"theirs"
    assert world.app.content.at(one, "latest").data == b"# same\n"
    assert _commit_authors(world)[-2:] == ["Notebook Backup", "ada"]
