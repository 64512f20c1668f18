"""Zips of folders: what inflates to more than a folder's export can have is not taken, whatever its headers say."""

from __future__ import annotations

import random
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from shared.domain.batches import StagedBatch
from shared.domain.notebooks import MOST_SOURCE_BYTES, Language
from shared.services.state.folder_zips import MOST_MEMBERS, MOST_ZIP_BYTES, folder_notebooks
from shared.services.state.staged_archive import DamagedArchive, StagedArchive, StagedArchiveWriter

FOLDER = "/Clients/acme"
HUGE_BYTES = 128 * 2**20


def _zip(target: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target


def _read(target: Path, *names: str) -> dict[str, bytes]:
    wanted = dict.fromkeys((f"{FOLDER}/{name}" for name in names), Language.PYTHON)
    return dict(folder_notebooks(target, FOLDER, wanted))


def test_what_fits_comes(tmp_path: Path) -> None:
    large = b"x" * MOST_SOURCE_BYTES
    found = _read(_zip(tmp_path / "z", {"acme/a.py": large, "acme/b.py": b"b", "acme/no": b"no"}), "a", "b", "c")
    assert found == {f"{FOLDER}/a": large, f"{FOLDER}/b": b"b"}


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("lies", [False, True])
def test_a_member_that_inflates_to_more_than_a_notebook_is_not_inflated(
    tmp_path: Path, method: int, lies: bool
) -> None:
    target = _zip(tmp_path / "z", {"a.py": bytes(HUGE_BYTES)}, method)
    if lies:
        size = HUGE_BYTES.to_bytes(4, "little")
        target.write_bytes(target.read_bytes().replace(size, (10).to_bytes(4, "little")))
    tracemalloc.start()
    try:
        with pytest.raises(zipfile.BadZipFile):
            _read(target, "a")
        assert tracemalloc.get_traced_memory()[1] < HUGE_BYTES // 3
    finally:
        tracemalloc.stop()


def test_members_that_are_too_much_together_are_not_inflated(tmp_path: Path) -> None:
    names = [str(number) for number in range(MOST_ZIP_BYTES // MOST_SOURCE_BYTES + 2)]
    target = _zip(tmp_path / "z", {f"{name}.py": bytes(MOST_SOURCE_BYTES) for name in names})
    taken = 0
    with pytest.raises(zipfile.BadZipFile):
        for _, data in folder_notebooks(target, FOLDER, {f"{FOLDER}/{n}": Language.PYTHON for n in names}):
            taken += len(data)
    assert 0 < taken <= MOST_ZIP_BYTES


def test_a_zip_of_very_many_members_is_not_read(tmp_path: Path) -> None:
    target = _zip(tmp_path / "z", {f"{number}.py": b"" for number in range(MOST_MEMBERS + 1)})
    with pytest.raises(zipfile.BadZipFile, match="members"):
        _read(target, "1")


@pytest.mark.parametrize("seed", range(30))
def test_a_zip_that_is_damaged_anywhere_is_one_error(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    data = bytearray(_zip(tmp_path / "z", {"a.py": b"print(1)\n" * 50, "b.py": b"2"}).read_bytes())
    for _ in range(3):
        data[draw.randrange(len(data))] = draw.randrange(256)
    (tmp_path / "z").write_bytes(data)
    try:
        found = _read(tmp_path / "z", "a", "b")
    except zipfile.BadZipFile:
        return
    assert set(found.values()) <= {b"print(1)\n" * 50, b"2"}


def test_a_staged_archive_that_is_compressed_is_none_of_ours(tmp_path: Path) -> None:
    with StagedArchiveWriter(tmp_path / "ours") as writer:
        writer.add(b"x")
        writer.finish(StagedBatch("r", "b", ()))
    with zipfile.ZipFile(tmp_path / "ours") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    StagedArchive(tmp_path / "ours").close()
    with pytest.raises(DamagedArchive):
        StagedArchive(_zip(tmp_path / "theirs", members))
