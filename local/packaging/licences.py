"""The licences of the programs and libraries that a package passes on, and where their sources are.

git is under the GNU General Public License, version 2, which asks for both.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from local.packaging.errors import PackagingFailed

_COMMON = Path("/usr/share/common-licenses")
_NAMED = re.compile(rf"{_COMMON}/([A-Za-z0-9.+-]*[A-Za-z0-9+])")
_SOURCES = {
    "debian": "https://snapshot.debian.org/package/{source}/{version}/",
    "ubuntu": "https://launchpad.net/ubuntu/+source/{source}/{version}",
}
_FOREIGN = "ppa"
"""In the version of a package from a personal archive, by the rules of Ubuntu's."""
_INTRODUCTION = """\
# Licences of the git in this package

The files below are unchanged copies from packages of {system}. Each package's licence is in the folder of its
name; the licences that these refer to are in `common/`. git is under the GNU General Public License, version 2.
The complete source of each package, with the scripts that build it, is at the address beside it.

| file | package | source |
| --- | --- | --- |
"""


def add_licences(target: Path, sources: Mapping[str, Path]) -> list[str]:
    """Put the licences of `sources`, files of the system by their place, into `target`; the packages they are from.

    Raises `PackagingFailed` where a file is from no package of Debian or Ubuntu, or a licence is missing.
    """
    packages = {place: _package_of(source) for place, source in sources.items()}
    described = {package: _describe(package) for package in sorted(set(packages.values()))}
    (target / "common").mkdir(parents=True)
    for package in described:
        _add_licence(target, package)
    rows = [f"| `{place}` | {packages[place]} | {described[packages[place]][1]} |" for place in sorted(packages)]
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    (target / "README.md").write_text(_INTRODUCTION.format(system=system) + "\n".join(rows) + "\n")
    return [name for name, _ in described.values()]


def _package_of(source: Path) -> str:
    """The package that owns a file. It may be recorded with or without the `/usr` that `/lib` is linked into."""
    whole = source.resolve()
    spelled = dict.fromkeys([source, whole, *_other_spellings(source), *_other_spellings(whole)])
    for path in spelled:
        found = _ask("dpkg-query", "-S", str(path))
        if found:
            return found.splitlines()[0].rpartition(": ")[0].split(",")[0].strip()
    raise PackagingFailed(
        f"{source} is from no package of this system, so its licence is unknown: run ./package on Debian or Ubuntu "
        "with git as they package it, or in a container of one."
    )


def _other_spellings(path: Path) -> list[Path]:
    text = str(path)
    return [Path(text.removeprefix("/usr")) if text.startswith("/usr/lib") else Path(f"/usr{text}")]


def _describe(package: str) -> tuple[str, str]:
    """A package with its version, and the address of its source."""
    text = _ask("dpkg-query", "-W", "-f", "${Version}\t${source:Package}\t${source:Version}", package)
    version, source, source_version = text.split("\t")
    if _FOREIGN in version:
        raise PackagingFailed(
            f"{package} {version} is from another archive than the system's own, and where its source is cannot be "
            "told: run ./package in a container (.ci/container says how)."
        )
    pattern = _SOURCES.get(platform.freedesktop_os_release().get("ID", ""), _SOURCES["debian"])
    return f"{package} {version}", pattern.format(source=quote(source), version=quote(source_version))


def _add_licence(target: Path, package: str) -> None:
    name = package.partition(":")[0]
    text = Path(f"/usr/share/doc/{name}/copyright")
    if not text.exists():
        raise PackagingFailed(f"{text} is missing: reinstall {name} with its documentation, and run ./package again.")
    (target / name).mkdir()
    shutil.copyfile(text, target / name / "copyright")
    for common in sorted(set(_NAMED.findall(text.read_text(errors="replace")))):
        if (_COMMON / common).exists():
            shutil.copyfile(_COMMON / common, target / "common" / common)


def _ask(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        raise PackagingFailed(
            "this system has no dpkg, which knows the licences: run ./package on Debian or Ubuntu."
        ) from None
