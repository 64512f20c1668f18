"""What is published: a package made of this checkout, or one that was made elsewhere."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from shared.cli.setup.engine import Command, Step, Values

ARCHIVE = "package.zip"
NEEDED = frozenset({"host.json", "function_app.py", "manifest.json"})
SOURCES = (
    *("function_app.py", "host.json", "requirements.txt", "requirements-uv.txt", "LICENSE"),
    *("functions", "shared", "local/packaging"),
)
"""What a package is made of, and by."""


def package_step(answers: Mapping[str, str]) -> Step:
    """The package, before anything is made in Azure: `package_folder` among the answers names one that is there."""
    given = bool(answers.get("package_folder"))
    return Step(
        "package",
        "The package",
        "one that was made already" if given else "the app with its dependencies and a portable git",
        () if given else (Command(("./package",), '{"zip": ".../build/package.zip", "sha256": "...", ...}'),),
        remedy="give the folder that ./package or the pipeline made, with package.zip in it"
        if given
        else "docs/packaging.md says what it needs: Linux on x86_64 with git, and a way to the package registry",
        asks=False,
        find=found_package,
        counts=("package", "package_sources"),
    )


def found_package(values: Mapping[str, str]) -> Values:
    """The SHA-256 of the package at `package`. Raises `ValueError` where that is none."""
    archive = Path(values["package"])
    try:
        with zipfile.ZipFile(archive) as opened:
            missing = NEEDED - set(opened.namelist())
    except (OSError, zipfile.BadZipFile):
        raise ValueError(f"{archive} is not there, or is no whole zip file") from None
    if missing:
        raise ValueError(f"{archive} is no package of this app: it lacks {', '.join(sorted(missing))}")
    with archive.open("rb") as data:
        return {"package_sha256": hashlib.file_digest(data, "sha256").hexdigest()}


def sources_digest(root: Path) -> str:
    """A hash of everything in a checkout that a package is made of."""
    digest = hashlib.sha256()
    for file in sorted(_sources(root)):
        digest.update(f"{file.relative_to(root)}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _sources(root: Path) -> Iterator[Path]:
    for name in SOURCES:
        place = root / name
        files = [place] if place.is_file() else place.rglob("*")
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts and "cli" not in file.relative_to(root).parts[:2]:
                yield file
