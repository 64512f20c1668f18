"""The pinned packages, for the platform's Python, wherever they are installed from."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from local.bootstrap import ensure_uv
from local.packaging.errors import PackagingFailed

SITE_PACKAGES = ".python_packages/lib/site-packages"
PYTHON_VERSION = "3.13"
PLATFORM = "x86_64-manylinux_2_28"
"""The C library of the oldest image that Azure Functions has for Python 3.13 is a newer one."""
_UNUSED_FOLDERS = {"tests", "test"}
_UNUSED_ENDINGS = {".pyi", ".pyx", ".pxd", ".c", ".h"}
_RECORDS_OF_THE_INSTALLER = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", ".lock"}
"""They hold what pruning changes, or the machine that the package was made on."""


def install_dependencies(requirements: Path, target: Path) -> None:
    """Install `requirements`, each with its hash, into `target`, and take off what no app runs."""
    command = [*ensure_uv(), "pip", "install", "--quiet", "--target", str(target), "--link-mode", "copy"]
    command += ["--python-version", PYTHON_VERSION, "--python-platform", PLATFORM, "--only-binary", ":all:"]
    command += ["--no-deps", "--require-hashes", "--requirement", str(requirements)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise PackagingFailed(
            f"the packages of requirements.txt could not be installed:\n{result.stderr.strip()}\n"
            "Check that the package registry can be reached, and that requirements.txt was made by "
            "`uv pip compile --generate-hashes`."
        )
    _prune(target)


def _prune(target: Path) -> None:
    shutil.rmtree(target / "bin", ignore_errors=True)
    for path in sorted(target.rglob("*"), reverse=True):
        if path.is_dir():
            if path.name in _UNUSED_FOLDERS:
                shutil.rmtree(path)
        elif path.suffix in _UNUSED_ENDINGS or path.name in _RECORDS_OF_THE_INSTALLER:
            path.unlink()
