"""Requests that other sites have a browser send, that are too large, or too many; and what every answer carries."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import azure.functions as func
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.recovery import MIX, THINK_SECONDS
from functions.gate import MOST_PARAMETERS
from functions.requests import MOST_BODY_BYTES
from functions.route_rights import ROUTES
from local.memory.clock import ManualClock
from local.memory.storage import MemoryBlobs
from shared.domain.access import Caller, Pace
from shared.domain.audit import AuditAction
from shared.services.access.form_tokens import KEY, FormOutdated, FormTokens
from shared.services.access.request_rate import MOST_CALLERS, RequestRate
from shared.services.audit.trail import AuditTrail
from shared.settings import Settings
from shared.wiring import services
from tests.pages_site import LOAD, Seen, Site
from tests.signed_in import IN_AZURE, code_of, http_functions, principal, send, set_up

HOST = "backup.example.com"
OPERATOR = principal("Backup.Operator")
SESSION = {"Cookie": "AppServiceAuthSession=x"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
OWN = {"Origin": f"https://{HOST}", "Sec-Fetch-Site": "same-origin"}
FOREIGN = [
    {"Origin": "https://evil.example.com", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.example.com"},
    {"Origin": f"https://{HOST}.evil.example.com"},
    {"Origin": f"https://evil.example.com#{HOST}"},
    {"Origin": f"https://{HOST}:8443"},
    {"Origin": f"https://{HOST}@evil.example.com"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": f"https://{HOST}"},
    SESSION,
]
CHANGES = [name for name, (method, _, _) in http_functions().items() if method == "POST"]


@pytest.fixture
def azure(site: Site, past: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The app in Azure with two versions of a notebook; the commit of the first."""
    set_up(monkeypatch, **IN_AZURE)
    return past


def _kept_out(answer: func.HttpResponse) -> bool:
    return code_of(answer) == "cross_site" or "comes from a page of another site" in answer.get_body().decode()


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("name", CHANGES)
def test_no_page_of_another_site_changes_anything(site: Site, azure: str, name: str, headers: dict[str, str]) -> None:
    for kind in (FORM, JSON, {"Content-Type": "text/plain"}, {}):
        answer = send(name, {**OPERATOR, **SESSION, **headers, **kind}, body=b"{}")
        assert (answer.status_code, _kept_out(answer)) == (403, True)
    assert services().runs.active() is None
    record = list(AuditTrail(site.world.tables, site.world.clock).records())[-1]
    assert (record.action, record.detail["code"]) == (AuditAction.ACCESS_REFUSED, "cross_site")


@pytest.mark.parametrize("name", CHANGES)
def test_our_own_pages_and_programs_are_let_through(azure: str, name: str) -> None:
    kind = FORM if name.startswith("page_") else JSON
    for headers in ({**OWN, **SESSION}, {"Origin": f"https://{HOST.upper()}"}, {"Sec-Fetch-Site": "none"}, {}):
        assert not _kept_out(send(name, {**OPERATOR, **headers, **kind}))


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_body_of_the_kind_that_a_form_can_send_is_none_of_the_api(azure: str, kind: str) -> None:
    body = json.dumps({"paths": [LOAD], "at": azure}).encode()
    answer = send("start_restore", {**OPERATOR, **OWN, "Content-Type": kind}, body=body)
    assert (answer.status_code, code_of(answer)) == (415, "wrong_media_type")
    assert services().restores.recent(5) == []


def test_a_picture_or_frame_of_another_site_is_not_answered_and_a_link_is(azure: str) -> None:
    embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    framed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    for headers, status in ((embedded, 403), (framed, 403), (followed, 200)):
        assert send("page_preview", {**OPERATOR, **headers}, params={"path": LOAD}).status_code == status


def _plan_form(who: dict[str, str], commit: str) -> dict[str, Any]:
    seen = Seen(send("page_restore", who, params={"path": LOAD, "at": commit}).get_body().decode())
    (form,) = [f for f in seen.forms if f["method"] == "post"]
    return dict(form["fields"])


def _submit(who: dict[str, str], fields: dict[str, Any], page: str = "page_restore_now") -> func.HttpResponse:
    body = urlencode(fields, errors="replace").encode()
    return send(page, {**who, **OWN, **FORM}, body=body)


REBOUND = ["evil.example.com", "evil.example.com:7071", "localhost.evil.com", "127.0.0.1.evil.com", "evil.com."]
NAMES = ["localhost:7071", "127.0.0.1:7071", "[::1]:7071", "10.0.0.4", "backup:7071", "app.localhost", ""]


@pytest.mark.parametrize("host", REBOUND)
def test_without_sign_in_a_name_that_was_made_to_mean_this_machine_reaches_nothing(site: Site, host: str) -> None:
    own = {"Host": host, "Origin": f"http://{host}"}
    for name in ("get_status", "find_notebooks", "start_run", "page_browse", "start_restore"):
        assert send(name, own).status_code == 403, name
    assert code_of(send("get_status", own)) == "unknown_host"


@pytest.mark.parametrize("host", NAMES)
def test_without_sign_in_this_machine_and_names_of_ones_own_network_are_let_through(site: Site, host: str) -> None:
    assert send("find_notebooks", {"Host": host}).status_code == 200


def test_without_sign_in_the_name_that_is_set_is_let_through(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"Host": "backup.example.net:7071"}
    assert send("find_notebooks", asked).status_code == 403
    set_up(monkeypatch, BACKUP_URL="https://backup.example.net")
    assert send("find_notebooks", asked).status_code == 200


def test_a_form_without_its_token_or_with_that_of_another_does_nothing(site: Site, azure: str) -> None:
    fields = _plan_form(OPERATOR, azure)
    others = _plan_form(OPERATOR, azure)["token"]
    for token in ("", "x", "\ud800", fields["token"][:-1], fields["token"].upper(), others):
        answer = _submit(OPERATOR, {**fields, "token": token})
        assert (answer.status_code, "Form outdated" in answer.get_body().decode()) == (403, True)
    assert _submit(principal("Backup.Restorer", name="eve@example.com"), fields).status_code == 403
    undo = {"id": fields["plan"], "token": fields["token"]}
    assert _submit(OPERATOR, undo, "page_undo").status_code == 403
    assert site.world.notebooks()[LOAD, "PYTHON"] == b"print(2)\n"
    assert _submit(OPERATOR, fields).status_code == 303
    assert site.world.notebooks()[LOAD, "PYTHON"] == b"print(1)\n"


def test_a_form_of_yesterday_works_and_one_of_the_day_before_does_not(site: Site, azure: str) -> None:
    tokens, caller = services().form_tokens, Caller("ada", "1")
    token = tokens.make(caller, "restore x")
    site.world.clock.sleep(86_400)
    tokens.check(caller, "restore x", token)
    site.world.clock.sleep(86_400)
    with pytest.raises(FormOutdated):
        tokens.check(caller, "restore x", token)


def test_all_instances_know_each_others_forms_and_a_changed_key_is_replaced(site: Site) -> None:
    blobs, clock, caller = site.world.blobs, site.world.clock, Caller("ada", "1")
    token = FormTokens(blobs, clock).make(caller, "undo x")
    FormTokens(blobs, clock).check(caller, "undo x", token)
    blobs.delete(KEY)
    with pytest.raises(FormOutdated):
        FormTokens(blobs, clock).check(caller, "undo x", token)
    assert len(blobs.get(KEY)) == 32


@given(st.text(), st.text(), st.text())
def test_a_token_is_good_for_one_person_and_act(subject: str, act: str, other: str) -> None:
    tokens = FormTokens(MemoryBlobs(ManualClock()), ManualClock())
    token = tokens.make(Caller("x", subject), act)
    tokens.check(Caller("y", subject), act, token)
    if other not in (subject, act):
        for caller, what in ((Caller("x", other), act), (Caller("x", subject), other)):
            with pytest.raises(FormOutdated):
                tokens.check(caller, what, token)


@pytest.mark.parametrize(
    ("name", "asked", "status"),
    [
        ("start_restore", {"body": b"x" * (MOST_BODY_BYTES + 1)}, 413),
        ("start_run", {"body": b"[" * (MOST_BODY_BYTES + 1)}, 413),
        ("page_undo", {"body": b"x" * (MOST_BODY_BYTES + 1)}, 413),
        ("page_undo", {"body": b"id=" + b"x" * 10_001}, 400),
        ("get_status", {"params": {f"p{n}": "" for n in range(MOST_PARAMETERS + 1)}}, 413),
        ("get_health", {"params": {f"p{n}": "" for n in range(MOST_PARAMETERS + 1)}}, 413),
        ("get_content", {"params": {"path": "/" + "x" * 4_097}}, 400),
        ("get_content", {"params": {"path": "/Clients/a\0b"}}, 400),
        ("get_content", {"params": {"path": LOAD, "at": "1" * 205}}, 400),
        ("find_notebooks", {"params": {"q": "x" * 201}}, 400),
        ("get_run", {"identity": "x" * 65}, 400),
        ("get_run", {"identity": "a' or PartitionKey ne '"}, 400),
        ("get_restore", {"identity": "../audit/1"}, 400),
        ("undo_restore", {"identity": "%2e%2e"}, 400),
        ("start_restore", {"body": json.dumps({"at": "latest", "paths": [LOAD] * 1_001}).encode()}, 400),
        ("start_restore", {"body": json.dumps({"at": "latest", "paths": ["/" + "x" * 4_097]}).encode()}, 400),
        ("start_restore", {"body": b"[" * 100_000}, 400),
        ("start_run", {"body": b"[" * 100_000}, 400),
    ],
)
def test_what_is_over_a_limit_is_told_so(azure: str, name: str, asked: dict[str, Any], status: int) -> None:
    answer = send(name, OPERATOR, **asked)
    assert answer.status_code == status, answer.get_body()
    assert b"print(" not in answer.get_body()


def test_who_asks_too_often_waits_and_others_do_not(site: Site, azure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(monkeypatch, BACKUP_REQUESTS_PER_MINUTE="10")
    statuses = [send("get_status", OPERATOR).status_code for _ in range(12)]
    assert statuses == [200] * 10 + [429] * 2
    refused = send("get_status", OPERATOR)
    assert (code_of(refused), refused.headers["Retry-After"]) == ("too_many_requests", "6")
    page = send("page_history", OPERATOR, params={"path": LOAD})
    assert (page.status_code, page.mimetype, page.headers["Retry-After"]) == (429, "text/html", "6")
    assert send("get_status", principal("Backup.Reader", name="bob@example.com")).status_code == 200
    assert send("get_health", OPERATOR).status_code == 200
    site.world.clock.sleep(6)
    assert [send("get_status", OPERATOR).status_code for _ in range(2)] == [200, 429]


COSTLY = {
    *("find_notebooks", "page_browse", "get_content", "get_diff", "page_preview", "page_compare", "page_restore"),
    *("get_change_report", "get_listing", "get_parity", "get_audit", "get_audit_verify", "get_doctor"),
}
"""What is read from Git or the workspace, compared, searched, reported or planned while somebody waits."""
BENCHMARK = {"versions": "get_versions", "content": "get_content", "diff": "get_diff", "restore": "start_restore"}


def test_every_route_has_the_pace_of_what_it_takes() -> None:
    for name, (method, _, _) in http_functions().items():
        pace = Pace.CHANGE if method == "POST" else Pace.COSTLY if name in COSTLY else Pace.READ
        assert (name, ROUTES[name].pace) == (name, pace)
    assert ROUTES.keys() >= COSTLY


def test_what_is_costly_is_counted_apart_from_what_is_read(azure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(monkeypatch, BACKUP_REQUESTS_PER_MINUTE="12")
    statuses = [send("get_content", OPERATOR, params={"path": LOAD}).status_code for _ in range(4)]
    assert statuses == [200] * 3 + [429]
    assert [send("get_versions", OPERATOR, params={"path": LOAD}).status_code for _ in range(13)] == [200] * 12 + [429]


def test_fifty_people_who_restore_at_once_wait_for_no_pace() -> None:
    """Each does all that a person of the benchmark does in turn, six times as fast, for five minutes."""
    clock = ManualClock()
    rate = RequestRate(clock, Settings.model_fields["requests_a_minute"].default)
    for number in range(300 * len(MIX)):
        route = BENCHMARK[MIX[number % len(MIX)]]
        assert [who for who in range(50) if rate.wait(str(who), ROUTES[route].pace)] == []
        clock.sleep(THINK_SECONDS / len(MIX))


def test_what_changes_something_is_counted_apart_and_sooner(azure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(monkeypatch, BACKUP_REQUESTS_PER_MINUTE="20")
    statuses = [send("start_verification", OPERATOR).status_code for _ in range(3)]
    assert statuses == [202, 202, 429]
    assert send("get_status", OPERATOR).status_code == 200


def test_refusals_beyond_the_pace_fill_no_trail(site: Site, azure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(monkeypatch, BACKUP_REQUESTS_PER_MINUTE="10")
    for headers in (principal(), {"X-Forwarded-For": "203.0.113.9"}, {"X-MS-CLIENT-PRINCIPAL": "forged"}):
        before = _records(site)
        statuses = [send("get_status", headers).status_code for _ in range(50)]
        assert (statuses.count(429), _records(site) - before) == (40, 10)


def _records(site: Site) -> int:
    records = AuditTrail(site.world.tables, site.world.clock).records()
    return sum(record.action == AuditAction.ACCESS_REFUSED for record in records)


def test_an_address_that_the_request_claims_itself_buys_no_further_requests(
    azure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(monkeypatch, BACKUP_REQUESTS_PER_MINUTE="10")
    claimed = [{"X-Forwarded-For": f"10.0.0.{n}, 203.0.113.9:{50_000 + n}"} for n in range(12)]
    assert [send("get_status", headers).status_code for headers in claimed].count(429) == 2


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 30)), max_size=60), st.integers(10, 60))
def test_nobody_gets_more_than_a_bucket_and_what_flows_in(steps: list[tuple[int, float]], a_minute: int) -> None:
    clock = ManualClock()
    rate, start = RequestRate(clock, a_minute), clock.monotonic()
    taken = [0, 0, 0]
    for who, pause in steps:
        clock.sleep(pause)
        wait = rate.wait(str(who), Pace.READ)
        taken[who] += wait == 0
        assert taken[who] <= a_minute * (1 + (clock.monotonic() - start) / 60) + 1e-6
        if wait:
            clock.sleep(wait)
            assert rate.wait(str(who), Pace.READ) == 0
            taken[who] += 1


def test_buckets_are_bounded() -> None:
    rate = RequestRate(ManualClock(), 10)
    for n in range(MOST_CALLERS + 100):
        rate.wait(str(n), Pace.READ)
    assert len(rate) == MOST_CALLERS


@pytest.mark.parametrize("name", sorted(http_functions()))
def test_every_answer_carries_strict_headers(azure: str, name: str) -> None:
    for headers in (OPERATOR, {}, {"X-MS-CLIENT-PRINCIPAL": "forged"}):
        answer = send(name, headers, params={"path": LOAD} if "tree" not in name else {})
        policy = answer.headers["Content-Security-Policy"]
        assert {"default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"} <= set(policy.split("; "))
        assert "unsafe-inline" not in policy and "unsafe-eval" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] in ("no-referrer", "same-origin")
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_on_ones_own_machine_no_browser_is_told_to_insist_on_tls(site: Site) -> None:
    assert "Strict-Transport-Security" not in send("get_health").headers


def test_wrong_settings_are_no_secret_and_still_sealed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(monkeypatch, GIT_REMOTE_URL="https://somebody:hunter2-of-the-url@dev.azure.com/o/p/_git/r")
    for name in ("get_health", "get_openapi"):
        assert send(name).headers["Content-Security-Policy"].startswith("default-src 'none'")
    answer = send("get_status")
    assert (answer.status_code, b"hunter2" in answer.get_body()) == (500, False)
