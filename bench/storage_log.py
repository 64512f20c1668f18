"""Requests of a storage account by what Azure charges for them, read from Azurite's access log.

Blobs: https://learn.microsoft.com/azure/storage/blobs/map-rest-apis-transaction-categories, general-purpose v2.
Tables and queues have the classes of their pricing pages. A request that is refused for want of a right is free, one
that fails otherwise is charged as if it had not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

from local.azurite import ACCOUNT

_LINE = re.compile(r'\S+ - \S+ \[[^\]]+\] "(?P<method>[A-Z]+) (?P<target>.*) HTTP/[\d.]+" (?P<status>\d{3}) \S+')
_REFUSED = (401, 403)
_BLOB_WRITES = ("", "block", "blocklist", "appendblock", "seal", "undelete", "tier")
FREE = "free"
POLL = "receive"
"""The class of asking a queue for messages, whether there are any or not."""
CLASSES = {
    "blob": ("write", "list", "read", "other", FREE),
    "table": ("batch write", "write", "read", "scan", "list", "delete", FREE),
    "queue": ("class 1", "class 2", POLL, FREE),
}


class UnknownRequest(Exception):
    """A line of the access log that is no request known here: add it to `bench/storage_log.py`."""


def count(lines: Iterable[str]) -> Counter[tuple[str, str]]:
    """Requests by service and class; lines that tell of no request are left out. Raises `UnknownRequest`."""
    return Counter(found for line in lines if (found := _counted(line)))


def _counted(line: str) -> tuple[str, str] | None:
    request = _LINE.match(line)
    if request is None:
        if "HTTP/" in line:
            raise UnknownRequest(line)
        return None
    service, kind = classify(request["method"], request["target"])
    return service, FREE if int(request["status"]) in _REFUSED else kind


def classify(method: str, target: str) -> tuple[str, str]:
    """Service and class of a request for `/ACCOUNT/...`. Raises `UnknownRequest`.

    The names of what is asked for tell the service: a container's or a queue's has small letters, digits and hyphens.
    No blob may be called `messages`: it would pass for a queue's.
    """
    path, _, query = target.partition("?")
    asked = dict(parse_qsl(query, keep_blank_values=True))
    first, _, below = path.removeprefix(f"/{ACCOUNT}").lstrip("/").partition("/")
    if first in ("$batch", "Tables") or "(" in first or (method == "POST" and not below and not asked):
        return "table", _table(method, first)
    if below == "messages" or "popreceipt" in asked or (first and not below and "restype" not in asked):
        return "queue", _queue(method, below)
    if below:
        return "blob", _blob(method, asked.get("comp", ""))
    if "comp" in asked or "restype" in asked:
        return "blob", _container(method, asked)
    raise UnknownRequest(f"{method} {target}")


def _table(method: str, first: str) -> str:
    if first == "$batch":
        return "batch write"
    if method == "GET" and first == "Tables":
        return "list"
    if method == "GET":
        return "scan" if first.endswith("()") else "read"
    return "delete" if method == "DELETE" else "write"


def _queue(method: str, below: str) -> str:
    if method == "GET":
        return POLL if below else "class 2"
    return "class 2" if method == "HEAD" else "class 1"


def _blob(method: str, comp: str) -> str:
    if method == "DELETE":
        return FREE
    if method == "GET":
        return "other" if comp else "read"
    return "write" if method == "PUT" and comp in _BLOB_WRITES else "other"


def _container(method: str, asked: Mapping[str, str]) -> str:
    if method == "DELETE":
        return FREE
    made = method == "PUT" and "comp" not in asked
    return "list" if made or asked.get("comp") == "list" else "other"
