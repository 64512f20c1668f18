"""Which git runs, and how the one of a package is made ready."""

from __future__ import annotations

import shutil
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import certifi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.packaging.portable_git import add_git
from shared.adapters.git_mirror import GitMirror
from shared.adapters.git_program import LOADER, PortableGit, system_git, with_loader
from shared.errors import RepositoryError
from shared.settings import Settings
from shared.wiring.git import find_git

PATHS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300).map(lambda t: f"/{t}")
INTERPRETER, LOAD = 3, 1


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portable git whose executable bits were lost on the way."""
    folder = tmp_path_factory.mktemp("package") / "portable_git"
    add_git(folder)
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(0o444)
    return folder


def _program(kinds: list[int], body: bytes) -> bytes:
    """An ELF program with these program headers, each over the whole body."""
    start = 64 + 56 * len(kinds)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, len(kinds), 0, 0, 0)
    headers = b"".join(struct.pack("<IIQQQQQQ", k, 4, start, 0x1000, 0x1000, len(body), len(body), 1) for k in kinds)
    return header + headers + body


def _named(program: bytes, kind: int) -> bytes:
    """What the only header of a kind points to in the file."""
    count = struct.unpack_from("<H", program, 56)[0]
    rows = [struct.unpack_from("<IIQQQQQQ", program, 64 + 56 * n) for n in range(count)]
    ((_, _, offset, _, _, size, memory, _),) = [row for row in rows if row[0] == kind]
    assert size == memory
    return program[offset : offset + size]


@given(st.permutations([INTERPRETER, LOAD, 2, 6]), st.binary(min_size=1), PATHS)
def test_a_program_names_the_loader_and_is_otherwise_the_same(kinds: list[int], body: bytes, path: str) -> None:
    program = _program(kinds, body)
    changed = with_loader(program, path)
    assert _named(changed, INTERPRETER) == path.encode() + b"\0"
    assert _named(changed, LOAD) == body
    different = [n for n, (old, new) in enumerate(zip(program, changed, strict=False)) if old != new]
    assert all((n - 64) // 56 == kinds.index(INTERPRETER) for n in different)


@given(st.one_of(st.binary(max_size=40), st.binary(max_size=100).map(lambda body: _program([LOAD], body))))
def test_what_names_no_loader_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a"):
        with_loader(data, "/lib/ld.so")


def test_the_packages_git_runs_though_its_executable_bits_were_lost(packaged: Path, tmp_path: Path) -> None:
    found = PortableGit(packaged, tmp_path / "work", Path(certifi.where()))()
    environment = dict(found.environment)
    listed = subprocess.run([found.executable, "--exec-path"], env=environment, capture_output=True, text=True)
    assert listed.stdout.strip() == str(Path(found.executable).parent)
    loader = str(Path(found.executable).parent / LOADER)
    loaded = subprocess.run([loader, "--list", found.executable], env=environment, capture_output=True, text=True)
    files = [row.split(" => ")[1].split()[0] for row in loaded.stdout.splitlines() if " => " in row]
    assert len(files) >= 2
    # The loader is found in both.
    assert {Path(file).parent for file in files} <= {packaged / "lib", Path(found.executable).parent}


def test_many_that_need_it_at_once_make_one(packaged: Path, tmp_path: Path) -> None:
    finders = [PortableGit(packaged, tmp_path, Path(certifi.where())) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda find: find().executable, finders))
    assert len(found) == 1
    assert [folder.name for folder in tmp_path.iterdir()] == [Path(found.pop()).parent.name]


def test_it_is_made_again_where_it_has_gone(packaged: Path, tmp_path: Path) -> None:
    find = PortableGit(packaged, tmp_path, Path(certifi.where()))
    made = Path(find().executable).parent
    shutil.rmtree(made)
    assert subprocess.run([find().executable, "version"], env=dict(find().environment), check=True)


def test_without_room_it_says_which_setting_to_change(packaged: Path, tmp_path: Path) -> None:
    (tmp_path / "scratch").write_text("a file where the folder belongs")
    with pytest.raises(RepositoryError, match="BACKUP_SCRATCH"):
        PortableGit(packaged, tmp_path / "scratch", Path(certifi.where()))()


def test_a_damaged_program_is_not_run(packaged: Path, tmp_path: Path) -> None:
    shutil.copytree(packaged, tmp_path / "damaged")
    program = tmp_path / "damaged" / "bin" / "git"
    program.chmod(0o644)
    program.write_bytes(program.read_bytes()[:100])
    with pytest.raises(RepositoryError, match=r"run \./package and publish again"):
        PortableGit(tmp_path / "damaged", tmp_path / "scratch", Path(certifi.where()))()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_mirror_works_with_the_packages_git(packaged: Path, tmp_path: Path) -> None:
    find = PortableGit(packaged, tmp_path / "scratch", Path(certifi.where()))
    mirror = GitMirror("https://127.0.0.1:9/none.git", tmp_path / "mirror.git", lambda: "Bearer x", find)
    stream = (
        b"commit refs/backup/x\ncommitter a <a@example.com> 0 +0000\ndata 1\nm\nM 100644 inline f\ndata 1\nx\ndone\n"
    )
    mirror.fast_import([stream])
    assert mirror.text("look", "ls-tree", "--name-only", "refs/backup/x") == "f"
    with pytest.raises(RepositoryError, match=r"127\.0\.0\.1 port 9"):
        mirror.remote("fetch", "ls-remote", "origin")


@pytest.mark.parametrize("executable", ["no-such-git", "/dev/null"])
def test_without_a_git_the_error_says_what_to_do(tmp_path: Path, executable: str) -> None:
    mirror = GitMirror("https://x.example.com", tmp_path / "mirror", lambda: "", system_git(executable))
    with pytest.raises(RepositoryError, match=r"Install git, or name one with BACKUP_GIT"):
        mirror.run("look", "rev-parse", "HEAD")


def _settings(**more: object) -> Settings:
    return Settings.model_validate({"databricks_host": "https://x", "git_remote_url": "https://y", **more})


def test_a_setting_goes_before_the_package_and_the_package_before_the_path(packaged: Path, tmp_path: Path) -> None:
    named = find_git(_settings(git_executable="/opt/git", scratch=tmp_path), packaged)()
    assert (named.executable, dict(named.environment)) == ("/opt/git", {})
    carried = find_git(_settings(scratch=tmp_path), packaged)()
    assert Path(carried.executable).is_relative_to(tmp_path)
    assert carried.environment["GIT_SSL_CAINFO"] == certifi.where()
    assert find_git(_settings(scratch=tmp_path), tmp_path / "none")().executable == "git"


def test_a_private_authority_is_trusted_by_either_git(packaged: Path, tmp_path: Path) -> None:
    own = tmp_path / "authority.pem"
    for folder in (packaged, tmp_path / "none"):
        found = find_git(_settings(scratch=tmp_path, git_ca_file=own), folder)()
        assert found.environment["GIT_SSL_CAINFO"] == str(own)
