"""Restores bring back exactly what was, prove it, destroy nothing, and come through whatever happens."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from local.faults.taps import Call, QuietTap
from local.memory.world import ROOT, World
from shared.services.recovery import restores
from shared.services.recovery.history import NotInBackup, UnknownMoment
from shared.services.recovery.restores import NothingToUndo, RestoreExpired, UnusablePlan
from tests.faults.recovering import at_once, finish, lived, outcome_of, restore, undo

OVERSIZE = b"# Databricks notebook source\n" + b"x" * 10_485_760
BEFORE = "# Databricks notebook source\nbefore\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, seed=3)


def _note(world: World, name: str = "job", content: str = BEFORE, language: str = "PYTHON") -> str:
    """A notebook that is in the backup; what happens after is up to the test."""
    path = f"{ROOT}/{name}"
    world.model.apply("create", "ada", path=path, language=language, content=content)
    world.back_up()
    world.clock.sleep(60)
    return path


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_one_notebook_is_restored_at_once_and_the_answer_proves_it(world: World) -> None:
    path = _note(world)
    world.model.apply("edit", "ada", path=path, content="# broken\n")
    found = at_once(world, paths=[path], at="latest")
    assert (found["status"], outcome_of(found)) == ("succeeded", ("verified", None))
    item = found["items"][0]
    assert item["expected_sha256"] == item["found_sha256"] == _sha(BEFORE.encode())
    assert world.notebooks() == {(path, "PYTHON"): BEFORE.encode()}
    assert (found["requested_by"], found["requested_from"]) == ("ada", "")


def test_a_dry_run_changes_nothing_and_says_what_would_happen(world: World) -> None:
    path = _note(world)
    world.model.apply("edit", "ada", path=path, content="# broken\n")
    journal = len(world.model.audit)
    found = at_once(world, paths=[path, f"{ROOT}/none"], at="latest", dry_run=True)
    assert found["status"] == "planned"
    assert [(i["action"], i["reason"]) for i in found["items"]] == [("overwrite", None), ("refuse", "not_in_backup")]
    assert len(world.model.audit) == journal


def test_an_undo_brings_back_what_was_overwritten_and_can_be_undone_itself(world: World) -> None:
    path = _note(world)
    world.model.apply("edit", "ada", path=path, content="# never backed up\n")
    edited = world.notebooks()
    done = restore(world, paths=[path], at="latest")
    restored = world.notebooks()
    back = undo(world, done["id"])
    assert (back["status"], back["kind"], back["undo_of"]) == ("succeeded", "undo", done["id"])
    assert world.notebooks() == edited
    assert undo(world, back["id"])["status"] == "succeeded"
    assert world.notebooks() == restored


def test_what_was_edited_between_plan_and_restore_is_not_overwritten_unless_asked_again(world: World) -> None:
    path = _note(world)
    world.model.apply("edit", "ada", path=path, content="# broken\n")
    plan = at_once(world, paths=[path], at="latest", dry_run=True)
    world.clock.sleep(5)
    world.model.apply("edit", "grace", path=path, content="# precious\n")
    precious = world.notebooks()
    refused = restore(world, paths=[path], at="latest", plan=plan["id"])
    assert (refused["status"], outcome_of(refused)) == ("failed", ("refused", "edited_since_plan"))
    assert world.notebooks() == precious
    forced = restore(world, paths=[path], at="latest", plan=plan["id"], force=True)
    assert forced["status"] == "succeeded"
    assert undo(world, forced["id"])["status"] == "succeeded"
    assert world.notebooks() == precious


def test_an_undo_leaves_what_was_edited_after_the_restore(world: World) -> None:
    path = _note(world)
    world.model.apply("edit", "ada", path=path, content="# broken\n")
    done = restore(world, paths=[path], at="latest")
    world.clock.sleep(5)
    world.model.apply("edit", "grace", path=path, content="# precious\n")
    precious = world.notebooks()
    assert outcome_of(undo(world, done["id"])) == ("refused", "changed_since_restore")
    assert world.notebooks() == precious
    assert undo(world, done["id"], force=True)["status"] == "succeeded"
    assert world.notebooks() == {(path, "PYTHON"): b"# broken\n"}


def test_a_deleted_notebook_comes_back_with_its_folder_and_goes_again_by_undo(world: World) -> None:
    world.model.apply("mkdir", "ada", path=f"{ROOT}/deep/er")
    path = _note(world, "deep/er/job", language="SQL")
    world.model.apply("delete", "ada", path=f"{ROOT}/deep", recursive=True)
    done = restore(world, paths=[path], at="latest")
    assert outcome_of(done) == ("verified", None)
    assert world.notebooks() == {(path, "SQL"): BEFORE.encode()}
    assert undo(world, done["id"])["status"] == "succeeded"
    assert world.notebooks() == {}


def test_a_renamed_notebook_is_restored_under_its_old_name_and_the_new_one_stays(world: World) -> None:
    path = _note(world)
    world.model.apply("move", "ada", path=path, to=f"{ROOT}/other")
    assert outcome_of(restore(world, paths=[path], at="latest")) == ("verified", None)
    assert {p for p, _ in world.notebooks()} == {path, f"{ROOT}/other"}


def test_a_language_that_was_changed_comes_back_with_the_bytes(world: World) -> None:
    path = _note(world, language="SCALA")
    world.model.apply("set_language", "ada", path=path, language="SQL")
    done = restore(world, paths=[path], at="latest")
    assert outcome_of(done) == ("verified", None)
    assert world.notebooks() == {(path, "SCALA"): BEFORE.encode()}
    assert undo(world, done["id"])["status"] == "succeeded"
    assert {language for _, language in world.notebooks()} == {"SQL"}


@pytest.mark.parametrize(
    ("beside", "target"),
    [
        ({"target": "/Users/ada/back"}, "/Users/ada/back/etl/job"),
        ({"suffix": " restored"}, f"{ROOT}/etl/job restored"),
        ({"target": "/Users/ada", "suffix": "_1"}, "/Users/ada/etl/job_1"),
    ],
)
def test_a_restore_beside_leaves_what_is_there(world: World, beside: dict[str, str], target: str) -> None:
    world.model.apply("mkdir", "ada", path=f"{ROOT}/etl")
    path = _note(world, "etl/job")
    world.model.apply("edit", "ada", path=path, content="# now\n")
    done = restore(world, paths=[path], at="latest", **beside)
    assert (done["items"][0]["target"], outcome_of(done)) == (target, ("verified", None))
    assert world.model.get(path).source() == b"# now\n"
    assert world.model.get(target).source() == BEFORE.encode()
    assert undo(world, done["id"])["status"] == "succeeded"
    assert world.model.find(target) is None


def test_a_workspace_that_gives_back_other_bytes_is_never_called_verified(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _note(world)
    world.model.apply("edit", "ada", path=path, content="# now\n")
    write = world.workspace.import_notebook
    monkeypatch.setattr(world.workspace, "import_notebook", lambda p, data, *how: write(p, data + b"#", *how))
    done = restore(world, paths=[path], at="latest")
    assert (done["status"], outcome_of(done)) == ("failed", ("failed", "bytes_differ"))
    assert done["items"][0]["found_sha256"] == _sha(BEFORE.encode() + b"#")
    monkeypatch.undo()
    assert undo(world, done["id"])["status"] == "succeeded"
    assert world.notebooks() == {(path, "PYTHON"): b"# now\n"}


def test_what_is_no_notebook_is_never_overwritten(world: World) -> None:
    path = _note(world)
    world.model.apply("delete", "ada", path=path)
    world.model.apply("mkdir", "ada", path=f"{path}/inside")
    assert outcome_of(restore(world, paths=[path], at="latest")) == ("refused", "occupied")
    assert world.model.find(f"{path}/inside") is not None


def test_an_oversize_notebook_that_is_unchanged_is_said_so_and_one_that_is_not_is_refused(world: World) -> None:
    path = f"{ROOT}/huge"
    world.model.apply("create", "ada", path=path, language="PYTHON", content=OVERSIZE.decode())
    world.back_up()
    world.clock.sleep(60)
    assert outcome_of(restore(world, paths=[path], at="latest")) == ("unchanged", None)
    world.model.apply("edit", "ada", path=path, content="# small\n")
    assert outcome_of(restore(world, paths=[path], at="latest")) == ("refused", "too_large")
    assert world.model.get(path).source() == b"# small\n"


def test_an_oversize_notebook_that_is_overwritten_is_kept_as_jupyter(world: World) -> None:
    path = _note(world)
    # Over the limit as source, and under it as Jupyter once its cells are read: what undo can bring back.
    world.model.apply("edit", "ada", path=path, content=OVERSIZE.decode())
    done = restore(world, paths=[path], at="latest")
    assert outcome_of(done) == ("verified", None)
    assert any(name.endswith(".ipynb") for name in world.blobs.stored if "/kept-" in name)
    assert outcome_of(undo(world, done["id"])) == ("refused", "too_large")
    assert world.notebooks() == {(path, "PYTHON"): BEFORE.encode()}


def test_a_notebook_kept_as_jupyter_comes_back_from_jupyter(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.workspace.api.MOST_SOURCE_BYTES", 400)
    monkeypatch.setattr("local.workspace.api.MOST_IMPORT_BYTES", 10_485_760)
    text = "# Databricks notebook source\n" + "y" * 600
    path = _note(world, content=text)
    world.model.apply("edit", "ada", path=path, content="# Databricks notebook source\nnow")
    done = restore(world, paths=[path], at="latest")
    assert outcome_of(done) == ("verified", None)
    assert world.notebooks() == {(path, "PYTHON"): text.encode()}


def test_a_folder_as_of_a_day_is_what_it_was_and_undo_is_what_it_became(world: World) -> None:
    days = lived(world, 4)
    now = world.notebooks()
    for day in days:
        done = restore(world, folder=ROOT, at=day.commit, remove_extra=True)
        assert done["status"] == "succeeded", [i for i in done["items"] if i["reason"]]
        assert world.notebooks() == day.notebooks
        assert undo(world, done["id"])["status"] == "succeeded"
        assert world.notebooks() == now
    assert [r["kind"] for r in world.app.restores.recent(8)].count("undo") == len(days)


def test_a_folder_without_being_asked_to_removes_nothing(world: World) -> None:
    path = _note(world)
    world.model.apply("create", "ada", path=f"{ROOT}/later", language="SQL", content="-- new\n")
    done = restore(world, folder=ROOT, at="latest")
    assert [i["path"] for i in done["items"]] == [path]
    assert {p for p, _ in world.notebooks()} == {path, f"{ROOT}/later"}


class _Workspace(QuietTap):
    """Counts calls of the workspace."""

    calls = 0

    def meet(self, when: str, call: Call) -> None:
        """See `QuietTap.meet`."""
        self.calls += when == "before" and call.port in ("workspace", "restoring")


def test_a_plan_of_very_many_notebooks_is_made_by_a_step_and_not_while_somebody_waits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [_note(world, f"job {number}") for number in range(3)]
    monkeypatch.setattr(restores, "MOST_NOTEBOOKS_AT_ONCE", 2)
    world.process(seen := _Workspace())
    planned = at_once(world, folder=ROOT, at="latest", dry_run=True)
    assert (planned["status"], planned["items"], seen.calls) == ("running", [], 0)
    found = finish(world, planned["id"])
    assert (found["status"], [item["path"] for item in found["items"]]) == ("planned", paths)
    assert seen.calls
    monkeypatch.setattr(restores, "MOST_NOTEBOOKS_AT_ONCE", 3)
    assert at_once(world, folder=ROOT, at="latest", dry_run=True)["status"] == "planned"


def test_a_page_of_a_restore_is_what_it_was_asked_for(world: World) -> None:
    paths = [_note(world, f"job {number}") for number in range(5)]
    done = restore(world, folder=ROOT, at="latest")
    pages = [world.app.restores.get(done["id"], limit=2, offset=offset)["items"] for offset in (0, 2, 4, 10**9)]
    assert [[item["path"] for item in page] for page in pages] == [paths[:2], paths[2:4], paths[4:], []]


def test_a_plan_serves_only_what_it_was_made_for(world: World) -> None:
    path, other = _note(world), _note(world, "other")
    plan = at_once(world, paths=[path], at="latest", dry_run=True)["id"]
    with pytest.raises(UnusablePlan):
        at_once(world, paths=[other], at="latest", plan=plan)
    done = at_once(world, paths=[path], at="latest", plan=plan)["id"]
    with pytest.raises(UnusablePlan):
        at_once(world, paths=[path], at="latest", plan=done)
    with pytest.raises(NothingToUndo):
        undo(world, plan)


def test_what_a_restore_replaced_is_kept_for_its_time_and_who_asked_for_good(world: World) -> None:
    first, *_ = lived(world, 2)
    done = restore(world, folder=ROOT, at=first.commit)
    kept = [n for n in world.blobs.names(f"restores/{done['id']}/") if "/kept-" in n]
    assert kept
    world.clock.sleep(90 * 86_400)
    world.back_up()
    assert world.app.restores.get(done["id"])["items"] == done["items"]
    world.clock.sleep(86_400)
    world.back_up()
    found = world.app.restores.get(done["id"])
    assert (found["items"], found["expired"], found["requested_by"]) == ([], True, "ada")
    assert found["counts"] == done["counts"]
    assert list(world.blobs.names(f"restores/{done['id']}/")) == []
    row = world.app.restores._store.row(done["id"])
    assert (row["plan"], row["results"]) == ("", "")
    with pytest.raises(RestoreExpired):
        undo(world, done["id"])


def test_nonsense_is_refused_before_anything_is_kept(world: World) -> None:
    _note(world)
    with pytest.raises(UnknownMoment):
        at_once(world, paths=[f"{ROOT}/job"], at="1999-01-01")
    with pytest.raises(NotInBackup):
        at_once(world, folder=f"{ROOT}/nowhere", at="latest")
    for body in (
        {"at": "latest"},
        {"at": "latest", "paths": [f"{ROOT}/a"], "folder": ROOT},
        {"at": "latest", "paths": ["relative"]},
        {"at": "latest", "paths": [f"{ROOT}/../x"]},
        {"at": "latest", "paths": [f"{ROOT}/a"], "remove_extra": True},
        {"at": "latest", "folder": ROOT, "target": "/x", "remove_extra": True},
        {"at": "latest", "folder": ROOT, "suffix": "a/b"},
        {"at": "latest", "folder": ROOT, "unknown": 1},
    ):
        with pytest.raises(ValueError, match=r"."):
            at_once(world, **body)
    assert all(r["status"] != "running" for r in world.app.restores.recent(50))


class EditAfter(QuietTap):
    """Somebody edits the notebook right after the first call of a method."""

    def __init__(self, world: World, path: str, method: str) -> None:
        self._world, self._path, self._method, self.done = world, path, method, False
        self.threads: dict[str, str] = {}

    def meet(self, when: str, call: Call) -> None:
        """See `QuietTap.meet`."""
        self.threads.setdefault(call.method, threading.current_thread().name)
        if when == "after" and call.method == self._method and not self.done:
            self.done = True
            self._world.model.apply("edit", "grace", path=self._path, content=MEANWHILE)


MEANWHILE = "# Databricks notebook source\nmeanwhile\n"


@pytest.mark.parametrize("method", ["status", "export"])
def test_an_edit_while_the_restore_looks_is_kept_or_not_overwritten(world: World, method: str) -> None:
    path = _note(world)
    world.model.apply("edit", "ada", path=path, content="# Databricks notebook source\nbroken\n")
    tap = EditAfter(world, path, method)
    world.process(tap)
    done = restore(world, paths=[path], at="latest")
    assert tap.done
    if outcome_of(done)[0] == "refused":
        assert outcome_of(done) == ("refused", "edited_since_plan")
        assert world.notebooks()[(path, "PYTHON")] == MEANWHILE.encode()
    else:
        assert outcome_of(done) == ("verified", None)
        assert world.notebooks()[(path, "PYTHON")] == BEFORE.encode()


def test_with_force_what_is_there_is_read_after_its_state(world: World) -> None:
    """An edit just before the bytes are read is what is overwritten: it has to be what is kept."""
    path = _note(world)
    world.model.apply("edit", "ada", path=path, content="# Databricks notebook source\nbroken\n")
    plan = at_once(world, paths=[path], at="latest", dry_run=True)
    tap = EditAfter(world, path, "status")
    world.process(tap)
    done = restore(world, paths=[path], at="latest", plan=plan["id"], force=True)
    assert tap.threads["status"] == tap.threads["export"], "two threads would look in either order"
    assert world.notebooks()[(path, "PYTHON")] == BEFORE.encode()
    assert undo(world, done["id"])["status"] == "succeeded"
    assert world.notebooks()[(path, "PYTHON")] == MEANWHILE.encode()
