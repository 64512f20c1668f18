"""Whatever two sides did to a folder, the workspace loses nothing, and what it did not touch comes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.folder_merges import FolderMerge, Refusal, is_notebook, may_be_notebook, merge
from shared.domain.siblings import parents

HEADER = b"# Databricks notebook source\n"
names = st.sampled_from(
    ["a.py", "a.sql", "b.py", "sub/a.py", "sub/c.r", "sub", "sub.py", "README.md", "x.ipynb", "100%41.py", "con.py"]
)
blobs = st.sampled_from("123")
trees = st.dictionaries(names, blobs, max_size=8).map(
    lambda tree: {f: b for f, b in tree.items() if not any(parent in tree for parent in parents(f))}
)


def _merge(
    base: dict[str, str], theirs: dict[str, str], ours: dict[str, str], seen: dict[str, str] | None = None
) -> FolderMerge:
    return merge(
        base,
        theirs,
        ours,
        seen=base if seen is None else seen,
        backed_up={f for f in ours if may_be_notebook(f)},
        shown_as_notebook=may_be_notebook,
        is_root=False,
    )


def _after(ours: dict[str, str], found: FolderMerge) -> dict[str, str]:
    changed = {**ours, **found.brought}
    return {file: blob for file, blob in changed.items() if blob is not None}


@given(trees, trees, trees)
def test_what_the_workspace_changed_is_never_written_over(
    base: dict[str, str], theirs: dict[str, str], ours: dict[str, str]
) -> None:
    found = _merge(base, theirs, ours)
    for file in base.keys() | ours.keys():
        if base.get(file) != ours.get(file):
            assert file not in found.brought
    assert found.notebooks <= found.brought.keys()
    assert not found.left.keys() & found.brought.keys()


@given(trees, trees, trees)
def test_each_change_of_people_comes_or_is_named(
    base: dict[str, str], theirs: dict[str, str], ours: dict[str, str]
) -> None:
    found = _merge(base, theirs, ours)
    after = _after(ours, found)
    for file in base.keys() | theirs.keys():
        if base.get(file) != theirs.get(file) and file not in found.left:
            assert after.get(file) == theirs.get(file)


@given(trees, trees, trees)
def test_the_result_is_a_tree_in_which_each_place_has_one_notebook(
    base: dict[str, str], theirs: dict[str, str], ours: dict[str, str]
) -> None:
    found = _merge(base, theirs, ours)
    after = _after(ours, found)
    new = {file for file, blob in found.brought.items() if blob is not None and file not in ours}
    for file in new:
        assert not any(parent in after for parent in parents(file))
        assert not any(file in parents(other) for other in after)
        places = [f for f in after if may_be_notebook(f) and f.rpartition(".")[0] == file.rpartition(".")[0]]
        assert not may_be_notebook(file) or places == [file]


@given(trees, trees)
def test_nothing_comes_twice(base: dict[str, str], theirs: dict[str, str]) -> None:
    first = _merge(base, theirs, base)
    after = _after(base, first)
    again = _merge(base, theirs, after)
    assert again.brought == {}


def test_reasons() -> None:
    base, ours = {"a.py": "1", "b.py": "1"}, {"a.py": "2", "b.py": "1"}
    theirs = {"a.py": "3", "b.py": "1", "n.ipynb": "1", "100%41.py": "1", "b.sql": "1"}
    assert _merge(base, theirs, ours).left == {
        "a.py": Refusal.BOTH_CHANGED,
        "n.ipynb": Refusal.JUPYTER,
        "100%41.py": Refusal.OTHER_NAME,
        "b.sql": Refusal.IN_THE_WAY,
    }
    root = merge(
        {},
        {".gitattributes": "1"},
        {},
        seen={},
        backed_up=(),
        shown_as_notebook=may_be_notebook,
        is_root=True,
    )
    assert root.left == {".gitattributes": Refusal.OURS}


def test_what_the_workspace_had_already_is_its_own_since() -> None:
    base, theirs = {"a.py": "1"}, {"a.py": "2", "new.py": "1", "README.md": "1"}
    edited, removed = {"a.py": "3"}, {"a.py": "2"}
    assert _merge(base, theirs, edited, seen=theirs).brought == {"README.md": "1"}
    assert _merge(base, theirs, removed, seen=theirs).brought == {"README.md": "1"}
    assert _merge(base, theirs, edited, seen=theirs).left == {}


def test_a_notebook_is_told_by_its_first_line() -> None:
    assert is_notebook("a.py", HEADER)
    assert not is_notebook("a.py", b"print(1)\n")
    assert not is_notebook("a.sql", HEADER)
    assert not is_notebook("a.md", HEADER)
    assert is_notebook("a.ipynb", b"{}")
