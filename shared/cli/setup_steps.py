"""The steps from a signed-in administrator to a running backup: each command with what it prints.

Syntaxes are those of `az` (https://learn.microsoft.com/cli/azure/reference-index), Microsoft Graph
(https://learn.microsoft.com/graph/api/overview), the Databricks workspace API, and Azure DevOps' REST API. `az rest`
signs each call for the resource that it names.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from shared.cli.setup_engine import Command, Step
from shared.cli.setup_rights import az, rest, rights_steps

AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
GRAPH = "https://graph.microsoft.com/v1.0"
PREMIUM = "elasticPremium"
ROLES = {
    "Backup.Reader": "Finds, reads and compares versions, and sees status and reports",
    "Backup.Restorer": "Restores notebooks",
    "Backup.Auditor": "Reads and proves the audit trail",
    "Backup.Operator": "Starts runs and does everything else",
}
PROVIDERS = (
    "Microsoft.Web",
    "Microsoft.Storage",
    "Microsoft.KeyVault",
    "Microsoft.ManagedIdentity",
    "Microsoft.OperationalInsights",
    "Microsoft.Insights",
    "Microsoft.App",
    "Microsoft.Communication",
)
_MAY_ASSIGN = {"Owner", "User Access Administrator", "Role Based Access Control Administrator"}
_MAY_MAKE = {"Owner", "Contributor"}
_OUTPUTS = {
    "resource_group": "AZURE_RESOURCE_GROUP",
    "function_app": "AZURE_FUNCTION_NAME",
    "app_url": "BACKUP_URL",
    "tenant_id": "AZURE_TENANT_ID",
    "backup_client_id": "BACKUP_IDENTITY_CLIENT_ID",
    "backup_principal_id": "BACKUP_IDENTITY_PRINCIPAL_ID",
    "restore_client_id": "RESTORE_IDENTITY_CLIENT_ID",
    "sign_in_principal_id": "SIGN_IN_IDENTITY_PRINCIPAL_ID",
    "package_url": "PACKAGE_URL",
}
"""What the template puts out, by the names that are used here."""


def steps(answers: Mapping[str, str]) -> Sequence[Step]:
    """All of them, in order; `answers` decide which there are."""
    return [*_before(), *_sign_in(), *_infrastructure(answers), *rights_steps(answers), *_first_run(answers)]


def role_id(name: str) -> str:
    """The id of an app role: the same each time, so that a second set-up changes nothing."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:notebook-backup:{name}"))


def _before() -> Sequence[Step]:
    me = Command(az("ad", "signed-in-user", "show"), '{"id": "$me", ...}', {"me": "id"})
    roles = Command(
        az(
            *("role", "assignment", "list", "--assignee", "$me", "--include-inherited", "--include-groups"),
            *("--scope", "/subscriptions/$subscription", "--query", "[].roleDefinitionName"),
        ),
        '["Owner"]',
        complain=_rights_complaint,
    )
    return [
        Step(
            "tools",
            "The tools are here",
            "Azure CLI 2.60 or newer, and Git, on this machine",
            (Command(("az", "version", "--output", "json"), '{"azure-cli": "2.77.0", ...}', complain=_old_az),),
            remedy="install the Azure CLI (https://aka.ms/installazurecli), or use Azure Cloud Shell",
            every_time=True,
        ),
        Step(
            "subscription",
            "Signed in, and the subscription is chosen",
            "everything below is made in this subscription",
            (
                Command(("az", "account", "set", "--subscription", "$subscription"), ""),
                Command(
                    az("account", "show"), '{"id": "$subscription", "state": "Enabled", ...}', {"tenant": "tenantId"}
                ),
            ),
            remedy="az login --tenant <tenant>, then again",
            every_time=True,
        ),
        Step(
            "rights",
            "You may do what follows",
            "the deployment makes resources and role assignments",
            (me, roles),
            remedy="have an owner of the subscription run this, or give you Owner on it for as long as it takes",
            every_time=True,
        ),
        Step(
            "providers",
            "Resource providers are registered",
            "a new subscription knows none of them",
            tuple(Command(("az", "provider", "register", "--namespace", name, "--wait"), "") for name in PROVIDERS),
        ),
    ]


def _rights_complaint(found: Any) -> str:
    held = set(found) if isinstance(found, list) else set()
    if held & _MAY_ASSIGN and held & _MAY_MAKE:
        return ""
    takes = "it takes Owner, or Contributor with a role that may assign roles"
    return f"you hold {', '.join(sorted(held)) or 'no role'} on the subscription; {takes}"


def _old_az(found: Any) -> str:
    version = str(found.get("azure-cli", "0")) if isinstance(found, dict) else "0"
    new_enough = tuple(int(p) for p in version.split(".")[:2] if p.isdecimal()) >= (2, 60)
    return "" if new_enough else f"the Azure CLI is {version}: run `az upgrade`"


def _sign_in() -> Sequence[Step]:
    roles = [
        {
            "id": role_id(name),
            "value": name,
            "displayName": name,
            "description": told,
            "isEnabled": True,
            "allowedMemberTypes": ["User", "Application"],
        }
        for name, told in ROLES.items()
    ]
    scope = role_id("user_impersonation")
    exposed = {
        "id": scope,
        "value": "user_impersonation",
        "type": "User",
        "isEnabled": True,
        "adminConsentDisplayName": "Use the notebook backup",
        "adminConsentDescription": "Use the notebook backup as the signed-in person",
    }
    file = {"$folder/app-roles.json": roles}
    app = {"app_id": "appId", "app_object_id": "id"}
    here = f"{GRAPH}/applications/$app_object_id"
    known = {"appId": AZURE_CLI, "delegatedPermissionIds": [scope]}
    return [
        Step(
            "app-registration",
            "The app registration that people sign in with",
            "App Service Authentication asks Entra ID for it; it has the four app roles",
            (
                Command(
                    az(
                        *(
                            "ad",
                            "app",
                            "create",
                            "--display-name",
                            "$display_name",
                            "--sign-in-audience",
                            "AzureADMyOrg",
                        ),
                        *("--enable-id-token-issuance", "true", "--app-roles", "@$folder/app-roles.json"),
                    ),
                    '{"appId": "$app_id", "id": "$app_object_id", ...}',
                    app,
                    file,
                ),
            ),
            Command(
                az("ad", "app", "list", "--display-name", "$display_name"),
                "[]",
                {name: f"0.{path}" for name, path in app.items()},
            ),
            "it takes the directory role Application Developer, or leave to register applications",
        ),
        Step(
            "app-roles",
            "Its roles, and how programs get a token for it",
            "`az account get-access-token --resource api://...` gives the command line a token of yours",
            (
                Command(
                    ("az", "ad", "app", "update", "--id", "$app_id", "--app-roles", "@$folder/app-roles.json"),
                    "",
                    {},
                    file,
                ),
                Command(("az", "ad", "app", "update", "--id", "$app_id", "--identifier-uris", "api://$app_id"), ""),
                rest("patch", here, {"api": {"requestedAccessTokenVersion": 2, "oauth2PermissionScopes": [exposed]}}),
                rest("patch", here, {"api": {"preAuthorizedApplications": [known]}}),
            ),
        ),
        Step(
            "service-principal",
            "Its service principal",
            "roles are assigned on it",
            (Command(az("ad", "sp", "create", "--id", "$app_id"), '{"id": "$sp_id", ...}', {"sp_id": "id"}),),
            Command(az("ad", "sp", "list", "--filter", "appId eq '$app_id'"), "[]", {"sp_id": "0.id"}),
        ),
        Step(
            "assignment",
            "Only people with a role are let in",
            "without a role, Entra ID signs nobody in",
            (rest("patch", f"{GRAPH}/servicePrincipals/$sp_id", {"appRoleAssignmentRequired": True}),),
        ),
        Step(
            "operator",
            "You are the first operator",
            "others get a role in the portal: Enterprise applications, Users and groups",
            (
                rest(
                    "post",
                    f"{GRAPH}/servicePrincipals/$sp_id/appRoleAssignedTo",
                    {"principalId": "$me", "resourceId": "$sp_id", "appRoleId": role_id("Backup.Operator")},
                    expect='{"id": "...", "principalId": "$me", ...}',
                ),
            ),
            rest(
                "get",
                f"{GRAPH}/users/$me/appRoleAssignments?$$filter=resourceId%20eq%20$sp_id",
                expect='{"value": []}',
                keep={"operator_assignment": "value.0.id"},
            ),
        ),
    ]


def _infrastructure(answers: Mapping[str, str]) -> Sequence[Step]:
    parameters = {
        "environmentName": "$name",
        "location": "$location",
        "databricksHost": "$databricks_host",
        "databricksWarehouseId": "$warehouse",
        "gitRemoteUrl": "$git_url",
        "gitBranch": "$branch",
        "backupRoot": "$root",
        "alertEmails": "$alert_emails",
        "mailTo": "$mail_to",
        "plan": "$plan",
        "authClientId": "$app_id",
    }
    if answers.get("plan") == PREMIUM:
        # Whoever runs this uploads the package.
        parameters |= {"operatorPrincipalId": "$me", "operatorPrincipalType": "User"}
    given = [f"{name}={value}" for name, value in parameters.items()]
    callback = "$app_url/.auth/login/aad/callback"
    credential = {
        "name": "app-service-sign-in",
        "issuer": "https://login.microsoftonline.com/$tenant_id/v2.0",
        "subject": "$sign_in_principal_id",
        "audiences": ["api://AzureADTokenExchange"],
    }
    return [
        Step(
            "deployment",
            "The resources in Azure",
            "identities, storage, vault, function app, monitoring, alerts; some six minutes, and again changes nothing",
            (
                Command(
                    az(
                        *("deployment", "sub", "create", "--name", "notebook-backup-$name", "--location", "$location"),
                        *("--template-file", "infra/main.bicep", "--parameters", *given, *answers_more(answers)),
                        *("--query", "properties.outputs"),
                    ),
                    '{"BACKUP_URL": {"type": "String", "value": "https://func-backup-....azurewebsites.net"}, ...}',
                    {name: f"{output}.value" for name, output in _OUTPUTS.items()},
                ),
            ),
            remedy="az deployment operation sub list --name notebook-backup-<name> names the resource that failed",
        ),
        Step(
            "redirect",
            "Sign-in leads back to the app",
            "Entra ID sends people only where the registration says",
            (Command(("az", "ad", "app", "update", "--id", "$app_id", "--web-redirect-uris", callback), ""),),
        ),
        Step(
            "federation",
            "The app proves itself to Entra ID without a secret",
            "its sign-in identity stands for a client secret, so that none expires",
            (
                Command(
                    az(
                        *("ad", "app", "federated-credential", "create", "--id", "$app_id"),
                        *("--parameters", "@$folder/federated-credential.json"),
                    ),
                    '{"name": "app-service-sign-in", ...}',
                    {},
                    {"$folder/federated-credential.json": credential},
                ),
            ),
            Command(az("ad", "app", "federated-credential", "list", "--id", "$app_id"), "[]", {"federated": "0.name"}),
        ),
    ]


def answers_more(answers: Mapping[str, str]) -> tuple[str, ...]:
    """Further parameters of the template, as they were given: `name=value`."""
    return tuple(filter(None, answers.get("parameters", "").split("\n")))


def _upload() -> tuple[Command, ...]:
    """On Elastic Premium the app runs from a blob: what publishes there writes to Azure Files, which takes keys."""
    blob = ("--file", "$package", "--blob-url", "$package_url", "--auth-mode", "login", "--overwrite", "true")
    app = ("--resource-group", "$resource_group", "--name", "$function_app")
    return (
        Command(az("storage", "blob", "upload", *blob), '{"etag": "...", "lastModified": "...", ...}'),
        Command(("az", "functionapp", "restart", *app), ""),
    )


def _first_run(answers: Mapping[str, str]) -> Sequence[Step]:
    zip_deploy = Command(
        az(
            *("functionapp", "deployment", "source", "config-zip", "--resource-group", "$resource_group"),
            *("--name", "$function_app", "--src", "$package", "--build-remote", "false"),
        ),
        '{"active": true, "complete": true, ...}',
    )
    core_tools = Command(
        ("func", "azure", "functionapp", "publish", "$function_app", "--python", "--no-build"),
        "Deployment completed successfully.",
        folder="build/package",
    )
    token = Command(
        az("account", "get-access-token", "--resource", "api://$app_id"),
        '{"accessToken": "eyJ0...", "expiresOn": "...", ...}',
        {"token": "accessToken"},
        secret="token",  # noqa: S106 - the name of a value
    )
    here, by_func = ("./backup", "--url", "$app_url"), answers.get("publish_with") == "func"
    signed_in = {"BACKUP_TOKEN": "$token"}
    return [
        Step(
            "package", "The package", "the app with its dependencies and a portable git", (Command(("./package",), ""),)
        ),
        Step(
            "publish",
            "The package is published",
            "the platform unpacks it and starts the app",
            _upload() if answers.get("plan") == PREMIUM else (core_tools if by_func else zip_deploy,),
            remedy="with private networking, publish from within the network",
        ),
        Step(
            "doctor",
            "The doctor finds all well",
            "every right and setting, checked from where the app runs; new roles take up to ten minutes to be seen",
            (
                token,
                Command(
                    (*here, "doctor", "--json"), '[{"name": "workspace", "level": "ok", ...}]', environment=signed_in
                ),
            ),
            remedy="./backup doctor names what is missing; give a new role ten minutes, then run this again",
            every_time=True,
        ),
        Step(
            "first-run",
            "The first backup",
            "everything is exported once; later runs bring what changed",
            (token, Command((*here, "sync", "--json"), '{"status": "succeeded", ...}', environment=signed_in)),
            remedy="./backup status names what could not be brought in, each with its reason",
        ),
    ]
