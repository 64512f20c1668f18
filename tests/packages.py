"""The deployment package, made once for all tests of it, and places to run it in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from local.packaging import build_package
from local.packaging.dependencies import SITE_PACKAGES

WWWROOT = "/home/site/wwwroot"
HIDE_GIT = """set -e
mount --bind /dev/null "$(command -v git)"
mount -t tmpfs none "$(dirname "$GIT_CORE/x")"
! git --version 2>/dev/null
exec "$@"
"""
"""Runs a command where the system's git is no program, and its subcommands are gone."""
ENTER = """set -e
root=$1; shift
show() { mkdir -p "$root$2"; mount --bind "$1" "$root$2"; mount -o "remount,bind,$3" "$root$2"; }
show "$PYTHON_HOME" "$PYTHON_HOME" ro
show "$PACKAGE" /home/site/wwwroot ro
show "$SHARED" "$SHARED" rw
exec chroot "$root" "$@"
"""
"""Runs a command in a root file system with Python, the package, and one folder that both may write to."""
EVERYWHERE = {
    "libc.so.6",
    "libm.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libgcc_s.so.1",
    "libstdc++.so.6",
}
"""What a wheel for manylinux may expect of the system, as far as it concerns us."""
_LIBRARY = re.compile(r"(/\S+) \(0x")


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with `package/` and `package.zip`: what BACKUP_PACKAGE names, as CI made it, or made now."""
    made = os.environ.get("BACKUP_PACKAGE")
    if made:
        return Path(made).resolve()
    folder = tmp_path_factory.mktemp("package")
    build_package(folder)
    return folder


@pytest.fixture(scope="session")
def deployed(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip unpacked by what knows nothing of modes: no file is executable, as after some deployments."""
    folder = tmp_path_factory.mktemp("deployed") / "wwwroot"
    with zipfile.ZipFile(package / "package.zip") as archive:
        archive.extractall(folder)
    assert not [file for file in folder.rglob("*") if file.is_file() and file.stat().st_mode & 0o111]
    return folder


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Fails where mounts cannot be made that no other process sees; the message says what is needed."""
    probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.fail(f"mount namespaces are needed: run the tests as root, as CI does ({probe.stderr.strip()})")


def git_core() -> str:
    """The folder of the system's git subcommands."""
    return subprocess.run(["git", "--exec-path"], check=True, capture_output=True, text=True).stdout.strip()


def without_git(*command: str) -> list[str]:
    """The command, where the system's git is hidden; needs GIT_CORE in its environment."""
    return ["unshare", "--mount", "sh", "-c", HIDE_GIT, "sh", *command]


def in_bare_root(root: Path, *command: str) -> list[str]:
    """The command in that root alone; needs PYTHON_HOME, PACKAGE and SHARED in its environment."""
    return ["unshare", "--mount", "sh", "-c", ENTER, "sh", str(root), *command]


def search_path(folder: Path | str) -> str:
    """What the platform's worker puts before all else."""
    return f"{folder}:{folder}/{SITE_PACKAGES}"


@pytest.fixture
def bare_root(tmp_path: Path, deployed: Path) -> Iterator[Path]:
    """A root file system to be filled with mounts: devices, an empty /tmp, the libraries of Python, and no program.

    The package's modules find what every Linux with glibc has (PEP 600), and nothing more.
    """
    root = tmp_path / "root"
    for name in ("dev", "tmp"):
        (root / name).mkdir(parents=True)
    for name, minor in (("null", 3), ("zero", 5), ("random", 8), ("urandom", 9)):
        os.mknod(root / "dev" / name, 0o20666, os.makedev(1, minor))
    home = Path(sys.base_prefix)
    needed = libraries([Path(os.path.realpath(sys.executable)), *home.glob("lib/python3.13/lib-dynload/*.so")])
    for library in needed | {found for found in libraries(deployed.rglob("*.so")) if Path(found).name in EVERYWHERE}:
        target = root / library[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(library, target)
        target.chmod(0o755)
    yield root
    shutil.rmtree(root)


def libraries(programs: Iterable[Path]) -> set[str]:
    """The loader and the libraries that these load from the system."""
    listed = subprocess.run(["ldd", *map(str, programs)], check=True, capture_output=True, text=True).stdout
    return set(_LIBRARY.findall(listed))
