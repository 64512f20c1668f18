"""The package from its parts, in a folder and in a zip: same inputs, same bytes."""

from __future__ import annotations

import base64
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local.packaging.archive import write_zip
from local.packaging.bytecode import compile_package
from local.packaging.dependencies import SITE_PACKAGES, install_dependencies
from local.packaging.manifest import Inputs, write_manifest
from local.packaging.portable_git import add_git
from local.packaging.sizes import check_limits

ROOT = Path(__file__).resolve().parent.parent.parent
APP = ("function_app.py", "host.json", "requirements.txt", "LICENSE", "functions", "shared")
DEVELOPMENT = ("shared/cli", "__pycache__")
_FUNCIGNORE = (
    "# Everything in this folder is sent, the bytecode in __pycache__ too: without it each start compiles anew.\n"
)


@dataclass(frozen=True, slots=True)
class Built:
    """A package: its folder, its zip, and the SHA-256 of the zip."""

    folder: Path
    archive: Path
    sha256: str


def build_package(output: Path, root: Path = ROOT) -> Built:
    """Make `output/package/` and `output/package.zip` anew from the checkout in `root`.

    What was there stays until the new one is whole. Raises `PackagingFailed`.
    """
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".package-", dir=output) as scratch:
        made = Path(scratch) / "package"
        _fill(made, root)
        archive = write_zip(made, Path(scratch) / "package.zip")
        check_limits(made, archive)
        folder = output / "package"
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
        final = archive.rename(output / "package.zip")
    return Built(folder, final, hashlib.sha256(final.read_bytes()).hexdigest())


def _fill(folder: Path, root: Path) -> None:
    folder.mkdir()
    _copy_app(folder, root)
    install_dependencies(root / "requirements.txt", folder / SITE_PACKAGES)
    _mark_in_step(folder)
    git = add_git(folder / "portable_git")
    compile_package(folder)
    write_manifest(folder, Inputs.of(root, git))


def _copy_app(folder: Path, root: Path) -> None:
    for name in APP:
        if (root / name).is_dir():
            shutil.copytree(root / name, folder / name, ignore=_without_development(root))
        else:
            shutil.copyfile(root / name, folder / name)
    (folder / ".funcignore").write_text(_FUNCIGNORE)


def _without_development(root: Path) -> Callable[[str, list[str]], list[str]]:
    def ignored(folder: str, names: list[str]) -> list[str]:
        inside = Path(folder).relative_to(root)
        return [name for name in names if name in DEVELOPMENT or (inside / name).as_posix() in DEVELOPMENT]

    return ignored


def _mark_in_step(folder: Path) -> None:
    """Say that the packages are those of requirements.txt, or a local build of Core Tools removes and fetches them.

    Source: `ArePackagesInSync` in Azure/azure-functions-core-tools, Helpers/PythonHelpers.cs.
    """
    digest = hashlib.md5((folder / "requirements.txt").read_bytes(), usedforsecurity=False).digest()
    (folder / ".python_packages" / "requirements.txt.md5").write_text(base64.b64encode(digest).decode())
