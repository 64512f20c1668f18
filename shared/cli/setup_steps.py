"""The steps from a signed-in administrator to a running backup: each command with what it prints.

Syntaxes are those of `az` (https://learn.microsoft.com/cli/azure/reference-index), Microsoft Graph
(https://learn.microsoft.com/graph/api/overview), the Databricks workspace API, and Azure DevOps' REST API. `az rest`
signs each call for the resource that it names.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from shared.cli.setup_engine import Command, Step

DATABRICKS = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"
AZURE_DEVOPS = "499b84ac-1321-427f-aa17-267ca6975798"
AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
GRAPH = "https://graph.microsoft.com/v1.0"
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
}
"""What the template puts out, by the names that are used here."""
_APPLICATION_ID = "urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal"


def steps(answers: Mapping[str, str]) -> Sequence[Step]:
    """All of them, in order; `answers` decide which there are."""
    return [*_before(), *_sign_in(), *_infrastructure(answers), *_rights(answers), *_first_run(answers)]


def role_id(name: str) -> str:
    """The id of an app role: the same each time, so that a second set-up changes nothing."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:notebook-backup:{name}"))


def _az(*argv: str) -> tuple[str, ...]:
    return ("az", *argv, "--output", "json")


def _rest(method: str, url: str, body: Any = None, resource: str = "", **more: Any) -> Command:
    argv = ["rest", "--method", method, "--url", url]
    argv += ["--resource", resource] if resource else []
    argv += ["--headers", "Content-Type=application/json", "--body", json.dumps(body)] if body is not None else []
    return Command(_az(*argv), **more)


def _before() -> Sequence[Step]:
    me = Command(_az("ad", "signed-in-user", "show"), '{"id": "$me", ...}', {"me": "id"})
    roles = Command(
        _az(
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
                    _az("account", "show"), '{"id": "$subscription", "state": "Enabled", ...}', {"tenant": "tenantId"}
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
                    _az(
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
                _az("ad", "app", "list", "--display-name", "$display_name"),
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
                _rest("patch", here, {"api": {"requestedAccessTokenVersion": 2, "oauth2PermissionScopes": [exposed]}}),
                _rest("patch", here, {"api": {"preAuthorizedApplications": [known]}}),
            ),
        ),
        Step(
            "service-principal",
            "Its service principal",
            "roles are assigned on it",
            (Command(_az("ad", "sp", "create", "--id", "$app_id"), '{"id": "$sp_id", ...}', {"sp_id": "id"}),),
            Command(_az("ad", "sp", "list", "--filter", "appId eq '$app_id'"), "[]", {"sp_id": "0.id"}),
        ),
        Step(
            "assignment",
            "Only people with a role are let in",
            "without a role, Entra ID signs nobody in",
            (_rest("patch", f"{GRAPH}/servicePrincipals/$sp_id", {"appRoleAssignmentRequired": True}),),
        ),
        Step(
            "operator",
            "You are the first operator",
            "others get a role in the portal: Enterprise applications, Users and groups",
            (
                _rest(
                    "post",
                    f"{GRAPH}/servicePrincipals/$sp_id/appRoleAssignedTo",
                    {"principalId": "$me", "resourceId": "$sp_id", "appRoleId": role_id("Backup.Operator")},
                    expect='{"id": "...", "principalId": "$me", ...}',
                ),
            ),
            _rest(
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
                    _az(
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
                    _az(
                        *("ad", "app", "federated-credential", "create", "--id", "$app_id"),
                        *("--parameters", "@$folder/federated-credential.json"),
                    ),
                    '{"name": "app-service-sign-in", ...}',
                    {},
                    {"$folder/federated-credential.json": credential},
                ),
            ),
            Command(_az("ad", "app", "federated-credential", "list", "--id", "$app_id"), "[]", {"federated": "0.name"}),
        ),
    ]


def answers_more(answers: Mapping[str, str]) -> tuple[str, ...]:
    """Further parameters of the template, as they were given: `name=value`."""
    return tuple(filter(None, answers.get("parameters", "").split("\n")))


def _rights(answers: Mapping[str, str]) -> Sequence[Step]:
    found = [_principal("backup", "Backup"), _principal("restore", "Restore"), _folder()]
    if answers.get("warehouse"):
        found.append(_warehouse())
    return [*found, *_devops()]


def _principal(which: str, title: str) -> Step:
    url = "$databricks_host/api/2.0/preview/scim/v2/ServicePrincipals"
    client = f"${which}_client_id"
    body = {
        "schemas": [_APPLICATION_ID],
        "applicationId": client,
        "displayName": f"notebook-{which}-$name",
        "entitlements": [{"value": "workspace-access"}],
    }
    return Step(
        f"databricks-{which}",
        f"{title}'s identity is a service principal of the workspace",
        "the workspace takes its Entra ID token only if it knows it",
        (_rest("post", url, body, DATABRICKS, expect='{"id": "123", ...}', keep={f"{which}_scim_id": "id"}),),
        _rest(
            "get",
            f"{url}?filter=applicationId%20eq%20{client}",
            None,
            DATABRICKS,
            expect='{"totalResults": 0}',
            keep={f"{which}_scim_id": "Resources.0.id"},
        ),
        "it takes an admin of the Databricks workspace: have one run this step, with the same answers",
    )


def _folder() -> Step:
    status = "$databricks_host/api/2.0/workspace/get-status?path=$root"
    rights = [
        {"service_principal_name": "$backup_client_id", "permission_level": "CAN_READ"},
        {"service_principal_name": "$restore_client_id", "permission_level": "CAN_MANAGE"},
    ]
    return Step(
        "databricks-folder",
        "Rights on the folder: the backup reads, restores manage",
        "making a notebook in a folder takes CAN MANAGE; the backup itself never writes",
        (
            _rest("get", status, None, DATABRICKS, expect='{"object_id": 77, ...}', keep={"root_id": "object_id"}),
            _rest(
                "patch",
                "$databricks_host/api/2.0/permissions/directories/$root_id",
                {"access_control_list": rights},
                DATABRICKS,
                expect='{"object_id": "/directories/$root_id", ...}',
            ),
        ),
        remedy="the folder must exist, and you need CAN MANAGE on it or be an admin of the workspace",
    )


def _warehouse() -> Step:
    grants = (
        "GRANT USE CATALOG ON CATALOG system TO `$backup_client_id`",
        "GRANT USE SCHEMA ON SCHEMA system.access TO `$backup_client_id`",
        "GRANT SELECT ON TABLE system.access.audit TO `$backup_client_id`",
    )
    use = [{"service_principal_name": "$backup_client_id", "permission_level": "CAN_USE"}]
    permissions = "$databricks_host/api/2.0/permissions/warehouses/$warehouse"
    statements = "$databricks_host/api/2.0/sql/statements"
    return Step(
        "databricks-authors",
        "The backup may read who changed what",
        "authors come from system.access.audit, through the SQL warehouse",
        (
            _rest("patch", permissions, {"access_control_list": use}, DATABRICKS, expect='{"object_id": "...", ...}'),
            *(
                _rest(
                    "post",
                    statements,
                    {"warehouse_id": "$warehouse", "statement": grant, "wait_timeout": "50s"},
                    DATABRICKS,
                    expect='{"status": {"state": "SUCCEEDED"}, ...}',
                    complain=_statement_complaint,
                )
                for grant in grants
            ),
        ),
        remedy="it takes an admin of the metastore; without it everything works, and authors are unknown",
    )


def _statement_complaint(answer: Any) -> str:
    status = answer.get("status", {}) if isinstance(answer, dict) else {}
    if status.get("state") == "SUCCEEDED":
        return ""
    return str(status.get("error", {}).get("message") or f"the statement is {status.get('state')}")


def _devops() -> Sequence[Step]:
    base, entitlements = "https://dev.azure.com/$organisation", "https://vsaex.dev.azure.com/$organisation/_apis"
    repositories = f"{base}/$project/_apis/git/repositories"
    body = {
        "accessLevel": {"accountLicenseType": "express"},
        "servicePrincipal": {"origin": "aad", "originId": "$backup_principal_id", "subjectKind": "servicePrincipal"},
        "projectEntitlements": [
            {"group": {"groupType": "projectContributor"}, "projectRef": {"id": "$project_id"}},
        ],
    }
    return [
        Step(
            "devops-project",
            "The project in Azure DevOps",
            "the repository is in it",
            (
                _rest(
                    "get",
                    f"{base}/_apis/projects/$project?api-version=7.1",
                    None,
                    AZURE_DEVOPS,
                    expect='{"id": "$project_id", "name": "$project", ...}',
                    keep={"project_id": "id"},
                ),
            ),
            remedy="the organisation must be connected to this Entra ID tenant, and the project must exist",
        ),
        Step(
            "devops-repository",
            "The repository",
            "an empty one of its own: what people push there stays, and is kept apart from the backup's commits",
            (
                _rest(
                    "post",
                    f"{repositories}?api-version=7.1",
                    {"name": "$repository", "project": {"id": "$project_id"}},
                    AZURE_DEVOPS,
                    expect='{"id": "...", "name": "$repository", ...}',
                    keep={"repository_id": "id"},
                ),
            ),
            _rest(
                "get", f"{repositories}/$repository?api-version=7.1", None, AZURE_DEVOPS, keep={"repository_id": "id"}
            ),
        ),
        Step(
            "devops-identity",
            "Backup's identity is a user of the organisation and a contributor of the project",
            "it pushes with its Entra ID token; a Basic licence is what a push takes",
            (
                _rest(
                    "post",
                    f"{entitlements}/serviceprincipalentitlements?api-version=7.1-preview.1",
                    body,
                    AZURE_DEVOPS,
                    expect='{"operationResult": {"isSuccess": true, ...}, ...}',
                    complain=_entitlement_complaint,
                ),
            ),
            remedy="it takes a Project Collection Administrator, and a free Basic licence (five are free)",
        ),
    ]


def _entitlement_complaint(answer: Any) -> str:
    result = answer.get("operationResult", {}) if isinstance(answer, dict) else {}
    if result.get("isSuccess"):
        return ""
    return f"Azure DevOps did not add the identity: {json.dumps(result.get('errors') or answer)[:300]}"


def _first_run(answers: Mapping[str, str]) -> Sequence[Step]:
    zip_deploy = Command(
        _az(
            *("functionapp", "deployment", "source", "config-zip", "--resource-group", "$resource_group"),
            *("--name", "$function_app", "--src", "$package", "--build-remote", "false"),
        ),
        '{"active": true, "complete": true, ...}',
    )
    core_tools = Command(
        ("func", "azure", "functionapp", "publish", "$function_app", "--python", "--no-build"),
        "Deployment completed successfully.",
    )
    token = Command(
        _az("account", "get-access-token", "--resource", "api://$app_id"),
        '{"accessToken": "eyJ0...", "expiresOn": "...", ...}',
        {"token": "accessToken"},
        secret="token",  # noqa: S106 - the name of a value
    )
    here = ("./backup", "--url", "$app_url")
    signed_in = {"BACKUP_TOKEN": "$token"}
    return [
        Step(
            "package", "The package", "the app with its dependencies and a portable git", (Command(("./package",), ""),)
        ),
        Step(
            "publish",
            "The package is published",
            "the platform unpacks it and starts the app",
            (core_tools if answers.get("publish_with") == "func" else zip_deploy,),
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
