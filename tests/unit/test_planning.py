"""Change planning, checked against a small model of a workspace that changes at random."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.batches import ChangeKind, Failure, StagedNotebook
from shared.domain.batching import MOST_ITEMS, make_batches
from shared.domain.codec import decode_batch, encode_batch
from shared.domain.commits import apply
from shared.domain.manifest import Manifest
from shared.domain.notebooks import Language, ObjectType, WorkspaceObject
from shared.domain.planning import BranchState, Plan, TreeListing, compare

ROOT = "/Clients"
type Notebooks = dict[str, tuple[int, int, Language]]
AS_LEFT = BranchState()


def _listing(notebooks: Notebooks, unknown: tuple[str, ...] = ()) -> TreeListing:
    """A two-level tree with the notebooks (object id, modified at, language by path)."""
    folders: dict[str, list[WorkspaceObject]] = {ROOT: []}
    for n, path in enumerate(sorted({p.rpartition("/")[0] for p in notebooks} | set(unknown) - {ROOT})):
        if path != ROOT:
            folders[ROOT].append(WorkspaceObject(path, ObjectType.DIRECTORY, 10_000 + n))
            folders.setdefault(path, [])
    for path, (object_id, modified_at, language) in notebooks.items():
        row = WorkspaceObject(path, ObjectType.NOTEBOOK, object_id, language, modified_at)
        folders[path.rpartition("/")[0]].append(row)
    shown = {path: tuple(children) for path, children in folders.items() if path not in unknown}
    return TreeListing(ROOT, shown, dict.fromkeys(unknown, "denied"))


def _staged(plan: Plan) -> list[StagedNotebook]:
    return [StagedNotebook(i, "m", i.file, 1, "0", f"{i.object_id}.{i.modified_at}.{i.language}") for i in plan.items]


def _commit(manifest: Manifest, tree: dict[str, str], plan: Plan) -> Manifest:
    change = apply(manifest, _staged(plan), [e.path for e in plan.deletes], tree)
    for file in change.deletes:
        del tree[file]
    tree |= {w.file: w.blob for w in change.writes}
    return change.manifest


names = st.sampled_from(["a", "A", "b", "x", "x.py", "con"])
paths = st.builds(lambda folder, name: f"{ROOT}/{folder}{name}", st.sampled_from(["", "f/", "F/", "g/"]), names)
workspaces = st.dictionaries(
    paths, st.tuples(st.integers(1, 12), st.integers(1, 3), st.sampled_from(Language)), max_size=10
).map(lambda d: {p: v for i, (p, v) in enumerate(d.items()) if v[0] not in [w[0] for w in list(d.values())[:i]]})


def _valid(notebooks: Notebooks) -> bool:
    return not {p.rpartition("/")[0] for p in notebooks} & set(notebooks)


@given(st.lists(workspaces.filter(_valid), min_size=1, max_size=4))
def test_after_each_run_the_tree_holds_exactly_the_workspace(states: list[Notebooks]) -> None:
    manifest: Manifest = {}
    tree: dict[str, str] = {"README.md": "theirs"}
    for state in states:
        manifest = _commit(manifest, tree, compare(_listing(state), manifest, branch=AS_LEFT, guard_share=1.0))
        expected = {f"{oid}.{modified}.{language}" for oid, modified, language in state.values()}
        assert {blob for file, blob in tree.items() if file != "README.md"} == expected
        assert len(tree) == len(state) + 1
        assert {e.file for e in manifest.values()} | {"README.md"} == tree.keys()
        again = compare(_listing(state), manifest, branch=AS_LEFT, guard_share=1.0)
        assert (again.items, again.deletes, again.unchanged) == ((), (), len(state))


def _first(notebooks: Notebooks) -> Manifest:
    return _commit({}, {}, compare(_listing(notebooks), {}, branch=AS_LEFT, guard_share=0.2))


def test_a_renamed_notebook_keeps_its_old_file_for_the_same_commit() -> None:
    manifest = _first({f"{ROOT}/a": (1, 1, Language.PYTHON)})
    plan = compare(_listing({f"{ROOT}/b": (1, 1, Language.PYTHON)}), manifest, branch=AS_LEFT, guard_share=0.2)
    assert [(i.kind, i.old_path, i.old_file) for i in plan.items] == [(ChangeKind.RENAMED, f"{ROOT}/a", "a.py")]
    assert plan.deletes == ()


def test_nothing_below_an_unknown_folder_is_deleted() -> None:
    manifest = _first({f"{ROOT}/f/a": (1, 1, Language.PYTHON), f"{ROOT}/g/b": (2, 1, Language.PYTHON)})
    plan = compare(_listing({}, unknown=(f"{ROOT}/f",)), manifest, branch=AS_LEFT, guard_share=1.0)
    assert [e.path for e in plan.deletes] == [f"{ROOT}/g/b"]


def test_deletions_over_the_guard_are_held_and_the_rest_goes_on() -> None:
    many = {f"{ROOT}/f/n{n:03}": (n + 1, 1, Language.PYTHON) for n in range(60)}
    manifest = _first(many)
    left = {p: v for p, v in many.items() if v[0] > 13} | {f"{ROOT}/f/n059": (60, 2, Language.PYTHON)}
    plan = compare(_listing(left), manifest, branch=AS_LEFT, guard_share=0.2)
    assert (len(plan.deletes), len(plan.held_deletes)) == (0, 13)
    assert [i.path for i in plan.items] == [f"{ROOT}/f/n059"]
    assert len(compare(_listing(left), manifest, branch=AS_LEFT, guard_share=0.3).deletes) == 13


def test_a_file_that_a_person_changed_is_exported_again_as_a_conflict() -> None:
    notebooks: Notebooks = {f"{ROOT}/a": (1, 1, Language.PYTHON)}
    plan = compare(
        _listing(notebooks), _first(notebooks), branch=BranchState(drifted=frozenset({"a.py"})), guard_share=0.2
    )
    assert [i.kind for i in plan.items] == [ChangeKind.CONFLICT]


def test_a_notebook_without_a_known_language_is_named() -> None:
    row = WorkspaceObject(f"{ROOT}/odd", ObjectType.NOTEBOOK, 1, None)
    plan = compare(TreeListing(ROOT, {ROOT: (row,)}, {}), {}, branch=AS_LEFT, guard_share=0.2)
    assert [f.path for f in plan.failures] == [f"{ROOT}/odd"]
    assert isinstance(plan.failures[0], Failure)


@given(st.integers(0, 1300), st.integers(1, 40))
def test_batches_hold_each_item_once_within_their_bounds_and_survive_their_blob(count: int, folders: int) -> None:
    notebooks = {f"{ROOT}/f{n % folders}/n{n}": (n + 1, 1, Language.PYTHON) for n in range(count)}
    listing = _listing(notebooks)
    batches = list(make_batches("r", compare(listing, {}, branch=AS_LEFT, guard_share=0.2), listing))
    assert sorted(i.path for b in batches for i in b.items) == sorted(notebooks)
    assert all(len(b.items) <= MOST_ITEMS for b in batches)
    assert len({b.batch_id for b in batches}) == len(batches)
    for batch in batches:
        assert {p for f in batch.folders for p in f.paths} <= {i.path for i in batch.items}
        assert decode_batch(encode_batch(batch)) == batch
