"""`./package`: make what is deployed to Azure."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from local.packaging.build import ROOT, build_package
from local.packaging.errors import PackagingFailed
from local.packaging.sizes import describe, part_sizes


def main(
    output: Annotated[Path, typer.Option(help="Where package/ and package.zip are written.")] = ROOT / "build",
) -> None:
    """Make the deployment package: the folder for `func azure functionapp publish`, and the zip for zip deploy."""
    try:
        built = build_package(output.resolve())
    except PackagingFailed as error:
        sys.stderr.write(f"no package was made: {error}\n")
        raise typer.Exit(1) from None
    sys.stderr.write(f"{describe(built.folder, built.archive)}\n")
    unpacked = part_sizes(built.folder).total()
    summary = {"zip": str(built.archive), "sha256": built.sha256, "zip_bytes": built.archive.stat().st_size}
    sys.stdout.write(json.dumps({**summary, "unpacked_bytes": unpacked}) + "\n")


if __name__ == "__main__":
    typer.run(main)
