"""Who changed a notebook, by the acts that the workspace recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.attribution import NEAR_MS, Authors, Changed, ChangeEvent, Maker, RestoreWrite, RestoreWrites

AT = 1_000_000_000


def _event(at_ms: int, actor: str, action: str = "modifyNotebook", **given: Any) -> ChangeEvent:
    return ChangeEvent(f"{at_ms}-{actor}-{action}", at_ms, actor, action, **given)


def _changed(**given: Any) -> Changed:
    return Changed(**{"path": "/c/job", "object_id": 7, "modified_at": AT, **given})


def test_the_act_at_the_modification_time_names_the_author() -> None:
    events = [
        _event(AT - 10**7, "grace", notebook="7"),
        _event(AT, "ada", notebook="7"),
        _event(AT, "linus", notebook="8"),
    ]
    assert Authors(events).of(_changed()) == "ada"


@pytest.mark.parametrize("path", ["/c/job", "/Workspace/c/job"])
def test_a_row_without_an_id_is_found_by_its_path(path: str) -> None:
    assert Authors([_event(AT + 900, "ada", path=path)]).of(_changed()) == "ada"


def test_an_earlier_act_of_somebody_else_does_not_stand_in_for_one_that_is_late() -> None:
    assert Authors([_event(AT - NEAR_MS - 1, "grace", notebook="7")]).of(_changed()) is None


def test_our_own_acts_are_left_out() -> None:
    events = [_event(AT, "Backup@example.com", "importNotebook", notebook="7")]
    assert Authors(events, ["backup@example.com"]).of(_changed()) is None


def test_a_row_that_comes_twice_counts_once() -> None:
    event = _event(AT, "ada", notebook="7")
    assert Authors([event, event]).of(_changed()) == "ada"


@pytest.mark.parametrize(
    ("old", "new", "by"),
    [
        ("/c/was", "/c/job", "grace"),
        ("/b", "/c", None),
        ("/Workspace/old", "/Workspace/c", "grace"),
    ],
)
def test_a_move_names_who_moved_the_notebook_or_a_folder_above_it(old: str, new: str, by: str | None) -> None:
    where = "/c/was" if old == "/c/was" else "/old/job"
    events = [_event(AT + 10**7, "grace", "moveFolder", path=old, new_path=new)]
    found = Authors(events).of(_changed(old_path=where, old_modified_at=AT))
    assert found == by


def test_who_edited_a_notebook_that_was_moved_too_is_its_author() -> None:
    events = [
        _event(AT, "ada", notebook="7", path="/c/was"),
        _event(AT + 5, "grace", "renameNotebook", notebook="7", path="/c/was", new_path="/c/job"),
    ]
    assert Authors(events).of(_changed(old_path="/c/was", old_modified_at=AT - 10**6)) == "ada"
    assert Authors(events).of(_changed(old_path="/c/was", old_modified_at=AT)) == "grace"


def test_a_removal_names_who_removed_the_notebook_or_a_folder_above_it() -> None:
    notebook = _event(AT + 5, "ada", "deleteNotebook", notebook="7", path="/c/job")
    folder = _event(AT + 9, "grace", "deleteFolder", notebook="1", path="/c")
    assert Authors([notebook]).of_removal("/c/job", 7, AT) == "ada"
    assert Authors([folder]).of_removal("/c/job", 7, AT) == "grace"
    assert Authors([folder]).of_removal("/cc/job", 7, AT) is None
    assert Authors([notebook]).of_removal("/c/job", 7, AT + 5) is None


@given(
    st.lists(
        st.builds(
            ChangeEvent,
            st.text(max_size=3),
            st.integers(0, 2**62),
            st.text(max_size=3),
            st.sampled_from(["modifyNotebook", "moveNotebook", "deleteFolder", "anything"]),
            st.text(max_size=3),
            st.text(max_size=6),
            st.text(max_size=6),
        )
    ),
    st.text(max_size=6),
    st.integers(0, 2**62),
)
def test_an_author_is_always_one_of_the_actors(events: list[ChangeEvent], path: str, at: int) -> None:
    authors, actors = Authors(events), {e.actor for e in events} - {""}
    assert authors.of(Changed(path, 7, at)) in actors | {None}
    assert authors.of(Changed(path, 7, at, "/x", 5)) in actors | {None}
    assert authors.of_removal(path, 7, at) in actors | {None}


BACKUP = "backup@example.com"
PEOPLE = ("ada", "bob", "cyn")
happenings = st.lists(
    st.tuples(
        st.sampled_from(["edit", "restore"]),
        st.integers(1, 3),
        st.sampled_from(PEOPLE),
        st.sampled_from(["one", "two"]),
        st.integers(1, 3 * NEAR_MS),
        st.integers(-NEAR_MS, NEAR_MS),
        st.booleans(),
    ),
    max_size=12,
)


@given(happenings)
def test_a_restore_is_seen_in_what_it_left_and_in_nothing_that_was_saved_since(
    drawn: list[tuple[str, int, str, str, int, int, bool]],
) -> None:
    """Each notebook is told by the last that happened to it, though our clock is not the workspace's."""
    at, events, writes = AT, [], []
    last: dict[int, tuple[str, str, str, int, str]] = {}
    for number, (what, notebook, who, sha256, pause, skew, late) in enumerate(drawn):
        at += pause
        last[notebook] = (what, who, sha256, at, f"r{number}")
        if what == "edit":
            events.append(_event(at, who, notebook=str(notebook)))
            continue
        own = _event(at, BACKUP, "importNotebook", notebook=str(notebook))
        events += [] if late else [own]
        began, ended = at + skew, at + skew if number % 2 else None
        writes.append(RestoreWrite(f"r{number}", who, f"/c/{notebook}", notebook, began, ended, at, sha256, 5))
    authors = Authors(events, [BACKUP], RestoreWrites(writes))
    for notebook, (what, who, sha256, modified_at, restore) in last.items():
        found = authors.maker(Changed(f"/c/{notebook}", notebook, modified_at, sha256=sha256))
        by = found.restore.restore if found.restore else None
        assert (found.author, by) == (who, restore if what == "restore" else None)
        assert authors.maker(Changed("/elsewhere", 99, modified_at, sha256=sha256)) == Maker(None)
        assert authors.maker(Changed(f"/c/{notebook}", notebook, modified_at, sha256="other")).restore is None


WRITE = RestoreWrite("r1", "ada", "/c/job", 7, AT - 10, AT + 10, AT, "one", 5)


@pytest.mark.parametrize(
    ("write", "found", "seen"),
    [
        ({}, {}, True),
        ({"ended_ms": None}, {}, True),
        ({}, {"sha256": None}, False),
        ({}, {"modified_at": AT + 1}, False),
        ({}, {"object_id": 8}, False),
        ({}, {"object_id": 0}, True),
        ({}, {"object_id": 0, "path": "/c/now", "old_path": "/c/job", "old_modified_at": 1}, True),
        ({}, {"path": "/c/now", "old_path": "/c/job", "old_modified_at": AT}, False),
        ({"began_ms": AT + NEAR_MS + 1, "ended_ms": None}, {}, False),
        ({"began_ms": 0, "ended_ms": AT - NEAR_MS - 1}, {}, False),
        ({"sha256": None}, {}, False),
    ],
    ids=str,
)
def test_a_restore_is_seen_by_object_bytes_and_moment(write: dict[str, Any], found: dict[str, Any], seen: bool) -> None:
    changed = _changed(**{"sha256": "one", **found})
    made = Authors([], [], RestoreWrites([replace(WRITE, **write)])).maker(changed)
    assert (made.author, made.restore is not None) == (("ada", True) if seen else (None, False))


def test_what_our_own_principal_wrote_last_is_not_the_work_of_whoever_edited_just_before() -> None:
    events = [_event(AT - 60_000, "bob", notebook="7"), _event(AT, BACKUP, "importNotebook", notebook="7")]
    assert Authors(events, [BACKUP]).of(_changed()) is None
    assert Authors(events, [BACKUP]).of(_changed(modified_at=AT - 60_000)) == "bob"


def test_a_removal_by_a_restore_is_told_unless_somebody_removed_that_very_notebook() -> None:
    removed = replace(WRITE, sha256=None, modified_at=0)
    restores = RestoreWrites([removed])
    by_hand = _event(AT + 5, "bob", "deleteNotebook", notebook="7", path="/c/job")
    folder = _event(AT + 9, "cyn", "deleteFolder", notebook="1", path="/c")
    assert Authors([], [], restores).remover("/c/job", 7, AT) == Maker("ada", removed)
    assert Authors([folder], [], restores).remover("/c/job", 7, AT) == Maker("ada", removed)
    assert Authors([folder], [], restores).remover("/c/job", 0, AT) == Maker("ada", removed)
    assert Authors([by_hand], [], restores).remover("/c/job", 7, AT) == Maker("bob")
    assert Authors([folder], [], restores).remover("/c/job", 8, AT) == Maker("cyn")
    assert Authors([], [], restores).remover("/c/job", 7, AT + 10 + NEAR_MS) == Maker(None)
    assert Authors([], [], RestoreWrites([WRITE])).remover("/c/job", 7, AT) == Maker(None)
