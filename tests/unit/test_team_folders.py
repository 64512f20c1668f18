"""A team restores, and where it is wanted sees, its own folders alone; each test tries a way around that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import azure.functions as func
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.access import Caller
from shared.domain.audit import AuditAction
from shared.domain.folder_scopes import FolderMap, Scope
from shared.services.audit.trail import AuditTrail
from shared.wiring import services
from tests.pages_site import Seen, Site, address, back_up, write
from tests.signed_in import IN_AZURE, code_of, principal, send, set_up

ACME, GLOBEX, BESIDE = "/Clients/acme/load", "/Clients/globex/load", "/Clients/acme-secret/load"
GROUP = "9f3c0000-0000-4000-8000-0000000000AC"
MAP = json.dumps({GROUP: ["/Clients/acme", "/Users/acme"], "Team.Globex": ["/Clients/globex/"]})
ADA = principal("Backup.Restorer", groups=[GROUP.lower()])
EVE = principal("Backup.Restorer", name="eve@example.com")
OPERATOR = principal("Backup.Operator", name="root@example.com")
LIVE = {ACME: b"print(2)\n", GLOBEX: b"print(2)\n", BESIDE: b"print(2)\n"}


@pytest.fixture
def then(site: Site, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two versions of a notebook of each team, with limits on restores; the commit of the first."""
    for path in LIVE:
        write(site.world, path, "print(1)\n")
    commit = back_up(site.world)
    for path in LIVE:
        write(site.world, path, "print(2)\n")
    back_up(site.world)
    set_up(monkeypatch, **IN_AZURE, BACKUP_RESTORE_FOLDERS=MAP)
    return commit


@pytest.fixture
def secret(then: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The same, with limits on reading."""
    set_up(monkeypatch, BACKUP_READ_FOLDERS=json.dumps({GROUP: ["/Clients/acme"]}))
    yield then


def _restore(who: dict[str, str], **body: Any) -> func.HttpResponse:
    return send("start_restore", who, body=json.dumps(body).encode())


def _live(site: Site) -> dict[str, bytes]:
    return {n.path: n.source() for n in site.world.model.root.notebooks()}


def test_a_team_restores_its_own_notebook_and_undoes_that(site: Site, then: str) -> None:
    done = json.loads(_restore(ADA, paths=[ACME], at=then).get_body())
    assert (done["status"], _live(site)) == ("succeeded", {**LIVE, ACME: b"print(1)\n"})
    undone = send("undo_restore", ADA, identity=done["id"])
    assert (undone.status_code, _live(site)) == (200, LIVE)


@pytest.mark.parametrize(
    "body",
    [
        {"paths": [GLOBEX]},
        {"paths": [ACME, GLOBEX]},
        {"paths": [BESIDE]},
        {"paths": ["/Clients/acme"]},
        {"paths": ["/Clients/acme"], "suffix": "-secret"},
        {"folder": "/Clients"},
        {"folder": "/Clients", "remove_extra": True},
        {"folder": "/Clients/globex"},
        {"folder": "/Clients/acme-secret"},
        {"folder": "/Clients/Acme"},
        {"folder": "/Clients/acme", "target": "/Clients/globex"},
        {"folder": "/Clients/acme", "target": "/Clients"},
        {"folder": "/Clients/acme", "target": "/Shared/jobs"},
        {"paths": [ACME], "target": "/Clients/globex"},
        {"paths": [ACME], "target": "/Clients/acme-secret"},
        {"paths": [ACME], "target": "/Users/somebody"},
        {"paths": [GLOBEX], "target": "/Clients/acme/taken"},
        {"folder": "/Clients/globex", "target": "/Users/acme"},
    ],
    ids=str,
)
@pytest.mark.parametrize("dry_run", [True, False], ids=["plan", "restore"])
def test_nothing_outside_a_teams_folders_is_restored_or_planned(
    site: Site, then: str, body: dict[str, Any], dry_run: bool
) -> None:
    answer = _restore(ADA, **body, at=then, dry_run=dry_run, force=True)
    assert (answer.status_code, code_of(answer)) == (403, "outside_folders"), answer.get_body()
    assert _live(site) == LIVE
    assert services().restores.recent(10) == []
    record = list(AuditTrail(site.world.tables, site.world.clock).records())[-1]
    assert (record.action, record.actor, record.detail["code"]) == (
        AuditAction.ACCESS_REFUSED,
        "ada@example.com",
        "outside_folders",
    )


@pytest.mark.parametrize(
    "path",
    ["/Clients/acme/../globex/load", "/Clients/acme/./load", "/Clients/acme//load", "Clients/acme/load", "/Clients/.."],
)
def test_a_path_that_could_mean_another_is_no_path(site: Site, then: str, path: str) -> None:
    for body in ({"paths": [path]}, {"folder": path}, {"paths": [ACME], "target": path}):
        assert _restore(ADA, **body, at=then).status_code == 400
    assert _live(site) == LIVE


def test_somebody_in_no_group_restores_nothing_and_an_operator_everything(site: Site, then: str) -> None:
    assert code_of(_restore(EVE, paths=[ACME], at=then)) == "outside_folders"
    assert code_of(_restore(principal("Backup.Restorer", "Team.Globex"), paths=[ACME], at=then)) == "outside_folders"
    assert _restore(principal("Backup.Restorer", "Team.Globex"), paths=[GLOBEX], at=then).status_code == 200
    assert _restore(OPERATOR, paths=[ACME, BESIDE], at=then).status_code == 202
    assert _restore(OPERATOR, paths=[ACME], at=then, target="/Shared/kept").status_code == 200
    assert _live(site)["/Shared/kept/acme/load"] == b"print(1)\n"


def test_a_claim_that_is_no_group_of_the_token_counts_for_nothing(site: Site, then: str) -> None:
    claims = [{"typ": kind, "val": GROUP} for kind in ("group", "wids", "name", "preferred_username", "oid")]
    claims += [{"typ": "roles", "val": "Backup.Restorer"}]
    answer = _restore(principal(claims=claims), paths=[ACME], at=then)
    assert code_of(answer) == "outside_folders"


def test_another_teams_restore_is_not_undone(site: Site, then: str) -> None:
    theirs = json.loads(_restore(OPERATOR, paths=[GLOBEX], at=then).get_body())["id"]
    for body in (b"", b'{"dry_run": true}', b'{"force": true}'):
        answer = send("undo_restore", ADA, identity=theirs, body=body)
        assert (answer.status_code, code_of(answer)) == (403, "outside_folders")
    assert _live(site)[GLOBEX] == b"print(1)\n"
    elsewhere = json.loads(_restore(OPERATOR, paths=[ACME], at=then, target="/Clients/globex").get_body())["id"]
    assert code_of(send("undo_restore", ADA, identity=elsewhere)) == "outside_folders"


def test_another_teams_plan_is_not_carried_out(site: Site, then: str) -> None:
    plan = json.loads(_restore(OPERATOR, paths=[GLOBEX], at=then, dry_run=True).get_body())["id"]
    assert code_of(_restore(ADA, paths=[GLOBEX], at=then, plan=plan)) == "outside_folders"
    assert code_of(_restore(ADA, paths=[ACME], at=then, plan=plan)) == "unusable_plan"
    assert _live(site) == LIVE


def _page(name: str, who: dict[str, str], status: int, **params: str) -> Seen:
    answer = send(name, who, params=params)
    assert answer.status_code == status, answer.get_body()[-500:]
    return Seen(answer.get_body().decode())


def _form(seen: Seen, action: str) -> bytes:
    (form,) = [f for f in seen.forms if f["action"] == action and f["method"] == "post"]
    return urlencode(form["fields"]).encode()


def test_the_pages_keep_a_team_to_its_folders_too(site: Site, then: str) -> None:
    for asked in ({"path": GLOBEX}, {"folder": "/Clients"}, {"path": ACME, "target": "/Clients/globex"}):
        assert "outside the folders" in _page("page_restore", ADA, 403, at=then, **asked).words
    mine = _page("page_restore", ADA, 200, path=ACME, at=then)
    of = dict(urlencode_pairs(_form(mine, "restore")))["plan"]
    beside = _page("page_restore", ADA, 403, of=of, beside="true", target="/Clients/globex")
    assert "outside the folders" in beside.words
    theirs = _page("page_restore", OPERATOR, 200, path=GLOBEX, at=then)
    stolen = send("page_restore_now", ADA, body=_form(theirs, "restore"))
    assert (stolen.status_code, _live(site)) == (403, LIVE)
    done = send("page_restore_now", ADA, body=_form(mine, "restore"))
    assert (done.status_code, _live(site)[ACME]) == (303, b"print(1)\n")


def urlencode_pairs(form: bytes) -> list[tuple[str, str]]:
    return list(address(f"?{form.decode()}")[1].items())


def test_without_limits_people_still_restore_below_the_root_alone(
    site: Site, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(monkeypatch, BACKUP_RESTORE_FOLDERS="{}")
    assert _restore(EVE, paths=[GLOBEX], at=then).status_code == 200
    for target in ("/Shared/jobs", "/Users/ceo@example.com", "/", "/Clientsx"):
        answer = _restore(EVE, paths=[ACME], at=then, target=target)
        assert answer.status_code in (400, 403), target
    assert set(_live(site)) == set(LIVE)


@pytest.mark.parametrize("who", [EVE, OPERATOR], ids=["restorer", "operator"])
def test_nobody_removes_what_is_no_part_of_the_backup(
    site: Site, then: str, monkeypatch: pytest.MonkeyPatch, who: dict[str, str]
) -> None:
    set_up(monkeypatch, BACKUP_RESTORE_FOLDERS="{}")
    write(site.world, "/Users/ceo/plans", "secret\n")
    for folder in ("/Users", "/Users/ceo", "/Shared"):
        answer = _restore(who, folder=folder, at=then, remove_extra=True)
        assert (answer.status_code, code_of(answer)) == (403, "outside_backup")
    assert "/Users/ceo/plans" in _live(site)


@pytest.mark.parametrize("who", [EVE, OPERATOR], ids=["restorer", "operator"])
def test_nobody_reads_by_the_backups_identity_what_is_no_part_of_the_backup(
    site: Site, then: str, who: dict[str, str]
) -> None:
    write(site.world, "/Users/ceo/plans", "the secret plan\n")
    for name, extra in (
        ("get_content", {"at": "live"}),
        ("get_diff", {"to": "live"}),
        ("page_preview", {"at": "live"}),
    ):
        answer = send(name, who, params={"path": "/Users/ceo/plans", **extra})
        assert (answer.status_code, b"secret plan" in answer.get_body()) == (403, False), name
    sneaked = send("page_compare", who, params={"path": ACME, "from": "live", "from_path": "/Users/ceo/plans"})
    assert (sneaked.status_code, b"secret plan" in sneaked.get_body()) == (403, False)


READS = [
    ("get_versions", {"path": GLOBEX}),
    ("get_content", {"path": GLOBEX}),
    ("get_content", {"path": GLOBEX, "at": "live"}),
    ("get_content", {"path": "/Clients/acme/../globex/load"}),
    ("get_diff", {"path": GLOBEX}),
    ("get_tree", {"path": "/Clients/globex"}),
    ("get_tree", {"path": "/Clients/acme-secret"}),
    ("get_change_report", {}),
    ("get_change_report", {"folder": "/Clients"}),
    ("get_change_report", {"folder": "/Clients/globex"}),
    ("page_browse", {"path": "/Clients/globex"}),
    ("page_history", {"path": GLOBEX}),
    ("page_preview", {"path": GLOBEX}),
    ("page_preview", {"path": GLOBEX, "download": "true"}),
    ("page_compare", {"path": GLOBEX}),
    ("page_compare", {"path": ACME, "from_path": GLOBEX}),
    ("page_restore", {"path": GLOBEX}),
    ("get_status", {}),
    ("list_runs", {}),
    ("get_capacity", {}),
    ("list_verifications", {}),
    ("page_dashboard", {}),
]


@pytest.mark.parametrize(("name", "params"), READS, ids=str)
def test_what_is_outside_is_not_shown_where_reading_is_limited(
    site: Site, secret: str, name: str, params: dict[str, str]
) -> None:
    answer = send(name, ADA, params=params)
    words = answer.get_body().decode()
    assert (answer.status_code, "outside the folders" in words, "print(" in words) == (403, True, False)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("get_versions", {"path": ACME}),
        ("get_content", {"path": ACME}),
        ("get_diff", {"path": ACME}),
        ("get_tree", {"path": "/Clients/acme"}),
        ("get_change_report", {"folder": "/Clients/acme"}),
        ("page_preview", {"path": ACME}),
        ("page_restore", {"path": ACME}),
    ],
    ids=str,
)
def test_what_is_inside_is_shown_where_reading_is_limited(
    site: Site, secret: str, name: str, params: dict[str, str]
) -> None:
    assert send(name, ADA, params=params).status_code == 200
    assert send(name, EVE, params=params).status_code == 403


def test_listings_and_searches_hold_what_is_inside_alone(site: Site, secret: str) -> None:
    for n in range(30):
        write(site.world, f"/Clients/aaa/{n}", "x\n")
    back_up(site.world)
    root = json.loads(send("get_tree", ADA).get_body())
    assert ([f["path"] for f in root["folders"]], root["notebooks"]) == (["/Clients/acme"], [])
    found = json.loads(send("find_notebooks", ADA, params={"q": "", "limit": "2"}).get_body())["notebooks"]
    assert [n["path"] for n in found] == [ACME]
    assert json.loads(send("find_notebooks", EVE, params={"q": "load"}).get_body())["notebooks"] == []
    words = _page("page_browse", ADA, 200, q="load").words
    assert ("acme" in words, "globex" in words, "acme-secret" in words) == (True, False, False)
    everything = json.loads(send("find_notebooks", OPERATOR, params={"q": "load"}).get_body())["notebooks"]
    assert {n["path"] for n in everything} == set(LIVE)


def test_restores_of_others_are_neither_listed_nor_shown(site: Site, secret: str) -> None:
    theirs = json.loads(_restore(OPERATOR, paths=[GLOBEX], at=secret).get_body())["id"]
    mine = json.loads(_restore(ADA, paths=[ACME], at=secret).get_body())["id"]
    assert [r["id"] for r in json.loads(send("list_restores", ADA).get_body())["restores"]] == [mine]
    assert len(json.loads(send("list_restores", OPERATOR).get_body())["restores"]) == 2
    assert send("get_restore", ADA, identity=theirs).status_code == 403
    assert send("page_result", ADA, params={"id": theirs}).status_code == 403
    assert send("get_restore", ADA, identity=mine).status_code == 200


def test_a_notebook_that_came_from_elsewhere_does_not_show_where_it_was(site: Site, secret: str) -> None:
    site.world.model.apply("move", "ada", path=GLOBEX, to="/Clients/acme/taken")
    back_up(site.world)
    told = send("get_versions", ADA, params={"path": "/Clients/acme/taken"}).get_body().decode()
    assert (len(json.loads(told)["versions"]), "globex" in told) == (1, False)


@pytest.mark.parametrize("form", ["json", "csv", "html"])
@pytest.mark.parametrize(("source", "target"), [(GLOBEX, "/Clients/acme/taken"), (ACME, "/Clients/globex/given")])
def test_a_report_names_no_place_outside(site: Site, secret: str, form: str, source: str, target: str) -> None:
    site.world.model.apply("move", "ada", path=source, to=target)
    back_up(site.world)
    asked = {"folder": "/Clients/acme", "format": form}
    told = send("get_change_report", ADA, params=asked).get_body().decode()
    assert ("/Clients/acme/" in told, "globex" in told) == (True, False)
    assert "globex" in send("get_change_report", OPERATOR, params=asked).get_body().decode()


names = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=5).filter(lambda n: n not in (".", ".."))
paths = st.lists(names, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(st.sets(paths, max_size=3), paths)
def test_a_path_is_inside_exactly_where_one_of_its_folders_is(folders: set[str], path: str) -> None:
    scope = Scope(frozenset(folders))
    parts = path.split("/")[1:]
    above = {"/" + "/".join(parts[:n]) for n in range(1, len(parts))}
    assert scope.holds_notebook(path) is bool(above & folders)
    assert scope.holds_folder(path) is bool((above | {path}) & folders)
    assert scope.holds_folder(f"{path}/") is scope.holds_folder(path)
    assert not scope.holds_notebook(f"{path}/../{parts[-1]}")


some_groups = st.sampled_from(["a", "A", "b", "ß", "ss", "Team.C"])


@given(
    st.dictionaries(some_groups, st.lists(paths, min_size=1, max_size=3), min_size=1, max_size=4),
    st.sets(some_groups, max_size=3),
    st.booleans(),
)
def test_folders_come_from_all_of_ones_own_groups_and_no_other(
    mapped: dict[str, list[str]], mine: set[str], as_roles: bool
) -> None:
    claims = {"roles" if as_roles else "groups": frozenset(mine)}
    found = FolderMap.parse(json.dumps(mapped)).scope_of(Caller("x", "x", **claims))
    folded = {name.casefold() for name in mine}
    assert found.folders == {f for name, folders in mapped.items() if name.casefold() in folded for f in folders}


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '"x"',
        '{"g": []}',
        '{"g": "acme"}',
        '{"g": ["/Clients/../Users"]}',
        '{"g": ["/"]}',
        '{"g": [1]}',
        '{"": ["/Clients/acme"]}',
        '{"g": {"/Clients": 1}}',
    ],
)
def test_a_map_that_could_mean_more_than_it_says_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|no name"):
        FolderMap.parse(text)
