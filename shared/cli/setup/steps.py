"""The steps from a signed-in administrator to a running backup: each command with what it prints.

Syntaxes are those of `az` (https://learn.microsoft.com/cli/azure/reference-index), Microsoft Graph
(https://learn.microsoft.com/graph/api/overview), the Databricks workspace API, and Azure DevOps' REST API. `az rest`
signs each call for the resource that it names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.cli.setup.checks import cloud_checks, tools_check
from shared.cli.setup.commands import az
from shared.cli.setup.engine import Command, Step
from shared.cli.setup.package import package_step
from shared.cli.setup.rights import rights_steps
from shared.cli.setup.sign_in import sign_in_steps

PREMIUM = "elasticPremium"
NOBODY = "00000000-0000-0000-0000-000000000000"
"""Stands for the registration where a deployment is tried before there is one."""
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
    """All of them, in order; `answers` decide which there are.

    The package comes first, then every look-up, then what makes something: what fails early leaves nothing behind.
    """
    return [
        tools_check(answers),
        package_step(answers),
        *cloud_checks(answers),
        *_accepted(answers),
        *sign_in_steps(answers),
        *_infrastructure(answers),
        *rights_steps(answers),
        *_first_run(answers),
    ]


def _accepted(answers: Mapping[str, str]) -> Sequence[Step]:
    """The subscription is made ready, and Azure asked whether it would take the deployment."""
    states = Command(
        az("provider", "list", "--query", "[?registrationState=='Registered'].namespace"),
        '["Microsoft.Storage", ...]',
        complain=_providers_complaint,
        absent="^missing: ",
    )
    deleted = Command(
        az(
            *("keyvault", "list-deleted", "--resource-type", "vault"),
            *("--query", "[?contains(properties.vaultId, '/resourceGroups/$resource_group_name/')].name"),
        ),
        "[]",
        complain=_deleted_complaint,
    )
    tried = Command(
        az(
            *("deployment", "sub", "validate", "--location", "$location", "--template-file", "infra/main.bicep"),
            *("--parameters", *_parameters(answers, NOBODY), *answers_more(answers)),
            *("--query", "properties.provisioningState"),
        ),
        '"Succeeded"',
    )
    return [
        Step(
            "providers",
            "Resource providers are registered",
            "a new subscription knows none of them",
            tuple(Command(("az", "provider", "register", "--namespace", name, "--wait"), "") for name in PROVIDERS),
            (states,),
            remedy="it takes Owner or Contributor on the subscription",
        ),
        Step(
            "deployable",
            "Azure would take the deployment",
            "names, policies and quota are held against it, and nothing is made",
            (deleted, tried),
            asks=False,
        ),
    ]


def _providers_complaint(found: Any, _: Mapping[str, str]) -> str:
    missing = [name for name in PROVIDERS if name not in (found if isinstance(found, list) else [])]
    return f"missing: {', '.join(missing)}" if missing else ""


def _deleted_complaint(found: Any, known: Mapping[str, str]) -> str:
    if not found or not isinstance(found, list):
        return ""
    return f"the soft-deleted vault {', '.join(map(str, found))} of {known['resource_group_name']} still has its name"


def _parameters(answers: Mapping[str, str], registration: str) -> list[str]:
    """Those of the template that answers give; `registration` is the application id that people sign in with."""
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
        "authClientId": registration,
    }
    if answers.get("plan") == PREMIUM:
        # Whoever runs this uploads the package.
        parameters |= {"operatorPrincipalId": "$me", "operatorPrincipalType": "User"}
    return [f"{name}={value}" for name, value in parameters.items()]


def _infrastructure(answers: Mapping[str, str]) -> Sequence[Step]:
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
                        *("deployment", "sub", "create", "--name", "notebook-backup-$name-$location"),
                        *("--location", "$location", "--template-file", "infra/main.bicep"),
                        *("--parameters", *_parameters(answers, "$app_id"), *answers_more(answers)),
                        *("--query", "properties.outputs"),
                    ),
                    '{"BACKUP_URL": {"type": "String", "value": "https://func-backup-....azurewebsites.net"}, ...}',
                    {name: f"{output}.value" for name, output in _OUTPUTS.items()},
                ),
            ),
            remedy="The portal shows it at the subscription, Deployments",
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
            (
                Command(
                    az(
                        *("ad", "app", "federated-credential", "list", "--id", "$app_id"),
                        *("--query", "[?subject=='$sign_in_principal_id'].name"),
                    ),
                    "[]",
                    {"federated": "0"},
                ),
            ),
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
        folder="$package_unpacked",
    )
    token = Command(
        az("account", "get-access-token", "--resource", "api://$app_id"),
        '{"accessToken": "eyJ0...", "expiresOn": "...", ...}',
        {"token": "accessToken"},
        secret="token",  # noqa: S106 - the name of a value
    )
    here, by_func = ("./backup", "--url", "$app_url"), answers.get("publish_with") == "func"
    signed_in = {"BACKUP_TOKEN": "$token"}
    doctor = Command(
        (*here, "doctor", "--json"),
        '[{"name": "workspace", "level": "ok", ...}]',
        environment=signed_in,
        codes=(0, 1),
        complain=_doctor_complaint,
    )
    under_way = Command(
        (*here, "status", "--json"),
        '{"active": null, "last": null, ...}',
        {"first_run": "active.run_id"},
        environment=signed_in,
    )
    begin = Command((*here, "sync", "--no-wait", "--json"), '{"status": "running", ...}', environment=signed_in)
    return [
        Step(
            "publish",
            "The package is published",
            "the platform unpacks it and starts the app",
            _upload() if answers.get("plan") == PREMIUM else (core_tools if by_func else zip_deploy,),
            remedy="With private networking, publish from within the network",
            counts=("package_sha256",),
        ),
        Step(
            "doctor",
            "The doctor finds all well",
            "every right and setting, checked from where the app runs; new roles take up to ten minutes to be seen",
            (token, doctor),
            remedy="Give a new role and a new app ten minutes. `./backup doctor` shows the same in a table",
            every_time=True,
            asks=False,
        ),
        Step(
            "first-run",
            "The first backup begins",
            "everything is exported once, by itself; later runs bring what changed",
            (token, begin),
            (token, under_way),
            "`./backup status` names what is under way",
        ),
    ]


def _doctor_complaint(found: Any, _: Mapping[str, str]) -> str:
    rows = found if isinstance(found, list) else []
    failed = [f"{row['name']}: {row['detail']} (do: {row['remedy']})" for row in rows if row.get("level") == "failed"]
    if rows:
        return "\n        ".join(failed)
    return f"the doctor did not answer: {found}"[:300]
