"""How large a package is, and what makes it so."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from local.packaging.archive import files_of
from local.packaging.dependencies import SITE_PACKAGES
from local.packaging.errors import PackagingFailed

MOST_ZIP_BYTES = 2**30
"""What a deployment to a Flex Consumption plan may have
(https://learn.microsoft.com/azure/azure-functions/functions-deployment-technologies)."""
MOST_UNPACKED_BYTES = 400 * 2**20
"""Half of the 0.8 GB of temporary disk of a Flex Consumption instance: mirror and staged files need the rest."""


def check_limits(folder: Path, archive: Path) -> None:
    """Raises `PackagingFailed` where the package is too large to be deployed, or to leave room on an instance."""
    for what, size, most in (
        ("the zip", archive.stat().st_size, MOST_ZIP_BYTES),
        ("the unpacked package", sum(part_sizes(folder).values()), MOST_UNPACKED_BYTES),
    ):
        if size > most:
            named = ", ".join(f"{name} {_megabytes(bytes_)}" for name, bytes_ in part_sizes(folder).most_common(5))
            raise PackagingFailed(
                f"{what} has {_megabytes(size)}, at most {_megabytes(most)} fit. The largest parts: {named}"
            )


def part_sizes(folder: Path) -> Counter[str]:
    """Bytes of each part: a Python package, or else the part's first folder or file."""
    sizes: Counter[str] = Counter()
    for file in files_of(folder):
        sizes[_part(file)] += (folder / file).stat().st_size
    return sizes


def describe(folder: Path, archive: Path, parts: int = 10) -> str:
    """The package's size, and its largest parts, for people."""
    sizes = part_sizes(folder)
    rows = [f"  {_megabytes(size):>9}  {name}" for name, size in sizes.most_common(parts)]
    total = f"{archive} {_megabytes(archive.stat().st_size)}, unpacked {_megabytes(sizes.total())}; the largest parts:"
    return "\n".join([total, *rows])


def _part(file: str) -> str:
    below = file.removeprefix(f"{SITE_PACKAGES}/")
    return below.split("/")[0].removesuffix(".dist-info")


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MB"
