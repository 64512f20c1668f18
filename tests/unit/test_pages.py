"""The pages over a world in memory: what they show, what they refuse, and that nothing hostile gets through."""

from __future__ import annotations

import unicodedata
from urllib.parse import parse_qsl, urlencode

import pytest

from functions.pages import MOST_LISTED
from shared import wiring
from tests.names import HOSTILE_NAMES
from tests.pages_site import LOAD, Seen, Site, address, back_up, write
from tests.signed_in import set_up

CODE = "k&y=\"'<>"
NAMES = [
    # A ZIP of a folder cannot name a lone surrogate; a NUL, and a restore to `..`, are refused.
    *(n for n in HOSTILE_NAMES if not set(n) & {"/", "\ud800", "\0"} and n not in (".", "..")),
    "<script>alert(1)<",
    '"><img src=x onerror=alert(1)>',
    "' onfocus='alert(1)",
    "javascript:alert(1)",
    "{{ 7 * 7 }}",
    unicodedata.normalize("NFD", "é"),
]
HOSTILE_CODE = (
    "# Databricks notebook source\n# MAGIC %md\n# MAGIC <script>alert(1)</script>\n\n# COMMAND ----------\n\n"
    'x = \'</pre></code><script>alert(2)</script>\'\r\ny = """\n\n# COMMAND ----------\n\n# MAGIC %sql\n'
    "# MAGIC SELECT '<b onclick=alert(3)>' AS a\n\n# COMMAND ----------\n\nlone\rreturn \0 \x07 \ufeff \u2028 end"
)
MOST_CRAWLED = 600


def test_a_notebook_is_found_looked_at_restored_in_three_clicks_and_undone(site: Site, past: str) -> None:
    found = site.get("browse", q="LOAD É")
    (history,) = [query for route, query in found.addresses if route == "history"]
    assert history == {"path": LOAD}
    versions = site.get("history", **history)
    plan = [query for route, query in versions.addresses if route == "restore"][-1]
    assert plan == {"path": LOAD, "at": past}
    shown = site.get("restore", **plan)
    assert ("1 to overwrite" in shown.words, "to create" in shown.words) == (True, False)
    assert site.world.notebooks()[LOAD, "PYTHON"] == b"print(2)\n", "a plan changes nothing"
    (form,) = [form for form in shown.forms if form["method"] == "post"]
    result = site.post("restore", **form["fields"])
    assert "Restored, and verified" in result.words
    assert site.world.notebooks()[LOAD, "PYTHON"] == b"print(1)\n"
    (undo,) = [form for form in result.forms if form["action"] == "undo"]
    assert "Undone, and verified" in site.post("undo", **undo["fields"]).words
    assert site.world.notebooks()[LOAD, "PYTHON"] == b"print(2)\n"
    assert site.client.started == [], "one notebook is restored at once"


def test_a_restore_beside_keeps_what_is_there(site: Site, past: str) -> None:
    plan = site.get("restore", path=LOAD, at=past)
    (beside,) = [form for form in plan.forms if "suffix" in form["fields"]]
    again = site.get("restore", **{**beside["fields"], "suffix": " (old)", "target": "/Clients/kept"})
    assert "1 to create" in again.words
    form = next(form for form in again.forms if form["method"] == "post")
    assert "/Clients/kept/a b/100%/load é?&# (old)" in site.post("restore", **form["fields"]).words
    assert site.world.notebooks()["/Clients/kept/a b/100%/load é?&# (old)", "PYTHON"] == b"print(1)\n"
    assert site.world.notebooks()[LOAD, "PYTHON"] == b"print(2)\n"


def test_a_folder_is_restored_in_the_background_and_its_page_looks_again(site: Site, past: str) -> None:
    write(site.world, "/Clients/a b/other", "1\n")
    commit = back_up(site.world)
    for path in (LOAD, "/Clients/a b/other"):
        write(site.world, path, "broken\n")
    plan = site.get("restore", folder="/Clients/a b", at=commit)
    form = next(form for form in plan.forms if form["method"] == "post")
    running = site.post("restore", **form["fields"], code="c")
    (started,) = site.client.started
    assert "0.0 % of 2 notebooks" in running.words
    assert f'content="2;url=restore-result?id={started}&amp;code=c"' in running.text or "refresh" in running.text
    while not wiring.services().restores.step(started):
        pass
    done = site.get("restore-result", id=started)
    assert ("Restored, and verified" in done.words, "http-equiv" in done.text) == (True, False)
    assert "2 verified" in done.words
    assert site.get("restore-result", id=started, outcome="failed").words.count("verified") == 2
    assert site.world.notebooks()[LOAD, "PYTHON"] == b"print(2)\n"


def test_a_plan_that_takes_long_is_shown_with_its_button_once_it_stands(site: Site, past: str) -> None:
    for n in range(201):
        write(site.world, f"/Clients/many/{n}/x", f"{n}\n")
    commit = back_up(site.world)
    write(site.world, "/Clients/many/7/x", "broken\n")
    making = site.get("restore", folder="/Clients/many", at=commit)
    (plan,) = site.client.started
    assert ("being made" in making.words, f"restore?plan={plan}" in making.text) == (True, True)
    assert [form for form in making.forms if form["method"] == "post"] == []
    while not wiring.services().restores.step(plan):
        pass
    assert site.ask("GET", "restore-result", id=plan).headers["Location"] == f"restore?plan={plan}"
    stands = site.get("restore", plan=plan)
    assert ("1 to overwrite" in stands.words, "200 unchanged" in stands.words) == (True, True)
    assert [query for _, query in stands.addresses if "offset" in query] == [{"plan": plan, "offset": "200"}]
    last = site.get("restore", plan=plan, offset="200")
    assert last.words.count("/Clients/many/") == 1
    assert [form["fields"]["plan"] for form in stands.forms if form["method"] == "post"] == [plan]


def test_what_was_edited_since_is_refused_and_shown_with_the_way_on(site: Site, past: str) -> None:
    fields = _posted(site, {"path": LOAD, "at": past})
    write(site.world, LOAD, "print(3)\n")
    refused = site.post("restore", **fields)
    assert ("Not restored" in refused.words, "edited_since_plan" in refused.words) == (True, True)
    assert "Somebody edited this notebook after you saw the plan" in refused.words
    assert ("compare", {"path": LOAD, "from": past}) in refused.addresses
    assert [f for f in refused.forms if f["action"] == "undo"] == [], "nothing was written"
    (again,) = [query for route, query in refused.addresses if route == "restore"]
    done = site.post("restore", **_posted(site, again))
    assert ("Restored, and verified" in done.words, site.world.notebooks()[LOAD, "PYTHON"]) == (True, b"print(1)\n")


def _posted(site: Site, plan: dict[str, str]) -> dict[str, str]:
    """The fields of the form that restores what a page's plan says."""
    (form,) = [f for f in site.get("restore", **plan).forms if f["method"] == "post"]
    return dict(form["fields"])


def test_an_undo_overwrites_what_was_edited_since_only_when_that_is_confirmed(site: Site, past: str) -> None:
    done = site.post("restore", **_posted(site, {"path": LOAD, "at": past}))
    write(site.world, LOAD, "print(4)\n")
    kept = site.post("undo", **site.fill(done, "undo"))
    assert ("Not undone" in kept.words, site.world.notebooks()[LOAD, "PYTHON"]) == (True, b"print(4)\n")
    assert "Somebody edited this notebook after the restore" in kept.words
    (box,) = [i for i in kept.inputs if i.get("type") == "checkbox"]
    assert ("required" in box, "checked" in box) == (True, False)
    assert "Undone, and verified" in site.post("undo", **site.fill(kept, "undo")).words
    assert site.world.notebooks()[LOAD, "PYTHON"] == b"print(2)\n"


def test_a_restore_is_not_made_twice_by_loading_its_page_again(site: Site, past: str) -> None:
    form = next(f for f in site.get("restore", path=LOAD, at=past).forms if f["method"] == "post")
    answer = site.ask("POST", "restore", urlencode(form["fields"]).encode())
    assert (answer.status_code, answer.get_body()) == (303, b"")
    before = len(wiring.services().restores.recent(50))
    _, _, query = answer.headers["Location"].partition("?")
    site.get("restore-result", **dict(parse_qsl(query)))
    assert len(wiring.services().restores.recent(50)) == before


def test_every_page_leads_on_and_no_name_or_content_gets_out_of_its_place(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody opens every page at once.
    set_up(monkeypatch, BACKUP_REQUESTS_PER_MINUTE="1000000")
    for n, name in enumerate(NAMES):
        write(site.world, f"/Clients/{name}/{name}", f"{HOSTILE_CODE}{n}", ("PYTHON", "SQL", "SCALA", "R")[n % 4])
    commit = back_up(site.world)
    for name in NAMES[::7]:
        write(site.world, f"/Clients/{name}/{name}", HOSTILE_CODE.replace("x =", "z ="))
    site.world.model.apply("delete", "ada", path=f"/Clients/{NAMES[3]}/{NAMES[3]}")
    back_up(site.world)
    waiting: list[tuple[str, dict[str, str]]] = [("browse", {"code": CODE}), ("browse", {"code": CODE, "at": commit})]
    seen: set[tuple[str, ...]] = set()
    while waiting and len(seen) < MOST_CRAWLED:
        route, query = waiting.pop(0)
        assert query.get("code") == CODE, (route, query)
        answer = site.ask("GET", route, **query)
        assert answer.status_code == 200, (route, query, answer.get_body()[-1500:])
        page = Seen(answer.get_body().decode())
        assert all(("GET" if f["method"] == "get" else "POST", f["action"].partition("?")[0]) in site.pages
                   for f in page.forms)  # fmt: skip
        assert all(f["fields"].get("code") == CODE or "code=" in f["action"] for f in page.forms)
        assert {str(i["id"]) for i in page.inputs if i.get("type") != "hidden"} <= page.labels
        for route_and_query in page.addresses:
            key = (route_and_query[0], *sorted(map(str, route_and_query[1].items())))
            if key not in seen:
                seen.add(key)
                waiting.append(route_and_query)
    assert {key[0] for key in seen} >= {"browse", "history", "preview", "compare", "restore"}
    assert len(seen) > 300


@pytest.mark.parametrize("name", ["line\nbreak", "return\rhere", "lone\ud800surrogate"])
def test_what_a_form_sends_leaves_a_name_as_it_is(site: Site, name: str) -> None:
    path = f"/Clients/in/{name}"
    write(site.world, path, "print(1)\n")
    commit = back_up(site.world)
    write(site.world, path, "print(2)\n")
    fields = _posted(site, {"folder": "/Clients/in", "at": commit})
    assert list(fields) == ["plan", "token"]
    assert "Restored, and verified" in site.post("restore", **fields).words
    assert site.world.notebooks()[path, "PYTHON"] == b"print(1)\n"


def test_the_date_of_a_folder_is_chosen_whatever_its_name(site: Site) -> None:
    folder = "/Clients/line\nbreak\r"
    write(site.world, f"{folder}/load", "print(1)\n")
    back_up(site.world)
    answer = site.ask("GET", "browse", **site.fill(site.get("browse", path=folder), "browse", at=_today(site)))
    assert answer.status_code == 303
    assert address(answer.headers["Location"]) == ("browse", {"path": folder, "at": _today(site)})


def _today(site: Site) -> str:
    return str(site.world.clock.now().date().isoformat())


def test_results_are_shown_by_outcome_those_to_look_at_first_and_in_pages(site: Site) -> None:
    for n in range(205):
        write(site.world, f"/Clients/many/{n:03}", f"{n}\n")
    commit = back_up(site.world)
    for n in range(205):
        write(site.world, f"/Clients/many/{n:03}", "broken\n")
    fields = _posted(site, {"folder": "/Clients/many", "at": commit})
    write(site.world, "/Clients/many/204", "somebody's\n")
    site.post("restore", **fields)
    (started,) = site.client.started
    while not wiring.services().restores.step(started):
        pass
    first = site.get("restore-result", id=started)
    assert ("Restored in part" in first.words, first.words.count("/Clients/many/")) == (True, 1)
    assert {query["outcome"] for _, query in first.addresses if "outcome" in query} == {"refused", "verified", "all"}
    verified = site.get("restore-result", id=started, outcome="verified")
    assert verified.words.count("/Clients/many/") == 200
    (rest,) = [query for _, query in verified.addresses if "offset" in query]
    assert site.get("restore-result", **rest).words.count("/Clients/many/") == 4
    wrong = site.get("restore-result", status=400, id=started, outcome="<")
    assert "outcome must be all, failed, refused" in wrong.words


def test_a_page_offers_all_of_what_it_shows_as_a_file(site: Site) -> None:
    path = "/Clients/großer\nTeil"
    write(site.world, path, "a\n" * 6_000)
    commit = back_up(site.world)
    write(site.world, path, "b\n" * 6_000 + "é")
    seen = site.get("compare", path=path, **{"from": commit})
    assert "1,001 lines more follow" in seen.words
    route, query = address(seen.downloads[-1])
    answer = site.ask("GET", route, **query)
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''gro%C3%9Fer%0ATeil.diff"
    assert answer.get_body().decode().splitlines()[3:].count("-a") == 6_000
    preview = site.get("preview", path=path, at=commit)
    assert "Not everything is shown" in preview.words
    route, query = address(preview.downloads[-1])
    assert site.ask("GET", route, **query).get_body() == b"a\n" * 6_000


def test_a_difference_is_told_apart_without_colours(site: Site, past: str) -> None:
    seen = site.get("compare", path=LOAD, **{"from": past})
    assert "−print(1)" in seen.words
    assert "+print(2)" in seen.words


def test_every_page_has_strict_headers(site: Site, past: str) -> None:
    answers = [
        site.ask("GET", "browse"),
        site.ask("GET", "history", path="/Clients/none"),
        site.ask("GET", "preview", path=LOAD),
        site.ask("POST", "undo", b"id=../x"),
        site.ask("POST", "restore", b"plan=none"),
    ]
    assert [a.status_code for a in answers] == [200, 404, 200, 400, 403]
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        for rule in ("default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
            assert rule in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert (answer.headers["Referrer-Policy"], answer.headers["Cache-Control"]) == ("same-origin", "no-store")
        assert answer.mimetype == "text/html"


@pytest.mark.parametrize(
    ("route", "query", "status", "words"),
    [
        ("history", {}, 400, "the parameter path is missing"),
        ("history", {"path": "/Clients/<b>none"}, 404, "no notebook /Clients/<b>none"),
        ("history", {"path": "/" + "x" * 4096}, 400, "at most 4096 characters"),
        ("history", {"path": "relative"}, 400, "absolute workspace path"),
        ("browse", {"q": "x" * 201}, 400, "at most 200 characters"),
        ("browse", {"at": "1999-01-01"}, 404, "knows no 1999-01-01"),
        ("preview", {"path": LOAD, "at": "'\"><script>"}, 400, "7 or more of its hexadecimal digits"),
        ("compare", {"path": LOAD, "from": "0" * 205}, 400, "at most 204 characters"),
        ("restore", {"at": "latest"}, 400, "the parameter path is missing"),
        ("restore", {"folder": "relative", "at": "latest"}, 400, "must be an absolute workspace path"),
        ("restore", {"path": LOAD, "at": "latest", "suffix": "a/b"}, 400, "suffix: Value error, must not hold"),
        ("restore", {"plan": "../x"}, 400, "the id of a restore or plan"),
        ("restore", {"plan": "none"}, 404, "There is no restore none"),
        ("restore-result", {}, 400, "the id of a restore or plan"),
        ("restore-result", {"id": "none"}, 404, "There is no restore none"),
    ],
)
def test_a_request_that_makes_no_sense_is_answered_by_a_page(
    site: Site, past: str, route: str, query: dict[str, str], status: int, words: str
) -> None:
    seen = site.get(route, status=status, **query)
    assert words in seen.words
    assert "pydantic" not in seen.words
    assert ("browse", {}) in seen.addresses


@pytest.mark.parametrize("body", [b"", b"id=", b"id=a%00b", b"x=1&" * 30, b"id=" + b"x" * 20_000])
def test_a_form_that_makes_no_sense_starts_nothing(site: Site, past: str, body: bytes) -> None:
    assert [site.ask("POST", route, body).status_code for route in ("undo", "restore")] == [400, 400]
    assert wiring.services().restores.recent(10) == []


@pytest.mark.parametrize(
    ("route", "query", "status"),
    [
        ("browse", {}, 200),
        ("browse", {"q": "load"}, 200),
        ("history", {"path": LOAD}, 404),
        ("preview", {"path": LOAD}, 404),
        ("restore", {"path": LOAD}, 404),
    ],
)
def test_before_the_first_backup_every_page_says_so(site: Site, route: str, query: dict[str, str], status: int) -> None:
    seen = site.get(route, status=status, **query)
    assert ("No backup yet" in seen.words, "./backup sync" in seen.words) == (True, True)
    site.world.app.runs.start("timer")
    running = site.get(route, status=status, **query)
    assert "The first backup is under way: 0.0 %" in running.words
    assert 'http-equiv="refresh"' in running.text


def test_a_folder_is_shown_as_of_a_date(site: Site, past: str) -> None:
    site.world.clock.sleep(3 * 86_400)
    write(site.world, "/Clients/a b/late", "1\n")
    back_up(site.world)
    then = site.world.clock.now().date().replace(day=2).isoformat()
    assert "late" not in site.get("browse", path="/Clients/a b", at=then).words
    now = site.get("browse", path="/Clients/a b")
    assert "late" in now.words
    folder = site.get("browse", path="/Clients/a b", at=then)
    assert ("browse", {"path": "/Clients/a b/100%", "at": then}) in folder.addresses
    assert [i["value"] for i in folder.inputs if i.get("type") == "date"] == [then]


def test_a_large_folder_is_shown_in_pages(site: Site, past: str) -> None:
    for n in range(MOST_LISTED):
        write(site.world, f"/Clients/large/{n:04}", "1\n")
    write(site.world, "/Clients/large/deep/one", "1\n")
    back_up(site.world)
    first = site.get("browse", path="/Clients/large")
    (more,) = [query for route, query in first.addresses if route == "browse" and "before" in query]
    last = site.get("browse", **more)
    shown = [[q["path"] for route, q in seen.addresses if route == "history"] for seen in (first, last)]
    assert [len(some) for some in shown] == [MOST_LISTED - 1, 1]
    assert sorted(shown[0] + shown[1]) == [f"/Clients/large/{n:04}" for n in range(MOST_LISTED)]
    assert [query for route, query in last.addresses if route == "browse" and "before" in query] == []


def test_a_moved_and_a_deleted_notebook_keep_their_history(site: Site, past: str) -> None:
    moved = "/Clients/a b/moved"
    site.world.model.apply("move", "ada", path=LOAD, to=moved)
    back_up(site.world)
    history = site.get("history", path=moved)
    assert "Renamed\nfrom " + LOAD in history.words
    compared = [query for route, query in history.addresses if route == "compare"]
    assert {"path": LOAD, "from": past, "to": compared[-2]["to"]} in compared
    (across,) = [query for query in compared if "from_path" in query]
    assert (across["path"], across["from_path"]) == (moved, LOAD)
    seen = site.get("compare", **across)
    assert (f"renamed from {LOAD}" in seen.words, "not there" in seen.words) == (True, False)
    for query in compared:
        if query.get("to"):
            site.get("compare", **query)
    site.world.model.apply("delete", "ada", path=moved)
    back_up(site.world)
    assert ("history", {"path": moved}) in site.get("browse", deleted="true").addresses
    assert "Deleted" in site.get("history", path=moved).words


def test_a_difference_is_shown_with_what_is_the_same_folded(site: Site) -> None:
    lines = [f"x_{n} = {n}" for n in range(40)]
    path = "/Clients/long"
    write(site.world, path, "\n".join(lines))
    commit = back_up(site.world)
    write(site.world, path, "\n".join([*lines[:20], "new", *lines[21:]]))
    seen = site.get("compare", path=path, **{"from": commit})
    assert ("1 added" in seen.words, "1 removed" in seen.words) == (True, True)
    assert seen.words.count("17 lines that are the same") == 1
    assert seen.words.count("16 lines that are the same") == 1
    assert "byte for byte" in site.get("compare", path=path, **{"from": commit, "to": commit}).words
