"""What can be known to be amiss before `./start` starts anything, each thing in a line that says what to do."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from local.workspace.generate import holds_a_notebook
from shared.settings import Settings

LEAST_FREE_MEGABYTES = 300
EMBEDDED = {
    "DATABRICKS_HOST": "http://127.0.0.1:1",
    "GIT_REMOTE_URL": "http://127.0.0.1:1/notebooks.git",
}
"""What `./start` serves itself where no setting replaces it."""
ADDRESSES = (
    *("DATABRICKS_HOST", "GIT_REMOTE_URL", "SMTP_URL", "KEY_VAULT_URI", "BACKUP_MAIL_ENDPOINT"),
    *("AzureWebJobsStorage__blobServiceUri", "AzureWebJobsStorage__queueServiceUri"),
    *("AzureWebJobsStorage__tableServiceUri", "OTEL_EXPORTER_OTLP_ENDPOINT"),
)


def found_amiss(
    environment: Mapping[str, str],
    data: Path,
    port: int,
    workspace_from: Path | None,
    *,
    resolves: Callable[[str], bool] | None = None,
    free_megabytes: Callable[[Path], float] | None = None,
) -> list[str]:
    """Every reason why a start with these settings would fail, empty where none is known.

    `data` is the data folder, `port` the app's, 0 for a free one. `resolves` tells whether a host has an address,
    `free_megabytes` the room at a path.
    """
    return [
        *_settings(environment),
        *_addresses(environment, resolves or _resolves),
        *_git(environment),
        *_port(port),
        *_folder(data, free_megabytes or _free_megabytes),
        *(_notebooks(workspace_from) if workspace_from else ()),
    ]


def _settings(environment: Mapping[str, str]) -> Iterator[str]:
    missing = {name: value for name, value in EMBEDDED.items() if name not in environment}
    try:
        Settings.model_validate({**_known(environment), **missing})
    except ValidationError as error:
        # Without the value: it may be a secret.
        for found in error.errors(include_input=False, include_url=False):
            name = str(found["loc"][0]) if found["loc"] else "settings"
            yield f"{name}: {found['msg'].removeprefix('Value error, ')} (docs/administrator.md#settings)"


def _known(environment: Mapping[str, str]) -> dict[str, str]:
    aliases = {str(field.validation_alias) for field in Settings.model_fields.values()}
    return {name: value for name, value in environment.items() if name in aliases}


def _addresses(environment: Mapping[str, str], resolves: Callable[[str], bool]) -> Iterator[str]:
    for name in ADDRESSES:
        value = environment.get(name, "")
        try:
            host = urlsplit(value if "://" in value else f"https://{value}").hostname if value else None
        except ValueError:
            continue  # the check of settings names it
        if host and not resolves(host):
            yield f"{name}: {host} has no address here: look at its spelling, and at this machine's network"


def _git(environment: Mapping[str, str]) -> Iterator[str]:
    program = environment.get("BACKUP_GIT") or "git"
    if shutil.which(program) is None:
        yield f"{program} is not installed: install Git (apt-get install git), or set BACKUP_GIT to the program"


def _port(port: int) -> Iterator[str]:
    if not port:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            told = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            yield f"port {port} {told}: pass --port with another one, or --port 0 for a free one"


def _folder(data: Path, free_megabytes: Callable[[Path], float]) -> Iterator[str]:
    there = next(place for place in (data, *data.parents) if place.exists())
    if not there.is_dir():
        yield f"--data {data}: {there} is a file: pass another folder"
    elif not os.access(there, os.W_OK | os.X_OK):
        yield f"--data {data}: {there} cannot be written by this user: pass another folder"
    elif (free := free_megabytes(there)) < LEAST_FREE_MEGABYTES:
        yield (
            f"--data {data}: the disk has {free:.0f} MB left, and {LEAST_FREE_MEGABYTES} are needed: make room, or "
            "pass a folder on another disk"
        )


def _notebooks(source: Path) -> Iterator[str]:
    if not source.is_dir():
        yield f"--workspace-from {source}: there is no such folder"
    elif not holds_a_notebook(source):
        yield (
            f"--workspace-from {source}: no file in it is a notebook in source format (the first line of a .py file "
            "is `# Databricks notebook source`)"
        )


def _resolves(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return True


def _free_megabytes(place: Path) -> float:
    return shutil.disk_usage(place).free / 2**20
