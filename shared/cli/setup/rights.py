"""The steps in the Databricks workspace and in Azure DevOps: who the identities are there, and what they may do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from shared.cli.setup.commands import AZURE_DEVOPS, DATABRICKS, NOT_THERE, rest
from shared.cli.setup.engine import Step

_SERVICE_PRINCIPAL = "urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal"


def rights_steps(answers: Mapping[str, str]) -> Sequence[Step]:
    """What the identities need there; `answers` say whether authors are read."""
    found = [_principal("backup", "Backup"), _principal("restore", "Restore"), _folder()]
    if answers.get("warehouse"):
        found.append(_warehouse())
    return [*found, *_devops()]


def _principal(which: str, title: str) -> Step:
    url = "$databricks_host/api/2.0/preview/scim/v2/ServicePrincipals"
    client = f"${which}_client_id"
    body = {
        "schemas": [_SERVICE_PRINCIPAL],
        "applicationId": client,
        "displayName": f"notebook-{which}-$name",
        "entitlements": [{"value": "workspace-access"}],
    }
    return Step(
        f"databricks-{which}",
        f"{title}'s identity is a service principal of the workspace",
        "the workspace takes its Entra ID token only if it knows it",
        (rest("post", url, body, DATABRICKS, expect='{"id": "123", ...}', keep={f"{which}_scim_id": "id"}),),
        (
            rest(
                "get",
                f"{url}?filter=applicationId%20eq%20{client}",
                None,
                DATABRICKS,
                expect='{"totalResults": 0}',
                keep={f"{which}_scim_id": "Resources.0.id"},
            ),
        ),
        "it takes an admin of the Databricks workspace: have one run this step, with the same answers",
    )


def _folder() -> Step:
    rights = [
        {"service_principal_name": "$backup_client_id", "permission_level": "CAN_READ"},
        {"service_principal_name": "$restore_client_id", "permission_level": "CAN_MANAGE"},
    ]
    return Step(
        "databricks-folder",
        "Rights on the folder: the backup reads, restores manage",
        "making a notebook in a folder takes CAN MANAGE; the backup itself never writes",
        (
            rest(
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
            rest("patch", permissions, {"access_control_list": use}, DATABRICKS, expect='{"object_id": "...", ...}'),
            *(
                rest(
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


def _statement_complaint(answer: Any, _: Mapping[str, str]) -> str:
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
            "devops-repository",
            "The repository",
            "an empty one of its own: what people push there stays, and is kept apart from the backup's commits",
            (
                rest(
                    "post",
                    f"{repositories}?api-version=7.1",
                    {"name": "$repository", "project": {"id": "$project_id"}},
                    AZURE_DEVOPS,
                    expect='{"id": "...", "name": "$repository", ...}',
                    keep={"repository_id": "id"},
                ),
            ),
            (
                rest(
                    "get",
                    f"{repositories}/$repository?api-version=7.1",
                    None,
                    AZURE_DEVOPS,
                    keep={"repository_id": "id"},
                    absent=NOT_THERE,
                ),
            ),
            "it takes the right to create repositories in the project",
        ),
        Step(
            "devops-identity",
            "Backup's identity is a user of the organisation and a contributor of the project",
            "it pushes with its Entra ID token; a Basic licence is what a push takes",
            (
                rest(
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


def _entitlement_complaint(answer: Any, _: Mapping[str, str]) -> str:
    result = answer.get("operationResult", {}) if isinstance(answer, dict) else {}
    if result.get("isSuccess"):
        return ""
    return f"Azure DevOps did not add the identity: {json.dumps(result.get('errors') or answer)[:300]}"
