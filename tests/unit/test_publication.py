"""What a protected branch gets: all notebooks of the backup, nothing that people keep there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.folder_merges import may_be_notebook
from shared.domain.publication import Overlay, overlay
from shared.domain.siblings import parents

names = st.sampled_from(["a.py", "b.sql", "sub/a.py", "sub/c.r", "sub", "README.md", "docs/x.md", ".gitattributes"])
trees = st.dictionaries(names, st.sampled_from("123"), max_size=8).map(
    lambda tree: {f: b for f, b in tree.items() if not any(parent in tree for parent in parents(f))}
)


def _ours(tree: dict[str, str]) -> set[str]:
    return {file for file in tree if may_be_notebook(file)}


def _after(target: dict[str, str], found: Overlay) -> dict[str, str]:
    return {f: b for f, b in {**target, **found.writes}.items() if f not in found.deletes}


@given(trees, trees, trees)
def test_it_holds_every_notebook_or_names_it(
    target: dict[str, str], ground: dict[str, str], published: dict[str, str]
) -> None:
    found = overlay(target, ground, published, _ours(ground))
    after = _after(target, found)
    for file in _ours(ground):
        assert after.get(file) == ground[file] or file in found.blocked
    for file in _ours(published) - ground.keys():
        assert file not in after
    assert not any(parent in after for file in after for parent in parents(file))


@given(trees, trees, trees)
def test_what_people_keep_there_stays(
    target: dict[str, str], ground: dict[str, str], published: dict[str, str]
) -> None:
    found = overlay(target, ground, published, _ours(ground))
    after = _after(target, found)
    for file, blob in target.items():
        if not may_be_notebook(file) and file != ".gitattributes" and published.get(file) != blob:
            assert after.get(file) == blob


@given(trees, trees, trees)
def test_a_change_there_is_named_where_it_is_overruled(
    target: dict[str, str], ground: dict[str, str], published: dict[str, str]
) -> None:
    found = overlay(target, ground, published, _ours(ground))
    after = _after(target, found)
    for file in _ours(ground) | _ours(published):
        changed = target.get(file) not in (published.get(file), ground.get(file))
        if changed and after.get(file) != target.get(file):
            assert file in found.conflicts


@given(trees, trees, trees)
def test_it_is_made_from_either_side(target: dict[str, str], ground: dict[str, str], published: dict[str, str]) -> None:
    found = overlay(target, ground, published, _ours(ground))
    beside = {**ground, **found.beside(target, ground)}
    assert {f: b for f, b in beside.items() if b is not None} == _after(target, found)


@given(trees, trees)
def test_nothing_is_left_once_it_is_there(ground: dict[str, str], target: dict[str, str]) -> None:
    first = overlay(target, ground, {}, _ours(ground))
    after = _after(target, first)
    again = overlay(after, ground, ground, _ours(ground))
    assert (again.writes, again.deletes, again.conflicts) == ({}, (), ()) or first.blocked
