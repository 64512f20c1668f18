"""`manifest.json`: the version, what the package was made of, and the SHA-256 of each file."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.packaging.archive import files_of, mode_of
from local.packaging.dependencies import PLATFORM, PYTHON_VERSION

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a package was made of.

    `commit` is the checkout's, with `+changes` where files differ from it, or empty outside a checkout.
    `compiled_by` is the Python that made the bytecode; `git` is what the portable git was made of.
    """

    version: str
    commit: str
    compiled_by: str
    git: dict[str, Any]

    @classmethod
    def of(cls, root: Path, git: dict[str, Any]) -> Inputs:
        """The inputs in the checkout at `root`."""
        version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
        return cls(str(version), _commit(root), platform.python_version(), git)


def write_manifest(folder: Path, inputs: Inputs) -> None:
    """Write the manifest of `folder` into it."""
    manifest = {
        "version": inputs.version,
        "commit": inputs.commit,
        "python": PYTHON_VERSION,
        "platform": PLATFORM,
        "compiled_by": inputs.compiled_by,
        "git": inputs.git,
        "files": {file: _entry(folder / file) for file in sorted(files_of(folder))},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")


def _entry(file: Path) -> dict[str, Any]:
    data = file.read_bytes()
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "mode": f"{mode_of(file):04o}"}


def _commit(root: Path) -> str:
    """The commit that is checked out at `root` itself, not of a repository further up."""
    if not (root / ".git").exists():
        return ""
    head, status = (_git(root, *arguments) for arguments in (("rev-parse", "HEAD"), ("status", "--porcelain")))
    return f"{head}+changes" if head and status else head


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
