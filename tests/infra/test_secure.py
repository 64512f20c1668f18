"""Secure by default: what each deployment asks for, and who gets which role."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from functions.route_rights import ROUTES
from shared.cli.setup.steps import steps
from shared.domain.access import Right, Role
from tests.infra.app_functions import triggers
from tests.infra.bicep import INFRA, Deployment, deploy, parsed
from tests.infra.documents import table
from tests.infra.variants import FLEX_PRIVATE, PRIVATE, SMTP, VARIANTS

ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
    "09976791-48a7-449e-bb21-39d1a415f350": "Communication and Email Service Owner",
}
"""https://learn.microsoft.com/azure/role-based-access-control/built-in-roles"""
HOLDERS = {"backup": "backup", "communication": "backup", "deploy": "deploy", "operator": "the operator"}
ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
EVERY = pytest.mark.parametrize("variant", VARIANTS)


def _roles(deployment: Deployment) -> dict[str, tuple[str, str, str, str]]:
    """Every role assignment by its symbol: role, scope, principal, kind of principal."""
    found = {}
    for asked in deployment.of(ASSIGNMENT):
        given = asked.given["properties"]
        role = given["roleDefinitionId"].rpartition("/")[2]
        found[asked.symbol] = (role, asked.given["scope"], given["principalId"], given["principalType"])
    for asked in deployment.asked:
        for given in asked.given.get("roleAssignments", []):
            role = given["roleDefinitionIdOrName"]
            found[asked.symbol] = (role, asked.symbol, given["principalId"], given["principalType"])
    return found


def test_every_role_is_justified_in_the_guide_and_no_other() -> None:
    justified = table("docs/azure.md", "Identities and roles", 1)
    given = {name: role for variant in VARIANTS.values() for name, role in _roles(deploy(**variant)).items()}
    assert justified.keys() == given.keys()
    for name, (role, _, who, why) in justified.items():
        assert role == ROLES[given[name][0]], name
        holder = next(told for begin, told in HOLDERS.items() if name.startswith(begin))
        assert who.startswith(holder), name
        assert len(why.split()) >= 5


@EVERY
def test_a_role_is_on_one_resource_and_never_on_the_group(variant: str) -> None:
    roles = _roles(deploy(**VARIANTS[variant]))
    scopes = {"stateAccount", "packageAccount", "packageContainer", "anchorContainer", "vault", "component"}
    scopes |= {"communication"}
    assert {scope for _, scope, _, _ in roles.values()} <= scopes
    assert all(asked.given.get("scope") for asked in deploy(**VARIANTS[variant]).of(ASSIGNMENT))


def test_as_it_comes_the_app_and_its_platform_have_roles_and_the_app_writes_no_secrets() -> None:
    roles = _roles(deploy())
    assert {who for _, _, who, _ in roles.values()} == {"backupIdentity.principalId", "deployIdentity.principalId"}
    assert {kind for _, _, _, kind in roles.values()} == {"ServicePrincipal"}
    on_vault = {ROLES[role] for role, scope, _, _ in roles.values() if scope == "vault"}
    assert on_vault == {"Key Vault Secrets User"}


def test_roles_come_with_what_needs_them_alone() -> None:
    plain = _roles(deploy()).keys()
    assert _roles(deploy(rotateSecrets=True)).keys() - plain == {"backupRotation"}
    assert _roles(deploy(communicationServices=True)).keys() - plain == {"communication"}
    assert _roles(deploy(operatorPrincipalId="x")).keys() - plain == {"operatorSecrets"}
    premium = _roles(deploy(plan="elasticPremium", operatorPrincipalId="x")).keys()
    assert premium - plain == {"operatorSecrets", "operatorPackages", "deployReading"}


@EVERY
def test_whoever_may_write_state_cannot_replace_the_code(variant: str) -> None:
    deployment = deploy(**VARIANTS[variant])
    accounts = {a.symbol: a.given for a in deployment.of("avm/res/storage/storage-account")}
    on_code = {name: role for name, role in _roles(deployment).items() if role[1].startswith("package")}
    assert {who for _, _, who, _ in on_code.values()} <= {"deployIdentity.principalId", PRIVATE["operatorPrincipalId"]}
    deploys = {role for role in _roles(deployment).values() if role[2] == "deployIdentity.principalId"}
    assert {scope for _, scope, _, _ in deploys} == {"packageAccount"}, "and it has no say over anything else"
    site = deployment.one("avm/res/web/site")
    if storage := (site["functionAppConfig"] or {}).get("deployment", {}).get("storage"):
        source, reader = storage["value"], storage["authentication"]["userAssignedIdentityResourceId"]
    else:
        (settings,) = (c["properties"] for c in site["configs"] if c["name"] == "appsettings")
        source = settings["WEBSITE_RUN_FROM_PACKAGE"]
        reader = settings["WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID"]
        assert [ROLES[role] for role, *_ in deploys] == ["Storage Blob Data Reader"]
    (container,) = accounts["packageAccount"]["blobServices"]["containers"]
    assert source.startswith(f"packageAccount.primaryBlobEndpoint{container['name']}")
    assert deployment.outputs["PACKAGE_URL"].startswith("packageAccount.primaryBlobEndpoint")
    assert reader == "deployIdentity.resourceId"


def test_a_package_that_was_replaced_or_removed_can_be_brought_back_for_a_month() -> None:
    accounts = {a.symbol: a.given for a in deploy().of("avm/res/storage/storage-account")}
    kept = accounts["packageAccount"]["blobServices"]
    assert (kept["deleteRetentionPolicyDays"], kept["containerDeleteRetentionPolicyDays"]) == (30, 30)


def test_restore_and_sign_in_have_an_identity_each_and_no_role() -> None:
    deployment = deploy(**PRIVATE)
    held = {who for _, _, who, _ in _roles(deployment).values()}
    assert held == {"backupIdentity.principalId", "deployIdentity.principalId", PRIVATE["operatorPrincipalId"]}
    identities = {a.symbol for a in deployment.of("avm/res/managed-identity/user-assigned-identity")}
    assert identities == {"backupIdentity", "restoreIdentity", "signInIdentity", "deployIdentity"}
    assigned = deployment.one("avm/res/web/site")["managedIdentities"]
    assert assigned.keys() == {"userAssignedResourceIds"}
    assert sorted(assigned["userAssignedResourceIds"]) == [f"{name}.resourceId" for name in sorted(identities)]


def test_the_app_cannot_change_the_policy_of_the_anchors() -> None:
    """Owner of blob data may (`containers/*`); Contributor may not, and has no say over the account."""
    roles = _roles(deploy(**PRIVATE))
    on_anchors = [role for role, scope, _, _ in roles.values() if scope == "anchorContainer"]
    assert [ROLES[role] for role in on_anchors] == ["Storage Blob Data Contributor"]
    accounts = {a.symbol: a.given for a in deploy().of("avm/res/storage/storage-account")}
    (container,) = accounts["anchorAccount"]["blobServices"]["containers"]
    assert container["immutabilityPolicy"] == {
        "immutabilityPeriodSinceCreationInDays": 365,
        "allowProtectedAppendWrites": False,
    }
    assert [c["name"] for c in accounts["stateAccount"]["blobServices"]["containers"]] == ["backup"]


def test_a_policy_that_is_locked_is_left_alone() -> None:
    accounts = {a.symbol: a.given for a in deploy(anchorPolicyLocked=True).of("avm/res/storage/storage-account")}
    (container,) = accounts["anchorAccount"]["blobServices"]["containers"]
    assert container["immutabilityPolicy"] is None


@EVERY
def test_storage_knows_no_keys_no_strangers_and_no_old_tls(variant: str) -> None:
    accounts = deploy(**VARIANTS[variant]).of("avm/res/storage/storage-account")
    assert len(accounts) == 3
    for account in accounts:
        assert account.given["allowSharedKeyAccess"] is False
        assert account.given["allowBlobPublicAccess"] is False
        assert account.given["allowCrossTenantReplication"] is False
        assert account.given["supportsHttpsTrafficOnly"] is True
        assert account.given["minimumTlsVersion"] == "TLS1_2"
        assert {c["publicAccess"] for c in account.given["blobServices"]["containers"]} == {"None"}
        assert account.given["blobServices"]["deleteRetentionPolicyEnabled"] is True


@EVERY
def test_the_vault_knows_roles_alone_and_cannot_be_purged(variant: str) -> None:
    vault = deploy(**VARIANTS[variant]).one("avm/res/key-vault/vault")
    assert vault["enableRbacAuthorization"] is True
    assert vault["enablePurgeProtection"] is True
    assert vault["softDeleteRetentionInDays"] == 90
    assert "accessPolicies" not in vault
    assert "secrets" not in vault


@EVERY
def test_telemetry_takes_identities_alone(variant: str) -> None:
    deployment = deploy(**VARIANTS[variant])
    assert deployment.one("avm/res/insights/component")["disableLocalAuth"] is True
    assert deployment.one("avm/res/operational-insights/workspace")["features"]["disableLocalAuth"] is True


@EVERY
def test_the_app_is_reached_by_tls_and_published_to_by_identity(variant: str) -> None:
    site = deploy(**VARIANTS[variant]).one("avm/res/web/site")
    assert site["httpsOnly"] is True
    assert (site["siteConfig"]["minTlsVersion"], site["siteConfig"]["scmMinTlsVersion"]) == ("1.2", "1.2")
    assert site["siteConfig"]["ftpsState"] == "Disabled"
    assert site["siteConfig"]["remoteDebuggingEnabled"] is False
    assert {p["name"]: p["allow"] for p in site["basicPublishingCredentialsPolicies"]} == {"ftp": False, "scm": False}


def _sign_in(**parameters: Any) -> Mapping[str, Any]:
    configs = {c["name"]: c["properties"] for c in deploy(**parameters).one("avm/res/web/site")["configs"]}
    found: Mapping[str, Any] = configs["authsettingsV2"]
    return found


def test_with_a_registration_nobody_comes_in_who_has_not_signed_in() -> None:
    settings = _sign_in(authClientId="registration")
    assert settings["platform"]["enabled"] is True
    assert settings["globalValidation"]["requireAuthentication"] is True
    assert settings["globalValidation"]["excludedPaths"] == ["/api/health", "/api/openapi.json"]
    assert settings["httpSettings"]["requireHttps"] is True
    assert settings["login"]["tokenStore"]["enabled"] is False
    entra = settings["identityProviders"]["azureActiveDirectory"]
    assert settings["identityProviders"].keys() == {"azureActiveDirectory"}
    assert entra["registration"]["clientSecretSettingName"] == "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID"
    assert entra["registration"]["openIdIssuer"].endswith("0000aa/v2.0"), "this tenant alone"
    assert entra["validation"]["allowedAudiences"] == ["registration", "api://registration"]
    allowed = entra["validation"]["defaultAuthorizationPolicy"]["allowedApplications"]
    assert allowed == ["registration", "04b07795-8ddb-461a-bbee-02f9e1bf7b46"]


def test_further_programs_are_named_one_by_one() -> None:
    settings = _sign_in(authClientId="registration", authAllowedClientIds="pipeline,job")
    policy = settings["identityProviders"]["azureActiveDirectory"]["validation"]["defaultAuthorizationPolicy"]
    assert policy["allowedApplications"][2:] == ["pipeline", "job"]


def test_without_a_registration_sign_in_is_off_and_the_app_is_told_nothing_else() -> None:
    settings = _sign_in()
    assert settings["platform"]["enabled"] is False
    assert settings["identityProviders"] == {}


def test_what_needs_nobody_signed_in_is_what_the_app_opens_to_everybody() -> None:
    public = {f"/api/{triggers()[name]['route']}" for name, rule in ROUTES.items() if rule.right is Right.PUBLIC}
    assert set(_sign_in(authClientId="x")["globalValidation"]["excludedPaths"]) == public


def test_the_app_roles_are_those_that_the_app_knows_and_the_set_up_makes() -> None:
    roles = json.loads((INFRA / "app-roles.json").read_text())
    assert {r["value"] for r in roles} == {role.value for role in Role}
    made = [f for step in steps({}) for act in step.acts for f in act.files.values() if isinstance(f, list)]
    assert made
    assert all(found == roles for found in made)


def test_the_set_up_gives_parameters_that_exist_and_reads_outputs_that_exist() -> None:
    for plan in ("flexConsumption", "elasticPremium"):
        acts = [act for step in steps({"plan": plan}) for act in step.acts if "infra/main.bicep" in act.argv]
        _, deployment = acts
        asked, given = ({a.partition("=")[0] for a in c.argv if re.match(r"[a-zA-Z]+=", a)} for c in acts)
        assert asked == given
        assert given <= parsed(INFRA / "main.bicep")["parameters"].keys()
        assert given >= {n for n, p in parsed(INFRA / "main.bicep")["parameters"].items() if p["default"] is None}
        read = {path.removesuffix(".value") for path in deployment.keep.values()}
        assert read <= parsed(INFRA / "main.bicep")["outputs"].keys()


def _doors(deployment: Deployment) -> dict[str, tuple[str, int]]:
    """Of everything that can be closed: whether the public door is open, and how many private ones there are."""
    kinds = ("avm/res/storage/storage-account", "avm/res/key-vault/vault", "avm/res/web/site")
    found = [asked for kind in kinds for asked in deployment.of(kind)]
    return {a.symbol: (a.given["publicNetworkAccess"], len(a.given["privateEndpoints"])) for a in found}


@pytest.mark.parametrize("parameters", [PRIVATE, FLEX_PRIVATE], ids=["premium", "flex"])
def test_private_networking_closes_every_public_door(parameters: Mapping[str, Any]) -> None:
    deployment = deploy(**parameters)
    assert _doors(deployment) == {
        "stateAccount": ("Disabled", 3),
        "anchorAccount": ("Disabled", 1),
        "packageAccount": ("Disabled", 1),
        "keyVault": ("Disabled", 1),
        "functionApp": ("Disabled", 1),
    }
    zones = {zone.given["name"].partition(".")[2] for zone in deployment.of("avm/res/network/private-dns-zone")}
    services = ("blob", "queue", "table")
    assert zones == {f"{s}.core.windows.net" for s in services} | {"vaultcore.azure.net", "azurewebsites.net"}
    for account in deployment.of("avm/res/storage/storage-account"):
        assert account.given["networkAcls"] == {"defaultAction": "Deny", "bypass": "None"}
    assert deployment.one("avm/res/web/site")["virtualNetworkSubnetResourceId"]


def test_a_private_endpoint_is_in_its_subnet_and_its_services_zone() -> None:
    deployment = deploy(**PRIVATE)
    zones = {"blob": "blobZone", "queue": "queueZone", "table": "tableZone", "vault": "vaultZone", "sites": "siteZone"}
    endpoints = [e for a in deployment.asked for e in a.given.get("privateEndpoints", [])]
    assert len(endpoints) == 7
    for endpoint in endpoints:
        assert endpoint["subnetResourceId"] == "virtualNetwork.subnetResourceIds.1"
        (zone,) = endpoint["privateDnsZoneGroup"]["privateDnsZoneGroupConfigs"]
        assert zone["privateDnsZoneResourceId"] == f"{zones[endpoint['service']]}.resourceId"
    subnets = deployment.one("avm/res/network/virtual-network")["subnets"]
    assert [s["name"] for s in subnets] == ["app", "private-endpoints"]


@pytest.mark.parametrize(
    ("plan", "service"),
    [("flexConsumption", "Microsoft.App/environments"), ("elasticPremium", "Microsoft.Web/serverFarms")],
)
def test_the_apps_subnet_is_delegated_to_its_plan(plan: str, service: str) -> None:
    network = deploy(plan=plan, privateNetworking=True).one("avm/res/network/virtual-network")
    assert network["subnets"][0]["delegation"] == service


def test_private_storage_leaves_the_apps_own_door_open_unless_that_is_asked_for() -> None:
    doors = _doors(deploy(privateNetworking=True))
    assert doors["functionApp"] == ("Enabled", 0)
    assert doors["stateAccount"] == ("Disabled", 3)
    assert _doors(deploy(privateInbound=True))["functionApp"] == ("Enabled", 0), "it needs the network"


def test_as_it_comes_there_is_no_network_and_no_mail_service() -> None:
    kinds = {a.kind for a in deploy().asked}
    assert not {k for k in kinds if k.startswith(("avm/res/network", "avm/res/communication"))}
    assert not {k for k in {a.kind for a in deploy(**SMTP).asked} if "communication" in k}


def test_lifecycle_rules_never_touch_what_history_is_made_of() -> None:
    accounts = {a.symbol: a.given for a in deploy().of("avm/res/storage/storage-account")}
    rules = {r["name"]: r["definition"] for r in accounts["stateAccount"]["managementPolicyRules"]}
    removing = {n: d for n, d in rules.items() if "delete" in d["actions"]["baseBlob"]}
    prefixes = [p for d in removing.values() for p in d["filters"]["prefixMatch"]]
    assert prefixes == ["backup/staging/", "backup/batches/"]
    for definition in removing.values():
        days = definition["actions"]["baseBlob"]["delete"]["daysAfterModificationGreaterThan"]
        assert days >= 180, "far beyond BACKUP_STAGING_RETENTION_DAYS"
    assert "managementPolicyRules" not in accounts["anchorAccount"]


def test_no_secret_is_in_a_template_or_an_output() -> None:
    texts = {p: p.read_text() for p in INFRA.rglob("*.bicep")}
    for path, text in texts.items():
        for word in ("listKeys", "AccountKey", "primaryAccessKey", "primaryConnectionString", "listSecrets"):
            assert word not in text, f"{path.name}: {word}"
    assert {kind for kind, _ in deploy(**PRIVATE).read} > {"avm/res/key-vault/vault"}
    secret = {"secrets", "primaryAccessKey", "exportedSecrets", "primarySharedKey", "instrumentationKey"}
    assert {name for _, name in deploy(**PRIVATE).read} & secret == set()
