"""Whose restores somebody sees and undoes: those that they might have asked for, whoever did."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.wiring import services
from tests.pages_site import Site, back_up, write
from tests.signed_in import IN_AZURE, principal, send, set_up

ACME, GLOBEX = "/Clients/acme/load", "/Clients/globex/load"
GROUP = "9f3c0000-0000-4000-8000-0000000000ac"
ADA = principal("Backup.Restorer", groups=[GROUP])
OPERATOR = principal("Backup.Operator", name="root@example.com")
ACME_ALONE = json.dumps({GROUP: ["/Clients/acme"]})
ACME_AND_ASIDE = json.dumps({GROUP: ["/Clients/acme", "/Users/acme"]})
ACTS = {
    "undo": lambda who, of: send("undo_restore", who, identity=of, body=b'{"force": true}'),
    "plan to undo": lambda who, of: send("undo_restore", who, identity=of, body=b'{"dry_run": true}'),
    "get": lambda who, of: send("get_restore", who, identity=of),
    "progress": lambda who, of: send("page_result", who, params={"id": of}),
    "again beside": lambda who, of: send("page_restore", who, params={"of": of, "beside": "true"}),
}
UNSEEN = ("get", "progress", "again beside", "undo", "plan to undo")
UNDOING = ("undo", "plan to undo")
OF_OTHERS = [
    # what ADA may read, what she may restore, the restore, and what of it is refused to her
    (ACME_ALONE, "{}", {"paths": [ACME]}, ()),
    (ACME_ALONE, "{}", {"paths": [GLOBEX]}, UNSEEN),
    (ACME_ALONE, "{}", {"paths": [ACME, GLOBEX]}, UNSEEN),
    (ACME_ALONE, "{}", {"folder": "/Clients"}, UNSEEN),
    (ACME_ALONE, "{}", {"paths": [GLOBEX], "target": "/Clients/acme/got"}, UNSEEN),
    (ACME_ALONE, "{}", {"paths": [ACME], "target": "/Clients/globex"}, ()),
    (ACME_ALONE, "{}", {"paths": [ACME], "target": "/Shared/kept"}, UNSEEN),
    (ACME_ALONE, ACME_ALONE, {"paths": [ACME], "target": "/Clients/globex"}, UNSEEN),
    (ACME_ALONE, ACME_ALONE, {"folder": "/Clients/acme", "target": "/Users/ceo"}, UNSEEN),
    (ACME_ALONE, ACME_AND_ASIDE, {"paths": [ACME], "target": "/Users/acme"}, ()),
    ("{}", ACME_ALONE, {"paths": [GLOBEX]}, (*UNDOING, "again beside")),
    ("{}", ACME_ALONE, {"paths": [ACME], "target": "/Clients/globex"}, UNDOING),
    ("{}", ACME_ALONE, {"paths": [GLOBEX], "target": "/Clients/acme/got"}, (*UNDOING, "again beside")),
]


def _two_versions(site: Site) -> str:
    """Two versions of a notebook of each team; the commit of the first."""
    commits = []
    for number in (1, 2):
        for path in (ACME, GLOBEX):
            write(site.world, path, f"print({number})\n")
        commits.append(back_up(site.world))
    return commits[0]


def _live(site: Site) -> dict[str, bytes]:
    return {n.path: n.source() for n in site.world.model.root.notebooks()}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(("reads", "restores", "body", "refused"), OF_OTHERS, ids=str)
def test_a_restore_of_others_is_seen_and_undone_by_those_alone_who_may_have_asked_for_it(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    act: str,
    reads: str,
    restores: str,
    body: dict[str, Any],
    refused: tuple[str, ...],
) -> None:
    then = _two_versions(site)
    set_up(monkeypatch, **IN_AZURE, BACKUP_READ_FOLDERS=reads, BACKUP_RESTORE_FOLDERS=restores)
    asked = json.dumps({**body, "at": then}).encode()
    of = json.loads(send("start_restore", OPERATOR, body=asked).get_body())["id"]
    while not services().restores.step(of):
        continue
    before = _live(site)
    answer = ACTS[act](ADA, of)
    assert (answer.status_code == 403) == (act in refused), answer.get_body()[-300:]
    if act in refused:
        assert b"outside the folders" in answer.get_body()
        assert _live(site) == before
    else:
        assert answer.status_code < 300
    listed = [r["id"] for r in json.loads(send("list_restores", ADA).get_body())["restores"]]
    assert (of in listed) == ("get" not in refused)
