"""Invariant 7 through the real chain: names that hurt come back byte for byte, each under a file of its own."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from local.lab import Lab, git
from tests.names import HOSTILE_NAMES, check_portable

OPTIONS = {"notebooks": 20, "plain": True}
LANGUAGES = ("PYTHON", "SQL", "SCALA", "R")
# A workspace path is cut at its slashes: no notebook of a listing can be told by a name with one in it.
NAMES = tuple(name for name in HOSTILE_NAMES if "/" not in name)
pytestmark = pytest.mark.xdist_group("hostile")


def test_names_that_hurt_come_back_byte_for_byte_under_distinct_files(lab: Lab) -> None:
    assert len(NAMES) >= 40
    actions = [
        {
            "action": "create",
            "path": f"/Clients/{folder}/{name}",
            "language": LANGUAGES[n % 4],
            "content": f"{n} {name!r}",
        }
        for folder in ("alone", "nested/café")
        for n, name in enumerate(NAMES)
    ]
    folders = [{"action": "mkdir", "path": f"/Clients/nested/{name}"} for name in NAMES]
    inner = [{"action": "create", "path": f"/Clients/nested/{name}/inner", "language": "R"} for name in NAMES]
    lab.edit({"action": "mkdir", "path": "/Clients/alone"}, {"action": "mkdir", "path": "/Clients/nested/café"})
    lab.edit(*actions, *folders, *inner)
    run = lab.back_up()
    assert (run["status"], run["failures"], run["notebooks"]) == ("succeeded", [], 20 + 3 * len(NAMES))
    clone = lab.clone()
    assert lab.cloned(clone) == lab.source_truth()
    _check_files(clone)
    assert lab.back_up()["planned"] == 0


def _check_files(clone: Path) -> None:
    """Distinct where case and normalisation do not count, and allowed on Windows and macOS too."""
    files = [f for f in git(clone, "ls-files", "-z").split("\0") if f and f != ".gitattributes"]
    for file in files:
        check_portable(file)
    folded = {unicodedata.normalize("NFC", file).casefold() for file in files}
    assert len(folded) == len(files)
    assert "error" not in git(clone, "fsck", "--full", "--strict")
