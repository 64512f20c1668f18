"""A full copy beside the backup: each planted difference is found, and only what is the same is explained."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.memory.repository import MemoryRemote
from shared.adapters.volume_copies import VolumeCopies
from shared.domain.blob_ids import blob_id
from shared.domain.notebooks import ExportFormat, Language
from shared.domain.parity import Compared, Difference, Explanation, Streak, explain, streak
from shared.domain.volume import DatedCopy, header, moment_of
from shared.services.volume.full_copy import CopyReader
from shared.services.volume.parity_check import Held, Listing, Parity, ParityCheck
from tests.copies import ROOT, source, write_copy

DAY = datetime(2026, 11, 24, tzinfo=UTC)
NAME = "2026-11-24"
LANGUAGES = {"py": Language.PYTHON, "sql": Language.SQL, "scala": Language.SCALA, "r": Language.R}
E, D = Explanation, Difference
SQL_CELLS = (
    b"# Databricks notebook source\n# MAGIC %md\n# MAGIC ## Title\n\n# COMMAND ----------\n\n# DBTITLE 1,Load\nx = 1\n"
)


def _jupyter(*cells: str, kind: str = "code") -> bytes:
    made = [{"cell_type": kind, "source": c.splitlines(keepends=True), "outputs": []} for c in cells]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4}).encode()


class Backup:
    """A backup as app and Git know it: files with their bytes, and versions before and after."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.remote = MemoryRemote()
        self.remote.person_commits({**files, "README.md": b"theirs"})
        self.held = [self._held(file, data) for file, data in files.items()]
        self.history: dict[str, list[tuple[datetime, str | None]]] = {}

    def _held(self, file: str, data: bytes) -> Held:
        stem, _, ending = file.rpartition(".")
        fmt = ExportFormat.JUPYTER if ending == "ipynb" else ExportFormat.SOURCE
        return Held(f"{ROOT}/{stem}", LANGUAGES.get(ending, Language.PYTHON), fmt, blob_id(data))

    def listing(self, at: str) -> Listing:
        assert at == NAME
        return Listing(str(self.remote.head), DAY + timedelta(hours=2), tuple(self.held))

    def versions(self, path: str) -> list[tuple[datetime, str | None]]:
        return self.history.get(path, [])


def _compare(volume: Path, backup: Backup) -> Parity:
    copies = VolumeCopies(volume)
    reader = CopyReader(copies, ROOT, headerless=True)
    return ParityCheck(reader, backup, backup.remote.mirror(volume)).compare(DatedCopy(NAME, DAY))


def _found(parity: Parity) -> set[tuple[str, str, tuple[Explanation, ...]]]:
    return {(f.path.removeprefix(f"{ROOT}/"), f.difference, f.explanations) for f in parity.findings}


def test_every_planted_difference_is_found_and_nothing_else(tmp_path: Path) -> None:
    same = {f"d{n % 4}/same {n}.py": source("a.py", str(n)) for n in range(20)}
    backup = Backup(
        {
            **same,
            "changed.sql": source("a.sql", "select 1"),
            "only in git.r": source("a.r"),
            "crlf.py": source("a.py", "1"),
            "bom.py": source("a.py", "1"),
            "end.py": source("a.py", "1"),
            "headless.scala": source("a.scala", "1"),
            "exported.py": SQL_CELLS,
            "outputs.ipynb": _jupyter("x"),
            "language.py": source("a.py", "1"),
        }
    )
    write_copy(
        tmp_path,
        NAME,
        {
            **same,
            "changed.sql": source("a.sql", "select 2"),
            "only in copy.r": source("a.r"),
            "crlf.py": source("a.py", "1").replace(b"\n", b"\r\n"),
            "bom.py": b"\xef\xbb\xbf" + source("a.py", "1"),
            "end.py": source("a.py", "1").rstrip(b"\n"),
            "headless.scala": source("a.scala", "1").split(b"\n", 1)[1],
            "exported.ipynb": _jupyter("%md\n## Title", "x = 1"),
            "outputs.ipynb": _jupyter("x").replace(b'"outputs": []', b'"outputs": [1]'),
            "language.sql": source("a.sql", "1"),
            "module.py": b"import os\n",
            "data.csv": b"1",
            "cut.ipynb": b"{",
        },
    )
    found = _compare(tmp_path, backup)
    assert _found(found) == {
        ("changed", D.DIFFERENT, ()),
        ("only in git", D.EXTRA, ()),
        ("only in copy", D.MISSING, ()),
        ("crlf", D.DIFFERENT, (E.LINE_ENDS,)),
        ("bom", D.DIFFERENT, (E.BYTE_ORDER_MARK,)),
        ("end", D.DIFFERENT, (E.LAST_LINE_END,)),
        ("headless", D.DIFFERENT, (E.HEADER,)),
        ("exported", D.DIFFERENT, (E.FORMAT,)),
        ("outputs", D.DIFFERENT, (E.OUTPUTS,)),
        ("language", D.MISSING, ()),
        ("language", D.EXTRA, ()),
        ("cut.ipynb", D.UNREAD, ()),
    }
    assert (found.equal, found.left_out, found.agreed) == (20, 2, False)
    assert found.counts() == {"missing": 2, "extra": 2, "different": 1, "unread": 1, "explained": 6}


def test_what_the_backup_held_at_another_time_that_day_is_explained(tmp_path: Path) -> None:
    old, new = source("a.py", "old"), source("a.py", "new")
    backup = Backup({"edited.py": new, "made.py": new, "ancient.py": new})
    late, early = DAY + timedelta(hours=2), DAY - timedelta(days=20)
    backup.history = {
        f"{ROOT}/edited": [(late, blob_id(new)), (early, blob_id(old))],
        f"{ROOT}/made": [(late, blob_id(new))],
        f"{ROOT}/removed": [(late, None), (early, blob_id(old))],
        f"{ROOT}/ancient": [(DAY - timedelta(days=5), blob_id(new)), (early, blob_id(old))],
    }
    write_copy(tmp_path, NAME, {"edited.py": old, "removed.py": old, "ancient.py": old})
    assert _found(_compare(tmp_path, backup)) == {
        ("edited", D.DIFFERENT, (E.OTHER_TIME,)),
        ("made", D.EXTRA, (E.OTHER_TIME,)),
        ("removed", D.MISSING, (E.OTHER_TIME,)),
        ("ancient", D.DIFFERENT, ()),
    }


def test_what_the_app_lists_and_git_does_not_hold_is_missing(tmp_path: Path) -> None:
    data = source("a.py")
    backup = Backup({"a.py": data, "b.py": data})
    backup.remote.person_commits({"b.py": None})
    write_copy(tmp_path, NAME, {"a.py": data, "b.py": data})
    assert _found(_compare(tmp_path, backup)) == {("b", D.MISSING, ())}


def test_names_that_a_file_system_normalised_are_matched(tmp_path: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    backup = Backup({f"{composed}.py": source("a.py")})
    write_copy(tmp_path, NAME, {f"{decomposed}.py": source("a.py")})
    assert _found(_compare(tmp_path, backup)) == {(composed, D.DIFFERENT, (E.NAME_NORMALISED,))}


def test_what_could_not_be_read_is_neither_there_nor_absent(tmp_path: Path) -> None:
    backup = Backup({"etl/a.py": source("a.py"), "b.py": source("b.py")})
    write_copy(tmp_path, NAME, {"b.py": source("b.py")})
    (tmp_path / NAME / "etl").symlink_to(tmp_path)
    assert _found(_compare(tmp_path, backup)) == {("etl", D.UNREAD, ())}


_BODIES = st.lists(st.sampled_from(["x = 1", "", "  y", "z # é", "COMMAND"]), min_size=1, max_size=6)
_WRITINGS: dict[Explanation, Callable[[bytes, Language], bytes]] = {
    E.BYTE_ORDER_MARK: lambda data, _: b"\xef\xbb\xbf" + data,
    E.LINE_ENDS: lambda data, _: data.replace(b"\n", b"\r\n"),
    E.HEADER: lambda data, language: data.replace(header(language) + b"\n", b"", 1),
}


@given(
    lines=_BODIES,
    language=st.sampled_from(list(Language)),
    chosen=st.sets(st.sampled_from(list(_WRITINGS)), min_size=1),
)
def test_any_writing_of_the_same_notebook_is_explained_by_what_was_done_to_it(
    lines: list[str], language: Language, chosen: set[Explanation]
) -> None:
    backup = header(language) + b"\n" + "\n".join(lines).encode() + b"\nlast\n"
    copy = backup
    for reason in (E.HEADER, E.LINE_ENDS, E.BYTE_ORDER_MARK):
        if reason in chosen:
            copy = _WRITINGS[reason](copy, language)
    source_format = ExportFormat.SOURCE
    assert set(explain((copy, source_format), (backup, source_format), language)) == chosen
    other = copy.replace(b"last", b"lost")
    assert explain((other, source_format), (backup, source_format), language) == ()


def test_agreement_is_told_from_the_newest_comparison_back() -> None:
    def day(n: int, agreed: bool = True) -> Compared:
        return Compared(date(2026, 11, n), agreed)

    assert streak([]) is None
    assert streak([day(1), day(2, agreed=False)]) is None
    assert streak([day(5), day(1), day(2, agreed=False), day(3)]) == Streak(date(2026, 11, 3), 2, 1)


@given(st.datetimes(datetime(2013, 1, 1), datetime(2090, 1, 1)), st.sampled_from(["-", "_", ".", ""]))
def test_a_date_is_read_however_it_is_separated(when: datetime, gap: str) -> None:
    day = when.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    text = f"{when:%Y}{gap}{when:%m}{gap}{when:%d}"
    for name in (text, f"copy {text}", f"{text}-full", f"{text}T000000Z"):
        assert moment_of(name) == day
    assert moment_of(f"{text}T{when:%H%M%S}") == when.replace(microsecond=0, tzinfo=UTC)


def test_a_number_is_no_date() -> None:
    for name, other in itertools.product(("120240131", "202401310", "2024-1-31", "31-01-2024"), ("", "x")):
        assert moment_of(name + other) is None


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"cells": 1}'])
def test_bytes_that_are_no_notebook_are_explained_by_nothing(data: bytes) -> None:
    fmt, other = ExportFormat.JUPYTER, (source("a.py"), ExportFormat.SOURCE)
    assert explain((data, fmt), other, Language.PYTHON) == ()
