"""Who changed a notebook, by the acts that the workspace recorded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.attribution import NEAR_MS, Authors, Changed, ChangeEvent

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
