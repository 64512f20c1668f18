"""Branch names are injective and legal for any folder, and a branch follows just what changed its folder."""

from __future__ import annotations

import itertools
import subprocess

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.folder_branches import (
    EMPTY_TREE,
    MOST_NAME_BYTES,
    branch_name,
    folder_of,
    followed_commit,
    followed_message,
    to_follow,
)
from shared.domain.names import folder_component

PREFIX = "folders/"
names = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=60)
odd = st.sampled_from(
    ["a.lock", ".git", "..", "@", "@{", "x~1", "a b", "a.b", "%2E", "%root", "lock", "-", "é", "n" * 300]
)
folders = st.lists(st.one_of(names, odd), max_size=4).map(lambda parts: "/".join(map(folder_component, parts)))
trees = st.one_of(st.none(), st.sampled_from("abc"))


def test_a_plain_folder_has_a_plain_branch() -> None:
    assert branch_name(PREFIX, "acme/etl") == "folders/acme.etl"
    assert branch_name(PREFIX, "") == "folders/%root"
    assert branch_name(PREFIX, "acme/a.lock") == "folders/acme.a%2Elock"
    assert branch_name(PREFIX, "acme/lock") == "folders/acme.%6Cock"


@given(folders, folders)
def test_no_two_folders_share_a_branch_nor_is_one_a_folder_of_another(one: str, other: str) -> None:
    first, second = branch_name(PREFIX, one), branch_name(PREFIX, other)
    assert (first == second) == (one == other)
    assert not second.startswith(f"{first}/")
    assert len(first) <= len(PREFIX) + MOST_NAME_BYTES
    assert folder_of(PREFIX, first) in (one, None)
    if 3 * len(one.encode("utf-8", "surrogateescape")) < MOST_NAME_BYTES:
        assert folder_of(PREFIX, first) == one


@given(st.lists(folders, min_size=1, max_size=8))
def test_git_takes_every_name(some: list[str]) -> None:
    for folder in some:
        subprocess.run(["git", "check-ref-format", f"refs/heads/{branch_name(PREFIX, folder)}"], check=True)


def test_a_branch_of_somebody_else_stands_for_no_folder() -> None:
    for branch in ("main", "folders/a b", "folders/a%2ea", "folders/", "folders/a/b", "other/a"):
        assert folder_of(PREFIX, branch) is None


@given(trees, st.lists(trees, max_size=8))
def test_a_branch_follows_what_changed_it_and_ends_as_the_backup_does(
    last: str | None, steps: list[str | None]
) -> None:
    found = list(to_follow(last, [(str(n), tree) for n, tree in enumerate(steps)]))
    shown = [last, *(tree for _, tree in found)]
    assert all(before != after for before, after in itertools.pairwise(shown))
    if steps and (last or any(steps)):
        assert shown[-1] == (steps[-1] or EMPTY_TREE)
    assert [int(commit) for commit, _ in found] == sorted({int(commit) for commit, _ in found})


def test_a_message_names_the_commit_it_follows() -> None:
    text = followed_message("Back up\n\nBackup-Run: r1\n", "a" * 40)
    assert text == f"Back up\n\nBackup-Run: r1\nBackup-Commit: {'a' * 40}\n"
    assert followed_commit(text) == "a" * 40
    assert followed_commit(followed_message(text, "b" * 40)) == "b" * 40
    assert followed_commit("a person's change") is None
