"""Every role on every registered HTTP route; a route that the table does not name fails."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import azure.functions as func
import pytest

from functions.route_rights import ROUTES
from shared.domain.access import GRANTS, Caller, Right, Role
from shared.domain.audit import AuditAction
from shared.services.audit.trail import AuditTrail
from shared.wiring import services
from tests.pages_site import Site
from tests.signed_in import HEADER, IN_AZURE, LONG_ROLE, code_of, encoded, http_functions, principal, send, set_up

ROOT = Path(__file__).resolve().parent.parent.parent
LETTERS = {"R": "Backup.Reader", "S": "Backup.Restorer", "A": "Backup.Auditor", "O": "Backup.Operator"}
MATRIX = {
    "list_poison": "O",
    "requeue_poison": "O",
    "drop_poison": "O",
    "list_git_folders": "O",
    "start_git_folder_operation": "O",
    "get_git_folder_operation": "O",
    "list_credentials": "O",
    "check_credentials": "O",
    "rotate_credential": "O",
    "get_health": "*",
    "get_openapi": "*",
    "get_status": "RSAO",
    "list_runs": "RSAO",
    "get_run": "RSAO",
    "start_run": "O",
    "get_doctor": "O",
    "list_verifications": "RSAO",
    "get_verification": "RSAO",
    "start_verification": "O",
    "start_rebuild": "O",
    "get_rebuild": "O",
    "get_capacity": "RSAO",
    "list_tags": "RSAO",
    "create_tag": "O",
    "page_dashboard": "RSAO",
    "find_notebooks": "RSAO",
    "get_tree": "RSAO",
    "get_versions": "RSAO",
    "get_content": "RSAO",
    "get_diff": "RSAO",
    "get_change_report": "RSAO",
    "page_browse": "RSAO",
    "page_history": "RSAO",
    "page_preview": "RSAO",
    "page_compare": "RSAO",
    "start_restore": "SO",
    "undo_restore": "SO",
    "list_restores": "SO",
    "get_restore": "SO",
    "page_restore": "SO",
    "page_restore_now": "SO",
    "page_result": "SO",
    "page_undo": "SO",
    "get_listing": "RSAO",
    "get_parity": "RSAO",
    "get_parity_day": "RSAO",
    "keep_parity": "O",
    "keep_import": "O",
    "get_audit": "AO",
    "get_audit_verify": "AO",
}
"""Who may call which function; `*` is anybody, signed in or not."""
ROLES = [
    *((role,) for role in LETTERS.values()),
    (),
    ("Backup.Admin",),
    ("backup.operator",),
    ("Backup.Operator ",),
    ("Backup.Reader", "Backup.Auditor"),
    ("Backup.Admin", "Backup.Restorer"),
]
CODES_OF_REFUSAL = {"role_missing", "not_signed_in", "principal_not_believed", "sign_in_off", "route_closed"}


@pytest.fixture
def azure(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The app in Azure, with sign-in on."""
    set_up(monkeypatch, **IN_AZURE)
    yield site


def _letters(name: str) -> set[str]:
    return {LETTERS[letter] for letter in MATRIX[name] if letter in LETTERS}


def _refused(name: str, answer: func.HttpResponse) -> bool:
    """Whether the gate kept a caller out; a page says so in words."""
    code = code_of(answer)
    if code:
        return code in CODES_OF_REFUSAL
    words = answer.get_body().decode().lower()
    return answer.status_code in (401, 403, 503) and any(c.replace("_", " ") in words for c in CODES_OF_REFUSAL)


def test_every_registered_route_has_a_row_and_every_row_a_route() -> None:
    registered = set(http_functions())
    assert registered == set(MATRIX), "give the new route a row here and in functions/route_rights.py"
    assert registered == set(ROUTES)
    assert len(registered) >= 34


@pytest.mark.parametrize("roles", ROLES, ids=lambda roles: "+".join(roles) or "no role")
def test_each_role_gets_in_where_the_matrix_says_and_nowhere_else(azure: Site, roles: tuple[str, ...]) -> None:
    for name, role_type in product(MATRIX, ("roles", LONG_ROLE)):
        answer = send(name, principal(*roles, role_type=role_type))
        allowed = MATRIX[name] == "*" or bool(_letters(name) & set(roles))
        assert _refused(name, answer) is not allowed, (name, roles, answer.status_code, answer.get_body()[-300:])
        if not allowed:
            assert answer.status_code == 403, name


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-functions-key": "the-key-of-the-app"},
        {"Authorization": "Bearer whatever", "X-MS-CLIENT-PRINCIPAL-NAME": "root@example.com"},
        {"X-MS-CLIENT-PRINCIPAL-ID": "1", "X-MS-TOKEN-AAD-ID-TOKEN": "x"},
    ],
    ids=["anonymous", "function key only", "bearer that the platform did not take", "other headers of the platform"],
)
def test_nobody_who_is_not_signed_in_gets_past_what_is_public(azure: Site, headers: dict[str, str]) -> None:
    for name in MATRIX:
        answer = send(name, headers)
        if MATRIX[name] == "*":
            assert answer.status_code == 200, name
        else:
            assert (answer.status_code, _refused(name, answer)) == (401, True), name
            assert answer.headers["WWW-Authenticate"] == "Bearer"


def _malformed() -> list[str]:
    good = json.loads('{"auth_typ": "aad", "role_typ": "roles", "claims": []}')
    claim = {"typ": "roles", "val": "Backup.Operator"}
    return [
        "",
        "%%%",
        "Backup.Operator",
        encoded([]),
        encoded("x"),
        encoded(None),
        encoded({}),
        encoded(good),
        encoded({**good, "claims": [claim]}),
        encoded({**good, "auth_typ": "github", "claims": [claim, {"typ": "oid", "val": "1"}]}),
        encoded({**good, "claims": {"roles": "Backup.Operator"}}),
        encoded({**good, "claims": [claim, "x"]}),
        encoded({**good, "claims": [{"typ": "roles", "val": ["Backup.Operator"]}, {"typ": "oid", "val": "1"}]}),
        encoded({**good, "claims": [claim, {"typ": "oid", "val": " "}]}),
        encoded("[" * 100_000),
        "W" * 70_000,
        encoded({**good, "claims": [claim, {"typ": "oid", "val": "1"}]})[:-4] + "\n===",
    ]


@pytest.mark.parametrize("header", _malformed(), ids=range(len(_malformed())))
def test_a_malformed_principal_is_refused_with_a_problem(azure: Site, header: str) -> None:
    answer = send("get_status", {HEADER: header})
    assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
    assert code_of(answer) == "principal_not_believed"
    assert "Operator" not in answer.get_body().decode()
    record = list(AuditTrail(azure.world.tables, azure.world.clock).records())[-1]
    assert (record.action, record.actor, record.result) == (AuditAction.ACCESS_REFUSED, "anonymous", "refused")


@pytest.mark.parametrize(
    "settings",
    [
        {"WEBSITE_INSTANCE_ID": "i-1"},
        {"WEBSITE_INSTANCE_ID": "i-1", "WEBSITE_AUTH_ENABLED": "False"},
        {"WEBSITE_INSTANCE_ID": "i-1", "WEBSITE_AUTH_ENABLED": "False", "BACKUP_AUTH": "entra"},
        {"WEBSITE_INSTANCE_ID": "i-1", "WEBSITE_AUTH_ENABLED": "True", "BACKUP_AUTH": "none"},
        {"WEBSITE_SKU": "FlexConsumption"},
        {"LEGION_SERVICE_HOST": "10.0.0.1"},
        {"WEBSITE_HOSTNAME": "backup.azurewebsites.net"},
        {"BACKUP_AUTH": "entra"},
        {"BACKUP_AUTH": "entra", "WEBSITE_AUTH_ENABLED": "True"},
    ],
    ids=str,
)
@pytest.mark.parametrize("forged", [False, True], ids=["without header", "with header"])
def test_without_the_platforms_guard_everything_but_health_is_closed(
    site: Site, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], forged: bool
) -> None:
    set_up(monkeypatch, **settings)
    headers = principal("Backup.Operator") if forged else {"x-functions-key": "the-key-of-the-app"}
    for name in MATRIX:
        answer = send(name, headers)
        if MATRIX[name] == "*":
            assert answer.status_code == 200, name
            continue
        assert (answer.status_code, _refused(name, answer)) == (401 if forged else 503, True), name
        assert forged or b"App Service Authentication" in answer.get_body(), name


def test_on_ones_own_machine_the_key_opens_everything_and_a_principal_nothing(site: Site) -> None:
    for name in MATRIX:
        assert not _refused(name, send(name)), name
        forged = send(name, principal("Backup.Operator"))
        assert _refused(name, forged) is (MATRIX[name] != "*"), name


@pytest.mark.parametrize("setting", ["", "localhost:7071", "127.0.0.1:7071", "[::1]:7071"])
def test_core_tools_host_name_is_this_machine(site: Site, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    set_up(monkeypatch, WEBSITE_HOSTNAME=setting)
    assert send("get_status", {"Host": setting}).status_code == 200


def test_a_refusal_names_the_roles_and_is_recorded_with_who_was_refused(azure: Site) -> None:
    answer = send("start_run", principal("Backup.Reader", name="eve@example.com"), body=b"{}")
    assert (answer.status_code, code_of(answer)) == (403, "role_missing")
    detail = json.loads(answer.get_body())["detail"]
    assert ("eve@example.com" in detail, "Backup.Operator" in detail) == (True, True)
    record = list(AuditTrail(azure.world.tables, azure.world.clock).records())[-1]
    assert (record.action, record.actor) == (AuditAction.ACCESS_REFUSED, "eve@example.com")
    assert record.detail["code"] == "role_missing"
    assert services().runs.active() is None


def test_a_function_without_a_row_is_closed_to_an_operator(azure: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ROUTES, "get_status")  # type: ignore[arg-type]
    answer = send("get_status", principal("Backup.Operator"))
    assert (answer.status_code, code_of(answer)) == (403, "route_closed")


def test_the_matrix_of_roles_and_rights() -> None:
    rights = {role.value: {right.value for right in granted} for role, granted in GRANTS.items()}
    assert rights == {
        "Backup.Reader": {"read"},
        "Backup.Restorer": {"read", "restore"},
        "Backup.Auditor": {"read", "audit"},
        "Backup.Operator": {"read", "restore", "audit", "operate"},
    }
    for role, right in product(Role, Right):
        caller = Caller("x", "x", frozenset({role.value}))
        assert caller.may(right) is (right is Right.PUBLIC or right.value in rights[role.value])


@pytest.mark.parametrize(("switched_on", "level"), [("True", "anonymous"), ("False", "function")])
def test_the_function_key_is_needed_wherever_the_platform_signs_nobody_in(switched_on: str, level: str) -> None:
    told = (
        "import json, function_app;"
        "triggers = [f.get_trigger().get_dict_repr() for f in function_app.app.get_functions()];"
        "print(json.dumps({t['route']: str(t['authLevel'].value) for t in triggers if t['type'] == 'httpTrigger'}))"
    )
    environment = {"PATH": "/usr/bin:/bin", **IN_AZURE, "WEBSITE_AUTH_ENABLED": switched_on}
    done = subprocess.run([sys.executable, "-c", told], env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    levels = json.loads(done.stdout.splitlines()[-1])
    assert {levels.pop(name) for name in ("health", "openapi.json")} == {"anonymous"}
    assert (set(levels.values()), len(levels) >= 25) == ({level}, True)


def test_who_is_recorded_is_no_name_that_people_choose_for_themselves(azure: Site) -> None:
    send("get_audit", principal("Backup.Auditor", name="ada@example.com", name_typ="name"))
    record = list(AuditTrail(azure.world.tables, azure.world.clock).records())[-1]
    assert (record.action, record.actor) == (AuditAction.AUDIT_READ, "ada@example.com")
