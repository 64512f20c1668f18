"""Commits by author, one after the other, come to the whole, and none removes what is not its own."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from local.memory.repository import MemoryRemote, MemoryRepository
from shared.domain.batches import ChangeKind, ExportItem, StagedNotebook
from shared.domain.blob_ids import blob_id
from shared.domain.commit_parts import CommitPart, split
from shared.domain.commits import TreeChange
from shared.domain.manifest import Manifest, ManifestEntry
from shared.domain.notebooks import Language
from shared.domain.siblings import parents
from shared.protocols import Signature, WriteFile

WHO = Signature("Backup", "b@example.com", datetime(2026, 1, 1, tzinfo=UTC))
FILES = ("a", "a/b", "a/b/c", "a/b/c/d", "x.py", "x.py/y", "x.py/y/z", "k/l", "k/m", "k")
authors = st.sampled_from([None, "", "ada", "grace", "linus"])


@st.composite
def trees(draw: st.DrawFn) -> dict[str, bytes]:
    """Files of which none is a folder of another, with their bytes."""
    chosen: dict[str, bytes] = {}
    for file in draw(st.lists(st.sampled_from(FILES), unique=True)):
        taken = {*chosen, *(p for f in chosen for p in parents(f))}
        if file not in taken and not any(p in chosen for p in parents(file)):
            chosen[file] = draw(st.sampled_from([b"one", b"two"]))
    return chosen


def _entry(file: str, data: bytes) -> ManifestEntry:
    return ManifestEntry(f"/{file}", file, 1, Language.PYTHON, 1, len(data), "", blob_id(data))


def _staged(file: str, data: bytes, kind: ChangeKind, at: int) -> StagedNotebook:
    item = ExportItem(f"/{file}", file, f"{file}.ipynb", 1, Language.PYTHON, at, kind)
    return StagedNotebook(item, file, file, len(data), "", blob_id(data))


def _change(before: dict[str, bytes], after: dict[str, bytes], times: dict[str, int]) -> tuple[TreeChange, Manifest]:
    old = {f"/{f}": _entry(f, d) for f, d in before.items()}
    writes = [
        _staged(f, d, ChangeKind.CHANGED if f in before else ChangeKind.CREATED, times[f])
        for f, d in sorted(after.items())
        if before.get(f) != d
    ]
    manifest = {f"/{f}": _entry(f, d) for f, d in after.items()}
    deletes = tuple(sorted(before.keys() - after.keys()))
    return TreeChange(deletes, tuple(writes), manifest, (), Counter()), old


@given(trees(), trees(), st.fixed_dictionaries(dict.fromkeys(FILES, authors)), st.permutations(range(len(FILES))))
def test_the_parts_come_to_the_whole(
    before: dict[str, bytes], after: dict[str, bytes], by: dict[str, str | None], order: list[int]
) -> None:
    change, old = _change(before, after, dict(zip(FILES, order, strict=True)))
    parts = split(change, old, {f"/{f}": author for f, author in by.items()}, ())
    repository = MemoryRepository(MemoryRemote())
    start = [WriteFile(f, len(d), iter([d])) for f, d in before.items()]
    head = repository.build_commit(None, (), start, "before", WHO, WHO)
    data = {blob_id(d): d for d in after.values()}
    for part in parts:
        writes = [WriteFile(n.file, n.size, iter([data[n.blob]])) for n in part.writes]
        commit = repository.build_commit(head, part.deletes, writes, "part", WHO, WHO)
        expected = {n.file: n.blob for n in part.writes} | dict.fromkeys(part.deletes)
        assert (repository.changes(head, commit) if commit else {}) == expected
        head = commit or head
    assert head is not None
    assert repository.tree(head) == {f: blob_id(d) for f, d in after.items()}


@given(trees(), trees(), st.fixed_dictionaries(dict.fromkeys(FILES, authors)))
def test_each_author_has_one_part_with_what_they_wrote(
    before: dict[str, bytes], after: dict[str, bytes], by: dict[str, str | None]
) -> None:
    change, old = _change(before, after, dict.fromkeys(FILES, 5))
    parts = split(change, old, {f"/{f}": author for f, author in by.items()}, ())
    assert len({p.author for p in parts}) == len(parts)
    assert {n.file: p.author for p in parts for n in p.writes} == {n.file: by[n.file] for n in change.writes}
    assert sum(p.counts[ChangeKind.DELETED] for p in parts) == len(change.deletes)


def test_nothing_to_write_is_still_a_part_of_the_backup_itself() -> None:
    assert split(TreeChange((), (), {}, (), Counter()), {}, {}, ()) == [CommitPart("")]


def test_authors_come_in_the_order_of_their_last_modification() -> None:
    after = {"a": b"one", "k": b"two", "x.py": b"one"}
    change, old = _change({}, after, {"a": 30, "k": 10, "x.py": 20})
    parts = split(change, old, {"/a": "ada", "/k": "grace", "/x.py": None}, ())
    assert [(p.author, p.when_ms) for p in parts] == [(None, 20), ("grace", 10), ("ada", 30)]
