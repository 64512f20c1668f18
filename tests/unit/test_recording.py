"""What people read is recorded before it is shown, and what they are refused, too."""

from __future__ import annotations

import json
from pathlib import Path

import azure.functions as func
import pytest
from azure.core.exceptions import HttpResponseError

from functions import audit_http, recovery_http
from local.faults.taps import Call, QuietTap, tapped
from shared import wiring
from shared.domain.audit import AuditAction, AuditRecord
from shared.services.audit.rows import AUDIT
from shared.services.audit.trail import AuditTrail
from shared.settings import Settings
from shared.wiring.shown_settings import shown_settings
from tests.pages_site import LOAD, Site, adapters_of
from tests.signed_in import IN_AZURE, principal, set_up

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Outage(QuietTap):
    """The trail's table does not answer."""

    def before(self, call: Call) -> None:
        if call.port == "tables" and call.arguments[0] == AUDIT:
            raise HttpResponseError("the service refused")


def _request(route: str, **query: str) -> func.HttpRequest:
    headers = {
        **principal("Backup.Operator"),
        # The front end of the platform adds the address that it was called from; what comes before is a claim.
        "X-Forwarded-For": "10.6.6.6, 203.0.113.9",
        "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
    }
    return func.HttpRequest(
        "GET", f"https://x/api/{route}?code=key-of-the-app", params=query, headers=headers, body=b""
    )


def _called(function: object, request: func.HttpRequest) -> func.HttpResponse:
    answer = function._function.get_user_function()(request)  # type: ignore[attr-defined]
    assert isinstance(answer, func.HttpResponse)
    return answer


def _last(site: Site) -> AuditRecord:
    return list(AuditTrail(site.world.tables, site.world.clock).records())[-1]


@pytest.fixture
def outage(site: Site, past: str, tmp_path: Path) -> None:
    wiring.decorate(lambda real: tapped(adapters_of(site.world, tmp_path), Outage()))
    wiring.services.cache_clear()


@pytest.fixture
def azure(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(monkeypatch, **IN_AZURE)


@pytest.mark.usefixtures("azure", "past")
def test_a_reading_is_recorded_with_person_address_and_trace_and_without_the_key(site: Site) -> None:
    answer = _called(recovery_http.get_content, _request("content", path=LOAD))
    assert answer.status_code == 200
    record = _last(site)
    assert (record.action, record.actor, record.object) == (AuditAction.CONTENT_READ, "ada@example.com", LOAD)
    assert (record.correlation, record.detail["from"]) == (TRACE, "203.0.113.9")
    assert record.detail["request"] == "GET /api/content"
    assert "key-of-the-app" not in repr(record)


@pytest.mark.usefixtures("azure", "past")
@pytest.mark.parametrize(("route", "name"), [("content", "at"), ("diff", "from"), ("diff", "to"), ("tree", "at")])
@pytest.mark.parametrize("given", ["--output=x", "HEAD~1", "a..b", "tag:--all"])
def test_a_moment_that_git_would_read_otherwise_is_refused_and_named(route: str, name: str, given: str) -> None:
    calls = {
        "content": recovery_http.get_content,
        "diff": recovery_http.get_diff,
        "tree": recovery_http.get_tree,
    }
    answer = _called(calls[route], _request(route, path=LOAD, **{name: given}))
    assert answer.status_code == 400
    assert json.loads(answer.get_body())["detail"].startswith(f"{name}: ")


@pytest.mark.usefixtures("azure", "outage")
@pytest.mark.parametrize("route", ["content", "diff", "audit", "audit/verify"])
def test_nothing_is_shown_while_the_trail_cannot_be_written(route: str) -> None:
    calls = {
        "content": recovery_http.get_content,
        "diff": recovery_http.get_diff,
        "audit": audit_http.get_audit,
        "audit/verify": audit_http.get_audit_verify,
    }
    answer = _called(calls[route], _request(route, path=LOAD))
    assert answer.status_code == 503
    assert b"print(" not in answer.get_body()
    assert json.loads(answer.get_body())["type"] == "urn:notebook-backup:audit_unavailable"


@pytest.mark.usefixtures("outage")
@pytest.mark.parametrize(("page", "extra"), [("preview", {}), ("compare", {"to": "latest"})])
def test_no_page_shows_a_notebook_while_the_trail_cannot_be_written(
    site: Site, page: str, extra: dict[str, str]
) -> None:
    seen = site.get(page, status=503, path=LOAD, **extra)
    assert "audit" in seen.words
    assert "print(" not in seen.text


@pytest.mark.usefixtures("azure", "past")
def test_a_refusal_is_recorded(site: Site) -> None:
    site.world.workspace.behaviour.denied = {LOAD.rpartition("/")[0]}
    answer = _called(recovery_http.get_content, _request("content", path=LOAD, at="live"))
    assert answer.status_code == 403
    record = _last(site)
    assert (record.action, record.result, record.object) == (AuditAction.ACCESS_REFUSED, "refused", LOAD)
    assert record.detail["code"] == "permission_denied"


def test_settings_are_shown_without_secrets_and_without_credentials_in_an_address() -> None:
    settings = Settings.model_validate(
        {
            "databricks_host": "https://adb-1.azuredatabricks.net",
            "git_remote_url": "https://dev.azure.com/o/p/_git/r",
            "git_token": "hunter2-of-the-token",
            "storage": "AccountKey=hunter2",
            "people": '{"hunter2@example.com": {"name": "Hunter2 Q"}}',
        }
    )
    # The settings refuse such an address: whatever else may come to hold one, the trail does not.
    held = "https://somebody:hunter2-of-the-url@dev.azure.com/o/p/_git/r?token=hunter2"
    shown = shown_settings(settings.model_copy(update={"git_remote_url": held}))
    assert shown["BACKUP_PEOPLE"] == "1 people"
    assert shown["GIT_REMOTE_URL"] == "https://dev.azure.com/o/p/_git/r"
    assert (shown["GIT_TOKEN"], shown["AzureWebJobsStorage"], shown["BACKUP_ROOT"]) == ("set", "set", "/Clients")
    assert "hunter2" not in repr(shown).lower()
