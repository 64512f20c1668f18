"""What a version index tells of a time range."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.names import extension
from shared.domain.notebooks import ExportFormat, Language
from shared.domain.versions import CommitMark, CommitVersions, LateAuthor, Version, VersionKind
from tests.telling import HOUR_MS, MIDNIGHT_MS, ROOT, History, new_history

A, B, SURROGATE = f"{ROOT}/a", f"{ROOT}/b", f"{ROOT}/\ud800"
type Told = list[tuple[str, str, str | None]]


@pytest.fixture
def history(tmp_path: Path) -> History:
    return new_history(tmp_path)


def _told(history: History, first: int, last: int) -> Told:
    """Path, kind, and the path at which what was before stood, of the changes from one hour until before another."""
    found = history.index.changes(MIDNIGHT_MS + first * HOUR_MS, MIDNIGHT_MS + last * HOUR_MS)
    return [(c.found.version.path, c.found.version.kind.value, c.before and c.before.path) for c in found]


def test_a_range_holds_its_beginning_and_not_its_end(history: History) -> None:
    for hour in range(3):
        history.write(A, [str(hour)], "ada@example.com")
        history.commit(MIDNIGHT_MS + hour * HOUR_MS)
    assert _told(history, 0, 1) == [(A, "created", None)]
    assert _told(history, 1, 3) == [(A, "changed", A), (A, "changed", A)]
    assert _told(history, 3, 9) == _told(history, 1, 1) == _told(history, -5, 0) == []
    (only,) = history.index.changes(MIDNIGHT_MS + HOUR_MS, MIDNIGHT_MS + HOUR_MS + 1)
    assert (only.found.commit.commit, only.found.commit.committed_at) == (f"{2:040x}", MIDNIGHT_MS + HOUR_MS)
    assert only.found.version.author == "ada@example.com"


def test_changes_come_by_commit_and_path(history: History) -> None:
    for hour in range(2):
        for path in (SURROGATE, B, A):
            history.write(path, [str(hour)], None)
        history.commit(MIDNIGHT_MS + hour * HOUR_MS)
    assert [path for path, _, _ in _told(history, 0, 2)] == [A, B, SURROGATE] * 2


def test_a_renamed_notebook_follows_on_the_one_it_came_from(history: History) -> None:
    history.write(A, ["1"], None)
    history.commit(MIDNIGHT_MS)
    history.move(A, B, ["1", "2"], None)
    history.commit(MIDNIGHT_MS + HOUR_MS)
    assert _told(history, 1, 2) == [(A, "moved_away", A), (B, "renamed", A)]
    (_, moved) = history.index.changes(MIDNIGHT_MS + HOUR_MS, MIDNIGHT_MS + 2 * HOUR_MS)
    assert moved.before and history.contents[moved.before.blob] == b"1\n"
    history.write(A, ["3"], None)
    history.write(B, ["4"], None)
    history.commit(MIDNIGHT_MS + 2 * HOUR_MS)
    assert _told(history, 2, 3) == [(A, "created", None), (B, "changed", B)]


def test_nothing_was_before_one_that_was_deleted_and_made_again(history: History) -> None:
    history.write(A, ["1"], None)
    history.commit(MIDNIGHT_MS)
    history.delete(A, None)
    history.commit(MIDNIGHT_MS + HOUR_MS)
    history.write(A, ["2"], None)
    history.commit(MIDNIGHT_MS + 2 * HOUR_MS)
    assert _told(history, 0, 3) == [(A, "created", None), (A, "deleted", A), (A, "created", None)]


def test_a_conflict_follows_on_what_was_pushed(history: History) -> None:
    history.write(A, ["ours"], None)
    history.commit(MIDNIGHT_MS)
    history.overrule(A, ["theirs"], None)
    history.commit(MIDNIGHT_MS + HOUR_MS)
    pushed, conflict = history.index.changes(MIDNIGHT_MS + HOUR_MS, MIDNIGHT_MS + 2 * HOUR_MS)
    assert (pushed.found.version.kind, pushed.found.commit.is_backup) == (VersionKind.BRANCH_EDIT, False)
    assert [history.contents[c.before.blob] for c in (pushed, conflict) if c.before] == [b"ours\n", b"theirs\n"]


def test_commits_whose_clocks_disagree_are_each_found_at_their_own_time(history: History) -> None:
    for hour in (5, 1, 3):
        history.write(A, [str(hour)], None)
        history.commit(MIDNIGHT_MS + hour * HOUR_MS)
    assert len(_told(history, 1, 2)) == len(_told(history, 3, 4)) == len(_told(history, 5, 6)) == 1
    assert len(_told(history, 1, 6)) == 3


def test_the_index_may_grow_while_changes_are_read(history: History) -> None:
    for number in range(3_000):
        history.write(f"{ROOT}/{number:04}", ["1"], None)
    history.commit(MIDNIGHT_MS)
    found = history.index.changes(MIDNIGHT_MS, MIDNIGHT_MS + HOUR_MS)
    assert next(found).found.version.path == f"{ROOT}/0000"
    history.write(A, ["1"], None)
    history.commit(MIDNIGHT_MS)
    assert sum(1 for _ in found) == 2_999


@given(
    st.sampled_from([f"{ROOT}/a", f"{ROOT}/a/b.py", f"{ROOT}/\ud800/é", f"{ROOT}/x%~1", "/"]),
    st.sampled_from(Language),
    st.sampled_from(ExportFormat),
    st.sampled_from(["", "x", "a/b%~0011", "/Clients/a"]),
    st.integers(0, 12),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_the_file_of_a_version_is_given_back(
    tmp_path: Path, path: str, language: Language, fmt: ExportFormat, other: str, cut: int
) -> None:
    history = new_history(tmp_path)
    file = (other or path[cut:]) + extension(language, fmt)
    version = Version(path, VersionKind.CREATED, file, "0" * 40, language, fmt, restore="r1", restored_from=5)
    mark = CommitMark(1, "a" * 40)
    history.index.apply([CommitVersions(mark, None, "run", 5, "", "", None, (version,))])
    (found,) = history.index.versions(path)
    assert found.version == version


def test_an_author_that_is_found_later_has_the_restore_and_none_is_overwritten(history: History) -> None:
    history.write(A, ["1"], None)
    history.write(B, ["1"], "bob@example.com")
    history.commit(MIDNIGHT_MS)
    commit = f"{1:040x}"
    late = [LateAuthor(commit, A, "ada@example.com", "r1", 5), LateAuthor(commit, B, "eve@example.com", "r2", 6)]
    for name in ("one", "two"):
        history.index.correct(name, late)
    told = [(v.author, v.restore, v.restored_from) for v in (history.index.versions(p)[0].version for p in (A, B))]
    assert told == [("ada@example.com", "r1", 5), ("bob@example.com", None, None)]
    assert history.index.corrections() == {"one", "two"}
