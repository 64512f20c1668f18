"""Commits by author, one after the other, come to the whole, and none removes what is not its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from local.memory.repository import MemoryRemote, MemoryRepository
from shared.domain.attribution import Maker, RestoreWrite
from shared.domain.batches import ChangeKind, ExportItem, StagedNotebook
from shared.domain.blob_ids import blob_id
from shared.domain.commit_parts import CommitPart, split
from shared.domain.commits import MOST_RESTORES, RESTORE_TRAILER, TreeChange, message
from shared.domain.manifest import Manifest, ManifestEntry
from shared.domain.notebooks import Language
from shared.domain.siblings import parents
from shared.protocols import Signature, WriteFile

WHO = Signature("Backup", "b@example.com", datetime(2026, 1, 1, tzinfo=UTC))
FILES = ("a", "a/b", "a/b/c", "a/b/c/d", "x.py", "x.py/y", "x.py/y/z", "k/l", "k/m", "k")
RESTORE = RestoreWrite("r1", "ada", "/a", 1, 0, 5, 3, "", 2)
makers = st.sampled_from([*map(Maker, (None, "", "ada", "grace")), Maker("ada", RESTORE), Maker(None, RESTORE)])


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


@given(trees(), trees(), st.fixed_dictionaries(dict.fromkeys(FILES, makers)), st.permutations(range(len(FILES))))
def test_the_parts_come_to_the_whole(
    before: dict[str, bytes], after: dict[str, bytes], by: dict[str, Maker], order: list[int]
) -> None:
    change, old = _change(before, after, dict(zip(FILES, order, strict=True)))
    parts = split(change, old, {f"/{f}": maker for f, maker in by.items()}, ())
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


@given(trees(), trees(), st.fixed_dictionaries(dict.fromkeys(FILES, makers)))
def test_each_author_has_one_part_with_what_they_wrote_and_one_with_what_they_restored(
    before: dict[str, bytes], after: dict[str, bytes], by: dict[str, Maker]
) -> None:
    change, old = _change(before, after, dict.fromkeys(FILES, 5))
    parts = split(change, old, {f"/{f}": maker for f, maker in by.items()}, ())
    assert len({(p.author, bool(p.restores)) for p in parts}) == len(parts)
    assert {n.file: _told(p) for p in parts for n in p.writes} == {
        n.file: (by[n.file].author, by[n.file].restore is not None) for n in change.writes
    }
    put_back = sum(by[f].restore is not None for f in (*change.deletes, *(n.file for n in change.writes)))
    assert sum(len(writes) for p in parts for writes in p.restores.values()) == put_back
    assert sum(p.counts[ChangeKind.DELETED] for p in parts) == len(change.deletes)


def _told(part: CommitPart) -> tuple[str | None, bool]:
    return part.author, bool(part.restores)


def test_nothing_to_write_is_still_a_part_of_the_backup_itself() -> None:
    assert split(TreeChange((), (), {}, (), Counter()), {}, {}, ()) == [CommitPart("")]


def test_authors_come_in_the_order_of_their_last_modification() -> None:
    after = {"a": b"one", "k": b"two", "x.py": b"one"}
    change, old = _change({}, after, {"a": 30, "k": 10, "x.py": 20})
    parts = split(change, old, {"/a": Maker("ada"), "/k": Maker("grace"), "/x.py": Maker(None)}, ())
    assert [(p.author, p.when_ms) for p in parts] == [(None, 20), ("grace", 10), ("ada", 30)]


@given(st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=300))
def test_a_message_names_each_restore_up_to_a_limit_and_counts_the_rest(writes: list[tuple[int, bool]]) -> None:
    restores: dict[str, list[RestoreWrite]] = {}
    for number, put_back in writes:
        sha256 = "" if put_back else None
        restores.setdefault(f"r{number}", []).append(RestoreWrite(f"r{number}", "ada", "/a", 1, 0, sha256=sha256))
    text = message(WHO.when, "run", "https://w", "/c", Counter(), restores, "Backup-Audit: 1:x")
    trailers = [line.split(": ")[1] for line in text.splitlines() if line.startswith(f"{RESTORE_TRAILER}: ")]
    assert trailers == list(restores)[:MOST_RESTORES]
    told = [line for line in text.splitlines() if line.startswith("Restore r")]
    assert len(told) == len(trailers)
    for restore, line in zip(trailers, told, strict=True):
        put_back = sum(w.sha256 is not None for w in restores[restore])
        removed = len(restores[restore]) - put_back
        assert (f" {put_back} put back" in line, f" {removed} removed" in line) == (put_back > 0, removed > 0)
    assert (f"and {len(restores) - MOST_RESTORES} more restores" in text) == (len(restores) > MOST_RESTORES)
    assert text.index("Backup-Run: run") > max([text.find(line) for line in told], default=-1)
    assert text.splitlines()[-1] == "Backup-Audit: 1:x"


def test_a_message_says_what_a_restore_put_back_from_when_and_what_it_removed() -> None:
    day = 86_400_000
    written = RestoreWrite("r1", "ada", "/a", 1, 60_000, sha256="x", from_ms=day)
    earlier, removed = replace(written, from_ms=3 * day), replace(written, sha256=None, from_ms=None)
    counts = Counter({ChangeKind.CHANGED: 2, ChangeKind.DELETED: 1})
    text = message(WHO.when, "run", "https://w", "/c", counts, {"r1": [written, earlier, removed]})
    assert "Restore r1 of 1970-01-01 00:01 UTC: 2 put back from 1970-01-02 to 1970-01-04, 1 removed\n" in text
    assert "Restore r1 of 1970-01-01 00:01 UTC: 1 put back from 1970-01-02\n" in message(
        WHO.when, "run", "https://w", "/c", counts, {"r1": [written]}
    )
