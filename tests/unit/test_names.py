"""Invariant 7: names map both ways, injectively, onto files that every platform can check out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.names import BadFileName, parse_file
from shared.domain.notebooks import ExportFormat, Language, ObjectType, WorkspaceObject
from shared.domain.siblings import assign_files, folded
from tests.hostile import run_guarded
from tests.names import HOSTILE_NAMES, check_portable

ROOT = "/Clients"


def _notebook(path: str, object_id: int, language: Language = Language.PYTHON) -> WorkspaceObject:
    return WorkspaceObject(path, ObjectType.NOTEBOOK, object_id, language)


def _folder(path: str, object_id: int) -> WorkspaceObject:
    return WorkspaceObject(path, ObjectType.DIRECTORY, object_id)


def _check_mapping(children: tuple[WorkspaceObject, ...]) -> None:
    files = assign_files(ROOT, {ROOT: children}, {})
    seen: set[str] = set()
    for child in children:
        if child.object_type is not ObjectType.NOTEBOOK or child.language is None:
            continue
        for file, fmt in (
            (files[child.path].source, ExportFormat.SOURCE),
            (files[child.path].jupyter, ExportFormat.JUPYTER),
        ):
            check_portable(file)
            parsed = parse_file(file)
            assert (parsed.parts, parsed.language, parsed.format) == (
                (child.path[len(ROOT) + 1 :],),
                child.language,
                fmt,
            )
        mine = {folded(files[child.path].source), folded(files[child.path].jupyter)}
        assert not mine & seen
        seen |= mine


@pytest.mark.parametrize("language", list(Language))
def test_hostile_names_map_to_distinct_portable_files_and_back(language: Language) -> None:
    assert len(set(HOSTILE_NAMES)) == len(HOSTILE_NAMES) >= 40
    _check_mapping(tuple(_notebook(f"{ROOT}/{name}", n, language) for n, name in enumerate(HOSTILE_NAMES)))


@given(st.lists(st.tuples(st.text(st.characters(), min_size=1, max_size=60), st.sampled_from(Language)), max_size=12))
def test_any_names_map_to_distinct_portable_files_and_back(rows: list[tuple[str, Language]]) -> None:
    unique = dict(rows)
    _check_mapping(tuple(_notebook(f"{ROOT}/{n}", i, language) for i, (n, language) in enumerate(unique.items())))


@given(st.lists(st.text("aA%~.+2F é\u0301gitcon", min_size=1, max_size=8), max_size=12, unique=True))
def test_names_made_of_escapes_map_to_distinct_portable_files_and_back(names: list[str]) -> None:
    _check_mapping(tuple(_notebook(f"{ROOT}/{n}", i) for i, n in enumerate(names)))


def test_a_plain_name_stays_plain() -> None:
    folders = {
        ROOT: (_folder(f"{ROOT}/acme", 1),),
        f"{ROOT}/acme": (_folder(f"{ROOT}/acme/etl", 2),),
        f"{ROOT}/acme/etl": (_notebook(f"{ROOT}/acme/etl/load", 3),),
    }
    files = assign_files(ROOT, folders, {})
    assert files[f"{ROOT}/acme/etl/load"].source == "acme/etl/load.py"
    assert files[f"{ROOT}/acme/etl/load"].jupyter == "acme/etl/load.ipynb"


def test_a_folder_named_like_a_notebooks_file_keeps_its_name_and_the_notebook_gives_way() -> None:
    folders = {
        ROOT: (_notebook(f"{ROOT}/x", 1), _folder(f"{ROOT}/x.py", 2)),
        f"{ROOT}/x.py": (_notebook(f"{ROOT}/x.py/inner", 3),),
    }
    files = assign_files(ROOT, folders, {})
    assert files[f"{ROOT}/x.py/inner"].source == "x.py/inner.py"
    assert re.fullmatch(r"x%~[0-9a-f]{8}\.py", files[f"{ROOT}/x"].source)
    assert parse_file(files[f"{ROOT}/x"].source).parts == ("x",)


def test_folders_that_differ_by_case_do_not_share_a_directory() -> None:
    folders = {
        ROOT: (_folder(f"{ROOT}/ETL", 1), _folder(f"{ROOT}/etl", 2)),
        f"{ROOT}/ETL": (_notebook(f"{ROOT}/ETL/a", 3),),
        f"{ROOT}/etl": (_notebook(f"{ROOT}/etl/a", 4),),
    }
    files = {folded(f.source) for f in assign_files(ROOT, folders, {}).values()}
    assert len(files) == 2


def test_the_older_of_two_colliding_notebooks_keeps_its_file() -> None:
    younger_first = (_notebook(f"{ROOT}/case", 9), _notebook(f"{ROOT}/Case", 2))
    files = assign_files(ROOT, {ROOT: younger_first}, {})
    assert files[f"{ROOT}/Case"].source == "Case.py"
    assert files[f"{ROOT}/case"].source != "case.py"


def test_a_reserved_file_is_not_given_away() -> None:
    files = assign_files(ROOT, {ROOT: (_notebook(f"{ROOT}/A", 1),)}, {"a.py": f"{ROOT}/a"})
    assert folded(files[f"{ROOT}/A"].source) != "a.py"


@pytest.mark.parametrize("file", ["README.md", "a/b.txt", "noextension"])
def test_a_file_of_somebody_else_is_no_notebook(file: str) -> None:
    with pytest.raises(BadFileName):
        parse_file(file)


@given(st.lists(st.text("aÄé\u0301\u0327\u1100\u1161ſK", max_size=300), min_size=1, max_size=12))
def test_a_long_path_is_folded_by_its_parts_as_a_whole_one_would_be(parts: list[str]) -> None:
    file = "/".join(parts)
    assert folded(file) == "/".join(folded(part) for part in parts)


def test_a_name_that_only_git_holds_is_folded_in_bounded_work() -> None:
    """Half a million marks on one letter take an hour to put in order."""
    code = (
        "from shared.domain.siblings import folded\n"
        "print(len(folded('x/' + 'a' + chr(0x301) * 250_000 + chr(0x327) * 250_000)))\n"
        "print(len(folded('x/' + 'a' + (chr(0x301) + chr(0x327)) * 500_000)))"
    )
    assert [int(n) for n in run_guarded(code).split()] == [500_003, 1_000_003]
