"""A plain exporter on databricks-sdk with 20 threads, as people write it: `python sdk_exporter.py TARGET`."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.workspace import ExportFormat, ObjectType

THREADS = 20


def main(target: Path) -> None:
    """Write every notebook below /Clients to a file."""
    client = WorkspaceClient()
    notebooks: list[str] = []
    with ThreadPoolExecutor(THREADS) as pool:
        level = ["/Clients"]
        while level:
            found = [o for objects in pool.map(lambda p: list(client.workspace.list(p)), level) for o in objects]
            notebooks += [str(o.path) for o in found if o.object_type is ObjectType.NOTEBOOK]
            level = [str(o.path) for o in found if o.object_type is ObjectType.DIRECTORY]
        list(pool.map(lambda path: _export(client, path, target), notebooks))


def _export(client: WorkspaceClient, path: str, target: Path) -> None:
    file = target / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    with client.workspace.download(path, format=ExportFormat.SOURCE) as stream:
        file.with_suffix(".txt").write_bytes(stream.read())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
