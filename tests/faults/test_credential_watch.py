"""The watch over credentials: dates from vault and issuer, warnings in time and once, rotation by itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.faults.taps import Call, QuietTap
from local.memory.mailer import MemoryMailer
from local.memory.telemetry import MemoryTelemetry
from local.memory.world import World
from shared.domain.audit import AuditAction
from shared.domain.mail import Recipients
from shared.errors import IssuerUnavailable, VaultUnavailable
from shared.services.audit.trail import AuditTrail

VAULT_URI = "https://backup.vault.azure.net"
SECRET, DAY = "databricks-token", 86_400
GAUGE = "backup.credential.days_left"


def _world(scratch: Path, **settings: Any) -> World:
    return World(
        scratch,
        telemetry=MemoryTelemetry(),
        mailer=MemoryMailer(),
        mail_from="backup@example.com",
        heartbeat_hours=100_000,
        mail_to=Recipients(("ops@example.com",)),  # type: ignore[arg-type]
        **settings,
    )


def _vaulted(scratch: Path, days: float | None, issued: float | None = None, **settings: Any) -> World:
    """A token of the workspace in the vault, good for `days` by the vault, and `issued` by its issuer."""
    world = _world(scratch, key_vault_uri=VAULT_URI, databricks_token_secret=SECRET, **settings)
    world.vault.write(SECRET, "the-token", _in(world, days), {})
    if issued is not None:
        world.databricks_tokens.add("the-token", "by hand", _in(world, issued))
    return world


def _in(world: World, days: float | None) -> datetime | None:
    return None if days is None else world.clock.now() + timedelta(days=days)


def _look(world: World) -> dict[str, Any]:
    """What the watch says of the workspace's credential."""
    world.app.credentials.watch.look()
    return _shown(world, "workspace")


def _shown(world: World, name: str) -> dict[str, Any]:
    (found,) = [s for s in world.app.credentials.watch.shown() if s["name"] == name]
    return found


def _mails(world: World) -> list[str]:
    world.settle()
    mailer = world.mailer
    assert isinstance(mailer, MemoryMailer)
    return [mail.subject for mail in mailer.sent]


def _gauges(world: World) -> dict[str, float]:
    telemetry = world.telemetry
    assert isinstance(telemetry, MemoryTelemetry)
    return {attributes["credential"]: value for value, attributes in telemetry.of(GAUGE)}


def _expiry_records(world: World) -> list[Any]:
    found = AuditTrail(world.tables, world.clock).records()
    return [r.detail["days_left"] for r in found if r.action == AuditAction.CREDENTIAL_EXPIRES]


@pytest.mark.parametrize(
    ("vault", "issued", "days", "source"),
    [(40.5, None, 40, "vault"), (None, 50.5, 50, "issuer"), (60.5, 33.5, 33, "issuer"), (33.5, 60.5, 33, "vault")],
)
def test_the_earlier_of_two_dates_counts(
    tmp_path: Path, vault: float | None, issued: float | None, days: int, source: str
) -> None:
    world = _vaulted(tmp_path, vault, issued)
    found = _look(world)
    assert (found["days_left"], found["source"], found["missing"]) == (days, source, None)
    assert _gauges(world) == {"workspace": pytest.approx(days + 0.5)}
    assert (_mails(world), _expiry_records(world)) == ([], [])


def test_each_mark_is_told_of_once_by_mail_and_in_the_trail(tmp_path: Path) -> None:
    world = _vaulted(tmp_path, 31.5, rotate_days=0)
    for _ in range(4 * 33):
        world.app.credentials.watch.look()
        world.settle()
        world.clock.sleep(DAY / 4)
    assert [s.removeprefix("[Notebook backup] ") for s in _mails(world)] == [
        "Workspace token expires in 30 days (/Clients)",
        "Workspace token expires in 14 days (/Clients)",
        "Workspace token expires in 7 days (/Clients)",
        "Workspace token expires in 3 days (/Clients)",
        "Workspace token expires in 1 day (/Clients)",
        "Workspace token expires in 0 days (/Clients)",
    ]
    assert _expiry_records(world) == [30, 14, 7, 3, 1, 0]


def test_a_credential_without_a_date_says_what_is_missing(tmp_path: Path) -> None:
    world = _vaulted(tmp_path, None, git_token="a-configured-pat")
    found = _look(world)
    assert found["days_left"] is None
    assert "az keyvault secret set-attributes" in found["missing"]
    assert "--user-token" in _shown(world, "repository")["missing"]
    assert _gauges(world) == {}


def test_a_token_that_never_expires_is_said_to(tmp_path: Path) -> None:
    world = _vaulted(tmp_path, None)
    world.databricks_tokens.add("the-token", "by hand", None)
    assert "no end" in _look(world)["missing"]


def test_an_identity_renews_itself(tmp_path: Path) -> None:
    world = _world(tmp_path)
    found = _look(world)
    assert (found["kind"], found["renewed_by"], found["missing"]) == ("identity", "itself", None)
    assert [c.renews_itself for c in world.app.dashboard.read().credentials] == [True, True]


def test_a_token_of_a_setting_is_dated_by_its_issuer(tmp_path: Path) -> None:
    world = _world(tmp_path, databricks_token="a-configured-token")
    world.databricks_tokens.add("a-configured-token", "by hand", _in(world, 3.5))
    found = _look(world)
    assert (found["days_left"], found["renewed_by"]) == (3, "a person")
    assert _mails(world) == ["[Notebook backup] Workspace token expires in 3 days (/Clients)"]


def test_a_users_token_dates_the_personal_one(tmp_path: Path) -> None:
    world = _world(tmp_path, key_vault_uri=VAULT_URI, git_token_secret="git-token")
    world.git_tokens.users = {"token-of-a-user"}
    made = world.git_tokens.add("the-pat", "by hand", _in(world, 90))
    world.vault.write("git-token", "the-pat", None, {"backup-token-id": made.id})
    world.app.credentials.watch.look("token-of-a-user", who="ada", origin="10.0.0.1")
    assert _shown(world, "repository")["days_left"] == 90
    checked = [r for r in AuditTrail(world.tables, world.clock).records() if r.action == "credentials_checked"]
    assert [(r.actor, r.detail["from"]) for r in checked] == [("ada", "10.0.0.1")]


def test_other_secrets_of_the_vault_are_watched_too(tmp_path: Path) -> None:
    world = _vaulted(tmp_path, 90)
    world.vault.write("smtp-password", "p", _in(world, 6.5), {})
    world.vault.write("without-a-date", "p", None, {})
    world.app.credentials.watch.look()
    assert _gauges(world).keys() == {"workspace", "vault-smtp-password"}
    assert _mails(world) == ["[Notebook backup] Secret smtp-password expires in 6 days (/Clients)"]
    world.vault.stored.pop("smtp-password")
    world.app.credentials.watch.look()
    assert [s["name"] for s in world.app.credentials.watch.shown()] == ["workspace", "repository"]


def test_a_token_near_its_end_is_rotated_by_itself_and_nobody_is_bothered(tmp_path: Path) -> None:
    world = _vaulted(tmp_path, 30.5, 30.5)
    for _ in range(40):
        world.app.credentials.watch.look()
        world.clock.sleep(600)
        world.app.credentials.rotation.go_on_all()
        world.clock.sleep(DAY - 600)
    assert _mails(world) == []
    assert _look(world)["days_left"] == 90 - 40 + 17
    assert list(world.databricks_tokens.issued) == [world.vault.current(SECRET).value] != ["the-token"]


def test_a_rotation_that_fails_is_told_of_and_tried_again_the_next_day(tmp_path: Path) -> None:
    world = _vaulted(tmp_path, 13.5, 13.5)
    world.databricks_tokens.breaks = True
    for _ in range(30):
        world.app.credentials.watch.look()
        world.settle()
        world.clock.sleep(3_600)
    records = AuditTrail(world.tables, world.clock).records()
    assert sum(r.action == AuditAction.CREDENTIAL_ROTATED and r.detail["step"] == "asked" for r in records) == 2
    assert _mails(world) == ["[Notebook backup] Workspace token expires in 13 days (/Clients)"]
    assert list(world.databricks_tokens.issued) == ["the-token"]


@pytest.mark.parametrize(
    ("port", "method", "error"),
    [
        ("vault", "current", VaultUnavailable(name=SECRET, detail="HTTP 503")),
        ("vault", "dates", VaultUnavailable(name="its list", detail="HTTP 503")),
        ("databricks_tokens", "tokens", IssuerUnavailable(name="x", action="list", detail="HTTP 503")),
    ],
)
def test_one_that_cannot_be_looked_up_leaves_the_others(
    tmp_path: Path, port: str, method: str, error: Exception
) -> None:
    class Away(QuietTap):
        def meet(self, when: str, call: Call) -> None:
            if (when, call.port, call.method) == ("before", port, method):
                raise error

    world = _vaulted(tmp_path, 40.5, 50.5, git_token="a-configured-pat")
    world.process(Away())
    found = _look(world)
    assert (found["days_left"] == 40) == (method != "current")
    assert ("HTTP 503" in (found["missing"] or "")) == (method == "current")
    assert len(world.app.credentials.watch.shown()) == 2


def test_what_was_found_for_other_settings_is_not_shown(tmp_path: Path) -> None:
    world = _vaulted(tmp_path, 40.5)
    _look(world)
    world.settings = {"databricks_token": "a-configured-token"}
    world.process()
    found = _shown(world, "workspace")
    assert (found["kind"], found["days_left"], "--check" in found["missing"]) == ("setting", None, True)
    dashboard = world.app.dashboard.read()
    assert (dashboard.credentials[0].name, dashboard.credentials[0].expires_on) == ("Workspace token", None)
