"""The app settings that the template makes are those that the app knows, and the app starts with them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from shared.settings import Settings
from tests.infra.app_functions import triggers
from tests.infra.bicep import ROOT, deploy
from tests.infra.documents import table
from tests.infra.variants import PRIVATE, SMTP, VARIANTS

KNOWN = {str(f.validation_alias) for f in Settings.model_fields.values()}
PLATFORM = {
    "AzureWebJobsStorage__credential": "storage by identity",
    "AzureWebJobsStorage__clientId": "which identity",
    "PYTHON_ENABLE_OPENTELEMETRY": "keeps the host from sending the app's records again",
    "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID": "sign-in without a client secret",
    "WEBSITE_AUTH_AAD_ALLOWED_TENANTS": "sign-in from this tenant alone",
    "FUNCTIONS_EXTENSION_VERSION": "Elastic Premium",
    "FUNCTIONS_WORKER_RUNTIME": "Elastic Premium",
    "WEBSITE_RUN_FROM_PACKAGE": "Elastic Premium",
    "WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID": "Elastic Premium",
}
"""What Azure reads and the app does not: https://learn.microsoft.com/azure/azure-functions/functions-app-settings."""
FORBIDDEN_ON_FLEX = {n for n, why in PLATFORM.items() if why == "Elastic Premium"}
"""https://learn.microsoft.com/azure/azure-functions/functions-app-settings#flex-consumption-plan-deprecations"""


def _settings(**parameters: object) -> Mapping[str, str]:
    """The app settings of a deployment."""
    configs = {c["name"]: c for c in deploy(**parameters).one("avm/res/web/site")["configs"]}
    assert configs["appsettings"]["retainCurrentAppSettings"] is False
    found: Mapping[str, str] = configs["appsettings"]["properties"]
    return found


def _ever_set() -> set[str]:
    return {name for variant in VARIANTS.values() for name in _settings(**variant)}


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_setting_is_made_that_nobody_reads(variant: str) -> None:
    made = _settings(**VARIANTS[variant])
    assert len(made) > 20
    assert made.keys() - KNOWN - PLATFORM.keys() == set()
    assert [name for name, value in made.items() if not isinstance(value, str) or not value] == []


def test_every_setting_is_made_or_its_default_is_explained() -> None:
    explained = table("docs/azure.md", "Settings left to their defaults")
    assert explained.keys() == KNOWN - _ever_set()
    assert all(reason for (reason,) in explained.values())


def test_the_platforms_settings_are_in_the_guide_and_used() -> None:
    guide = (ROOT / "docs/azure.md").read_text()
    assert [name for name in PLATFORM if f"`{name}`" not in guide] == []
    assert PLATFORM.keys() <= _ever_set()


def test_a_plan_has_its_own_settings_alone() -> None:
    assert _settings().keys() & FORBIDDEN_ON_FLEX == set()
    assert _settings(**PRIVATE).keys() >= FORBIDDEN_ON_FLEX
    assert _settings(plan="elasticPremium").keys() & {"WEBSITE_CONTENTSHARE", "AzureWebJobsStorage"} == set()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_app_starts_with_what_the_template_makes(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KNOWN:
        monkeypatch.delenv(name, raising=False)
    # What only Azure can know is a placeholder in a deployment that is worked out here.
    real = {
        "BACKUP_MAIL_FROM": "backup@example.com",
        "BACKUP_AUDIT_ANCHOR_URI": "https://a.blob.core.windows.net/",
        "KEY_VAULT_URI": "https://a.vault.azure.net/",
        **{
            f"AzureWebJobsStorage__{n}ServiceUri": f"https://a.{n}.core.windows.net/"
            for n in ("blob", "queue", "table")
        },
    }
    for name, value in _settings(**VARIANTS[variant]).items():
        monkeypatch.setenv(name, real.get(name, value))
    settings = Settings.model_validate({})
    assert settings.backup_root == "/Clients"
    assert settings.identity_client_id == "backupIdentity.clientId"
    assert settings.storage is None
    assert settings.storage_blob_uri, settings.storage_queue_uri
    assert settings.audit_anchor_container == "audit-anchors"
    assert settings.heartbeat_hours == 26.0
    assert settings.deletion_guard_share == Settings.model_fields["deletion_guard_share"].default


def test_settings_that_the_template_repeats_have_the_apps_default() -> None:
    made = _settings()
    for name in ("GIT_BRANCH", "BACKUP_ROOT", "BACKUP_SCHEDULE", "BACKUP_VERIFY_SCHEDULE", "BACKUP_CONTAINER"):
        (field,) = (f for f in Settings.model_fields.values() if f.validation_alias == name)
        assert made[name] == field.default, name


def test_every_schedule_that_a_timer_reads_from_a_setting_is_made() -> None:
    read = {str(t["schedule"]).strip("%") for t in triggers().values() if str(t.get("schedule", "")).startswith("%")}
    assert len(read) == 2
    assert read <= _settings().keys()


def test_mail_goes_by_one_way() -> None:
    assert _settings(**PRIVATE)["BACKUP_MAIL_FROM"].startswith("DoNotReply@")
    assert _settings(**PRIVATE)["BACKUP_MAIL_ENDPOINT"].startswith("https://")
    assert _settings(**SMTP)["BACKUP_MAIL_FROM"] == "backup@example.com"
    assert "BACKUP_MAIL_ENDPOINT" not in _settings(**SMTP)
    assert "BACKUP_MAIL_FROM" not in _settings()


def test_what_an_administrator_adds_overrules_the_template() -> None:
    made = _settings(extraAppSettings={"BACKUP_SECRETS": "hold", "BACKUP_CONTAINER": "other"})
    assert (made["BACKUP_SECRETS"], made["BACKUP_CONTAINER"]) == ("hold", "other")


def test_the_hosts_limits_fit_the_apps() -> None:
    host = json.loads((ROOT / "host.json").read_text())
    queues, durable = host["extensions"]["queues"], host["extensions"]["durableTask"]
    field = Settings.model_fields
    # Each batch that is under way in one instance has a thread to call the workspace with.
    assert queues["batchSize"] + queues["newBatchThreshold"] <= field["workspace_threads"].default
    assert queues["batchSize"] <= 32, "the platform's limit"
    # All deliveries of a message that fails are over before the watchdog calls its run stalled.
    hours, minutes, seconds = (int(part) for part in queues["visibilityTimeout"].split(":"))
    waiting = (hours * 3600 + minutes * 60 + seconds) * queues["maxDequeueCount"]
    assert waiting < field["stall_minutes"].default * 60
    # A step hands over long before the host ends it.
    hours, minutes, seconds = (int(part) for part in host["functionTimeout"].split(":"))
    assert hours * 3600 + minutes * 60 + seconds >= 2 * 540, "BACKUP_STEP_BUDGET_SECONDS is at most 540"
    # The committer and a restore each have an activity at once.
    assert durable["maxConcurrentActivityFunctions"] == 2
    assert host["telemetryMode"] == "OpenTelemetry"
    assert queues["messageEncoding"] == "base64"


def test_each_instance_holds_what_the_guide_says() -> None:
    host = json.loads((ROOT / "host.json").read_text())["extensions"]["queues"]
    guide = (ROOT / "docs/azure.md").read_text()
    assert f"`host.json`, {host['batchSize']} and {host['newBatchThreshold']}" in guide
    assert "at most twelve batches" in guide
    assert host["batchSize"] + host["newBatchThreshold"] == 12
