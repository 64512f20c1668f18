"""A git that runs on any Linux of the same processor: the system's, with every library and the loader of its own.

See `shared.adapters.git_program` for how the app starts it.
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from local.packaging.errors import PackagingFailed
from local.packaging.licences import add_licences
from shared.adapters.git_program import DIGEST_FILE, LOADER, PortableGit

SUBCOMMANDS = (
    "cat-file",
    "diff-tree",
    "fast-import",
    "fetch",
    "for-each-ref",
    "fsck",
    "init",
    "log",
    "ls-remote",
    "ls-tree",
    "merge-base",
    "mktag",
    "push",
    "rev-list",
    "rev-parse",
    "update-ref",
    "version",
)
"""What the app calls; the tests hold the list to its code and to what runs."""
HELPERS = (
    "commit-graph",
    "gc",
    "index-pack",
    "maintenance",
    "multi-pack-index",
    "pack-objects",
    "repack",
    "send-pack",
    "unpack-objects",
)
"""What these start by themselves."""
OLDEST_GIT, OLDEST_LIBC = (2, 36), (2, 34)
"""Since libc 2.34 the resolver is a part of it, and no module that is looked for at run time."""
_INSTALL = "Install it with `apt-get install git`, or run ./package on a machine or in a container that has it."
_RESOLVED = re.compile(r"^\s*(\S+) => (\S+) \(", re.MULTILINE)


def add_git(target: Path) -> dict[str, Any]:
    """Put a portable git into `target`; what it was made of. Raises `PackagingFailed`."""
    sources = _sources()
    (target / "bin").mkdir(parents=True)
    (target / "lib").mkdir()
    for place, source in sources.items():
        shutil.copyfile(source, target / place)
        (target / place).chmod(0o755 if place.startswith("bin/") or place.endswith(LOADER) else 0o644)
    (target / DIGEST_FILE).write_text(_digest(target, sorted(sources)))
    version = _prove(target)
    return {"version": version, "packages": add_licences(target / "licences", sources)}


def _sources() -> dict[str, Path]:
    """Which file of the system goes where."""
    _check_machine()
    git = shutil.which("git")
    if git is None:
        raise PackagingFailed(f"this machine has no git, and the package has to bring one. {_INSTALL}")
    remote = Path(_output(git, "--exec-path")) / "git-remote-https"
    if not remote.exists():
        raise PackagingFailed(f"this machine's git cannot speak HTTPS: {remote} is missing. {_INSTALL}")
    programs = {"bin/git": Path(git).resolve(), "bin/git-remote-https": remote.resolve()}
    libraries: dict[str, Path] = {}
    for program in programs.values():
        libraries |= {f"lib/{name}": Path(path) for name, path in _RESOLVED.findall(_output("ldd", str(program)))}
    return {**programs, **libraries, f"lib/{LOADER}": Path(f"/lib64/{LOADER}")}


def _check_machine() -> None:
    library, found = platform.libc_ver()
    if platform.machine() != "x86_64" or library != "glibc":
        raise PackagingFailed(
            f"the package is for Linux on x86_64 with glibc, and this is {platform.machine()} with "
            f"{library or 'another library'}: run ./package on Debian or Ubuntu, or in a container of one."
        )
    if _numbers(found) < OLDEST_LIBC:
        raise PackagingFailed(f"glibc {found} is too old to be carried along: run ./package on Debian 12 or newer.")


def _prove(target: Path) -> str:
    """The version of the git that was put together, once it ran by itself and has every subcommand."""
    with tempfile.TemporaryDirectory() as scratch:
        program = PortableGit(target, Path(scratch), Path("/nowhere"))()
        version = _output(program.executable, "version", environment=program.environment).split()[2]
        known = _output(program.executable, "--list-cmds=builtins", environment=program.environment).split()
    missing = sorted({*SUBCOMMANDS, *HELPERS} - set(known))
    if missing or _numbers(version) < OLDEST_GIT:
        raise PackagingFailed(
            f"git {version} is too old, or lacks {', '.join(missing) or 'nothing'}: the package needs git "
            f"{OLDEST_GIT[0]}.{OLDEST_GIT[1]} or newer. {_INSTALL}"
        )
    return version


def _digest(target: Path, places: list[str]) -> str:
    digest = hashlib.sha256()
    for place in places:
        digest.update(f"{place}\0{hashlib.sha256((target / place).read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _output(*command: str, environment: Any = None) -> str:
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if result.returncode != 0:
        raise PackagingFailed(f"{' '.join(command)} ended with {result.returncode}: {result.stderr.strip()[-500:]}")
    return result.stdout.strip()
