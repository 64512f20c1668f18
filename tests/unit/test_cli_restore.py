"""The commands that restore, beside an app that gives canned answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.unit.fake_app import COMMIT, RESTORE_ID, FakeApp, fake_app, item, restore

PATH = "/Clients/acme/load"
DONE_ID = "20261124T080100Z-fedcba"
ONE = f"restores/{DONE_ID}"
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def fake() -> Iterator[FakeApp]:
    with fake_app() as served:
        yield served


def _done(*items: dict[str, Any], status: str = "succeeded", **more: Any) -> Any:
    return restore(*items, **{"status": status, "id": DONE_ID, **more})


def _verified(path: str = PATH) -> dict[str, Any]:
    return item(path, outcome="verified", found_sha256="e" * 64)


def _give_restore(fake: FakeApp) -> None:
    done = _done(_verified())
    fake.give("POST", "restores", restore(item()), done)


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ((PATH, "/Clients/b"), {"paths": [PATH, "/Clients/b"]}),
        (("/Clients/acme", "--folder"), {"folder": "/Clients/acme"}),
        (("/Clients/acme/",), {"folder": "/Clients/acme"}),
        (("/Clients/acme/", "--folder", "--remove-extra"), {"folder": "/Clients/acme", "remove_extra": True}),
        ((PATH, "--to", "/Beside"), {"paths": [PATH], "target": "/Beside"}),
        ((PATH, "--suffix", " (old)"), {"paths": [PATH], "suffix": " (old)"}),
        ((PATH, "--force"), {"paths": [PATH], "force": True}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_restore_is_what_its_dry_run_was(fake: FakeApp, arguments: tuple[str, ...], asked: dict[str, Any]) -> None:
    _give_restore(fake)
    result = fake.run("restore", *arguments, "--at", "2026-11-01", "--yes")
    body = {"at": "2026-11-01", "suffix": "", "remove_extra": False, "force": False, **asked}
    assert fake.bodies() == [{**body, "dry_run": True}, {**body, "plan": RESTORE_ID, "at": COMMIT}]
    assert (result.exit_code, f"./backup restore --undo {DONE_ID}" in result.stdout) == (0, True)
    assert f"SHA-256 {'e' * 64}" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (PATH,),
        ("--at", "latest"),
        (PATH, "/Clients/acme/", "--at", "latest"),
        (PATH, "/Clients/acme", "--folder", "--at", "latest"),
    ],
    ids=" ".join,
)
def test_a_restore_that_is_not_clear_is_not_asked_for(fake: FakeApp, arguments: tuple[str, ...]) -> None:
    result = fake.run("restore", *arguments, "--yes")
    assert (result.exit_code, fake.asked, result.stderr != "") == (2, [], True)


@pytest.mark.parametrize(
    "arguments",
    [
        (PATH,),
        ("--at", "latest"),
        ("--to", "/Beside"),
        ("--suffix", " (old)"),
        ("--folder",),
        ("--remove-extra",),
    ],
    ids=" ".join,
)
def test_an_undo_refuses_what_only_a_restore_takes(fake: FakeApp, arguments: tuple[str, ...]) -> None:
    result = fake.run("restore", "--undo", RESTORE_ID, *arguments, "--yes")
    assert (result.exit_code, fake.asked) == (2, [])
    assert "leave out PATH, --at, --folder, --to, --suffix and --remove-extra" in result.stderr


def test_an_undo_without_an_id_is_no_restore(fake: FakeApp) -> None:
    result = fake.run("restore", PATH, "--at", "latest", "--undo", "", "--yes")
    assert (result.exit_code, fake.asked, "--undo ID" in result.stderr) == (2, [], True)


def test_a_plan_shows_each_action_what_is_refused_first(fake: FakeApp) -> None:
    refused = item("/Clients/r", "refuse", reason="occupied", detail="restore beside it [red]")
    others = [item("/Clients/u", "unchanged"), item("/Clients/c", "create", target="/Beside/c")]
    fake.give("POST", "restores", restore(*others, refused, item("/Clients/x", "remove", commit=None)))
    result = fake.run("restore", "/Clients/", "--at", "3f2a9c1", "--dry-run")
    assert (result.exit_code, len(fake.asked)) == (0, 1)
    lines = [line.split(maxsplit=4) for line in result.stdout.splitlines()]
    assert [line[:2] for line in lines[2:]] == [
        ["refuse", "/Clients/r"],
        ["remove", "/Clients/x"],
        ["create", "/Clients/c"],
    ]
    assert lines[2][-1].split(maxsplit=1)[1].strip() == "occupied: restore beside it [red]"
    assert lines[4][2:4] == ["/Beside/c", COMMIT[:12]]
    assert result.stdout.startswith(
        f"Plan {RESTORE_ID} as of 2026-11-01: 1 to refuse, 1 to remove, 1 to create, 1 unchanged"
    )


def test_a_plan_of_many_is_read_whole_and_shown_in_part(fake: FakeApp) -> None:
    items = [item(f"/Clients/{n}", "create") for n in range(900)] + [item("/Clients/late", "remove")]
    fake.give("POST", "restores", restore(*items[:200], counts={"create": 900, "remove": 1}))
    fake.give("GET", f"restores/{RESTORE_ID}", restore(*items))
    result = fake.run("restore", "/Clients/", "--at", "latest", "--dry-run")
    assert fake.asked[1].query == {"limit": "1000"}
    assert len(re.findall("^ *(create|remove) ", result.stdout, re.MULTILINE)) == 40
    assert ("/Clients/late" in result.stdout, "and 861 more" in result.stderr) == (True, True)


def test_nothing_is_restored_without_a_terminal_to_ask_on(fake: FakeApp) -> None:
    fake.give("POST", "restores", restore(item()))
    for options, plan_in in (((), 1), (("--json",), 2)):
        answer = fake.piped("restore", PATH, "--at", "latest", *options)
        told = (answer[0], answer[1].decode(), answer[2])
        assert (told[0], "--yes" in told[2], "1 to overwrite" in told[plan_in]) == (2, True, True)
        assert "1 to overwrite" not in told[3 - plan_in]
    assert [b["dry_run"] for b in fake.bodies()] == [True, True]


@pytest.mark.parametrize(("typed", "code", "restored"), [(b"y\n", 0, True), (b"n\n", 1, False), (b"\n", 1, False)])
def test_a_person_is_shown_the_plan_and_asked(fake: FakeApp, typed: bytes, code: int, restored: bool) -> None:
    _give_restore(fake)
    found, output = fake.in_terminal("restore", PATH, "--at", "latest", typed=typed)
    assert (found, len(fake.bodies())) == (code, 2 if restored else 1)
    shown = ANSI.sub("", output)
    assert shown.index("1 to overwrite") < shown.index("Write or remove 1 notebook in the workspace?")
    assert ("Nothing was changed" in shown, "1 verified" in shown) == (not restored, restored)


def test_a_plan_that_writes_nothing_needs_no_answer(fake: FakeApp) -> None:
    done = _done(item(action="unchanged", outcome="unchanged"), counts={"unchanged": 1})
    fake.give("POST", "restores", restore(item(action="unchanged")), done)
    result = fake.run("restore", PATH, "--at", "latest")
    assert (result.exit_code, "1 unchanged" in result.stdout, "--undo" in result.stdout) == (0, True, False)


def test_a_long_plan_and_a_long_restore_are_followed_with_a_bar(fake: FakeApp) -> None:
    items = [item(f"/Clients/{n}") for n in range(3)]
    verified = [_verified(f"/Clients/{n}") for n in range(3)]
    fake.give("POST", "restores", restore(status="running", percent=0.0), _done(status="running", percent=0.0))
    fake.give("GET", f"restores/{RESTORE_ID}", restore(*items))
    going = _done(status="running", percent=37.5, notebooks=40)
    fake.give("GET", ONE, _done(status="planned", percent=0.0), going)
    fake.give("GET", ONE, _done(*verified))
    code, output = fake.in_terminal("restore", "/Clients/", "--at", "latest", "--yes")
    shown = ANSI.sub("", output)
    assert (code, "planning" in shown, "restoring" in shown) == (0, True, True)
    assert ("37.5 %  15 of 40 notebooks" in shown, "100.0 %" in shown, "3 verified" in shown) == (True, True, True)
    assert [a.query for a in fake.asked if a.path == ONE] == [{"limit": "1"}] * 3


def test_what_was_not_restored_is_named_with_what_to_do(fake: FakeApp) -> None:
    failed = item("/Clients/f", outcome="failed", reason="bytes_differ", detail="undo brings it back")
    refused = item("/Clients/r", outcome="refused", reason="edited_since_plan", detail="look, then use `force`")
    _give_partial(fake, failed, refused)
    result = fake.run("restore", "/Clients/", "--at", "latest", "--yes")
    assert result.exit_code == 1
    assert "partial: 1 verified, 1 refused, 1 failed" in result.stdout
    assert "failed /Clients/f: bytes_differ: undo brings it back" in result.stdout
    assert "refused /Clients/r: edited_since_plan: look, then use `force`" in result.stdout
    assert f"--undo {DONE_ID}" in result.stdout
    assert [a.query for a in fake.asked if a.path == ONE] == [
        {"outcome": o, "limit": "1000"} for o in ("refused", "failed")
    ]


def _give_partial(fake: FakeApp, failed: dict[str, Any], refused: dict[str, Any]) -> None:
    items = [_verified(), failed, refused]
    fake.give("POST", "restores", restore(*(item(i["path"]) for i in items)), _done(*items, status="partial"))
    fake.give("GET", ONE, _done(refused), _done(failed))


def _failed(number: int) -> list[dict[str, Any]]:
    return [item(f"/Clients/f{n}", outcome="failed", reason="bytes_differ") for n in range(number)]


def test_failures_are_named_from_every_page(fake: FakeApp) -> None:
    failed = _failed(2_001)
    fake.give("POST", "restores", restore(item()), _done(*failed, status="partial"))
    fake.give("GET", ONE, *(_done(*failed[n : n + 1_000]) for n in (0, 1_000, 2_000)))
    result = fake.run("restore", "/Clients/", "--at", "latest", "--yes")
    named = re.findall("failed (/Clients/f[0-9]+): bytes_differ", result.stdout)
    assert named == [i["target"] for i in failed]
    assert [a.query.get("offset") for a in fake.asked if a.path == ONE] == [None, "1000", "2000"]


def test_json_of_one_restore_holds_the_notebooks_of_every_page(fake: FakeApp) -> None:
    failed = _failed(1_000)
    fake.give("GET", ONE, _done(*failed, status="partial"), _done(status="partial"))
    result = fake.run("restores", DONE_ID, "--json")
    assert json.loads(result.stdout)["items"] == failed
    assert [a.query for a in fake.asked] == [{"limit": "1000"}, {"limit": "1000", "offset": "1000"}]


def test_a_refusal_late_in_a_long_plan_is_shown_first(fake: FakeApp) -> None:
    items = [item(f"/Clients/{n}", "create") for n in range(1_000)]
    refused = item("/Clients/late", "refuse", reason="occupied")
    counts = {"create": 1_000, "refuse": 1}
    fake.give("POST", "restores", restore(*items[:200], counts=counts))
    one = f"restores/{RESTORE_ID}"
    fake.give("GET", one, restore(*items), restore(refused))
    result = fake.run("restore", "/Clients/", "--at", "latest", "--dry-run")
    assert result.stdout.splitlines()[2].split()[:2] == ["refuse", "/Clients/late"]


def test_an_error_of_a_plan_or_restore_is_told(fake: FakeApp) -> None:
    fake.give("POST", "restores", restore(status="failed", error="The workspace [red]refused it."))
    result = fake.run("restore", PATH, "--at", "latest", "--yes")
    assert (result.exit_code, "The workspace [red]refused it." in result.stderr, len(fake.asked)) == (1, True, 1)


@pytest.mark.parametrize("options", [(), ("--force",)])
def test_an_undo_is_planned_asked_for_and_done_like_a_restore(fake: FakeApp, options: tuple[str, ...]) -> None:
    route, force = f"restores/{RESTORE_ID}/undo", bool(options)
    fake.give("POST", route, restore(item(), kind="undo"), restore(item(), kind="undo"), _done(_verified()))
    result = fake.run("restore", "--undo", RESTORE_ID, *options)
    assert (result.exit_code, "--yes" in result.stderr) == (2, True)
    assert fake.bodies() == [{"force": force, "dry_run": True}]
    result = fake.run("restore", "--undo", RESTORE_ID, "--yes", *options)
    assert (result.exit_code, fake.asked[-1].path) == (0, route)
    assert fake.bodies()[2:] == [{"force": force}]


def test_an_id_cannot_lead_to_another_route(fake: FakeApp) -> None:
    fake.run("restore", "--undo", "../runs?x=", "--yes")
    fake.run("restores", "../status")
    assert [a.path for a in fake.asked] == ["restores/..%2Fruns%3Fx%3D/undo", "restores/..%2Fstatus"]


def test_json_of_a_restore_is_its_last_state_unchanged(fake: FakeApp) -> None:
    done = _done(_verified("/Clients/\ud800\x1b"), status="partial")
    fake.give("POST", "restores", restore(item()), _done(status="running"))
    fake.give("GET", ONE, done)
    code, output, messages = fake.piped("restore", "/Clients/", "--at", "latest", "--yes", "--json")
    assert (code, json.loads(output), messages) == (1, done, "")
    assert fake.asked[-1].query == {"limit": "1000"}


def test_json_of_a_dry_run_is_the_plan(fake: FakeApp) -> None:
    plan = restore(item())
    fake.give("POST", "restores", plan)
    code, output, _ = fake.piped("restore", PATH, "--at", "latest", "--dry-run", "--json")
    assert (code, json.loads(output)) == (0, plan)


def test_restores_lists_the_newest_and_shows_one(fake: FakeApp) -> None:
    running = _done(item(action="create"), status="running")
    fake.give("GET", "restores", {"restores": [running, restore(item())]})
    rows = [line.split() for line in fake.run("restores", "--limit", "7").stdout.splitlines()]
    assert fake.asked[0].query == {"limit": "7"}
    assert [row[:2] for row in rows[1:]] == [[DONE_ID, "restore"], [RESTORE_ID, "restore"]]
    assert rows[2][2:4] == ["(dry", "run)"]
    fake.give("GET", ONE, running)
    result = fake.run("restores", DONE_ID)
    assert fake.asked[-1].query == {"limit": "1000"}
    assert ("waits" in result.stdout, PATH in result.stdout) == (True, True)
    assert f"Undo, when it is over: ./backup restore --undo {DONE_ID}" in result.stdout
    fake.give("GET", "restores/none", {"detail": "There is no restore none."}, status=404)
    result = fake.run("restores", "none")
    assert (result.exit_code, "There is no restore none." in result.stderr) == (2, True)


def test_no_restores_are_said_to_be_none(fake: FakeApp) -> None:
    fake.give("GET", "restores", {"restores": []})
    assert "Nothing was restored" in fake.run("restores").stdout


def test_a_restore_that_is_left_alone_goes_on(fake: FakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.give("POST", "restores", restore(item()), _done(status="running"))
    ask = requests.Session.request

    def interrupted(session: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
        if method == "GET":
            raise KeyboardInterrupt
        return ask(session, method, url, **options)

    monkeypatch.setattr(requests.Session, "request", interrupted)
    result = fake.run("restore", PATH, "--at", "latest", "--yes")
    assert (result.exit_code != 0, f"./backup restores {DONE_ID}" in result.stderr) == (True, True)
    assert f"Undo, when it is over: ./backup restore --undo {DONE_ID}" in result.stderr


def test_a_restore_that_can_no_longer_be_followed_names_its_undo(fake: FakeApp) -> None:
    fake.give("POST", "restores", restore(item()), _done(status="running"))
    fake.give("GET", ONE, {"detail": "the store is away"}, status=500)
    result = fake.run("restore", PATH, "--at", "latest", "--yes")
    assert (result.exit_code, "the store is away" in result.stderr) == (2, True)
    assert f"./backup restore --undo {DONE_ID}" in result.stderr


def test_everything_is_restored_by_the_root_as_folder(fake: FakeApp) -> None:
    _give_restore(fake)
    fake.run("restore", "/", "--at", "latest", "--yes")
    assert [body["folder"] for body in fake.bodies()] == ["/", "/"]


def test_an_answer_that_does_not_come_in_time_is_not_taken_for_none(
    fake: FakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*_: Any, **__: Any) -> requests.Response:
        raise requests.ReadTimeout

    monkeypatch.setattr(requests.Session, "request", late)
    result = fake.run("restore", PATH, "--at", "latest", "--yes")
    assert (result.exit_code, "may be under way" in result.stderr, "./backup restores" in result.stderr) == (
        3,
        True,
        True,
    )


def test_the_notebook_is_written_where_it_is_asked_for(fake: FakeApp, tmp_path: Path) -> None:
    file = tmp_path / "n.py"
    result = fake.run("notebook", "--output", str(file), "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"file": str(file), "url": fake.url})
    assert (file.read_text().startswith("# Databricks notebook source\n"), fake.asked) == (True, [])
    result = fake.run("notebook", "--output", str(tmp_path))
    assert (result.exit_code, "cannot be written" in result.stderr) == (2, True)
