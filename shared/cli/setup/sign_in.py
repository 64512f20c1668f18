"""The app registration that people sign in with: made, or taken over where it is shown to be this set-up's own."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from shared.cli.setup.commands import GRAPH, NOT_THERE, az, rest
from shared.cli.setup.engine import Command, Step

AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
ROLES = {
    "Backup.Reader": "Finds, reads and compares versions, and sees status and reports",
    "Backup.Restorer": "Restores notebooks",
    "Backup.Auditor": "Reads and proves the audit trail",
    "Backup.Operator": "Starts runs and does everything else",
}
MARK = "notebook-backup $name $subscription"
"""Stands in the notes of the registration that a set-up made."""
_KEPT = {"app_id": "appId", "app_object_id": "id"}


def role_id(name: str) -> str:
    """The id of an app role: the same each time, so that a second set-up changes nothing."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:notebook-backup:{name}"))


def sign_in_steps(answers: Mapping[str, str]) -> Sequence[Step]:
    """The registration and what belongs to it.

    `registration` among the answers names one to take over; `remembered_app_id` is the one that an earlier run made.
    """
    return [_registration(answers), _roles(), *_service_principal()]


def _registration(answers: Mapping[str, str]) -> Step:
    create = Command(
        az(
            *("ad", "app", "create", "--display-name", "$display_name", "--sign-in-audience", "AzureADMyOrg"),
            *("--enable-id-token-issuance", "true", "--app-roles", "@$folder/app-roles.json"),
        ),
        '{"appId": "$app_id", "id": "$app_object_id", ...}',
        _KEPT,
        {"$folder/app-roles.json": _app_roles()},
    )
    named = answers.get("registration")
    look = _own_by_proof()
    if named:
        # Whoever names one has decided; one that is not there is a mistake, and none is made.
        create = look_up = Command(az("ad", "app", "show", "--id", named), '{"appId": "...", ...}', _KEPT)
        look = (look_up,)
    elif answers.get("remembered_app_id"):
        look = (Command(az("ad", "app", "show", "--id", "$remembered_app_id"), "{...}", _KEPT, absent=NOT_THERE),)
    return Step(
        "app-registration",
        "The app registration that people sign in with",
        "App Service Authentication asks Entra ID for it; it has the four app roles",
        (create,),
        look,
        "It takes the directory role Application Developer, or leave to register applications",
    )


def _own_by_proof() -> tuple[Command, ...]:
    """Finds a registration of the name, and lets it through only where nobody else can have prepared it.

    A display name is anybody's to give, and so are notes. One is this set-up's own where it has its notes, belongs to
    whoever runs this and to nobody else, and opens to no credential but identities of this set-up's resource group:
    whoever made it for others to find kept none of the ways into it.
    """
    listed = Command(
        az(
            *("ad", "app", "list", "--filter", "displayName eq '$display_name'", "--query"),
            "[].{appId: appId, id: id, notes: notes, passwords: length(passwordCredentials), "
            "keys: length(keyCredentials)}",
        ),
        "[]",
        {"app_id": "0.appId", "app_object_id": "0.id"},
        complain=_foreign,
    )
    owners = Command(
        az("ad", "app", "owner", "list", "--id", "$app_id", "--query", "[].id"), '["$me"]', complain=_foreign_owner
    )
    identities = Command(
        az("identity", "list", "--query", "[?resourceGroup=='$resource_group_name'].principalId"),
        "[]",
        {"own_identities": ""},
    )
    federated = Command(
        az("ad", "app", "federated-credential", "list", "--id", "$app_id", "--query", "[].subject"),
        "[]",
        complain=_foreign_credential,
    )
    return (listed, owners, identities, federated)


def _foreign(found: Any, known: Mapping[str, str]) -> str:
    rows = found if isinstance(found, list) else []
    mark = f"notebook-backup {known['name']} {known['subscription']}"
    for row in rows:
        app = row.get("appId")
        if len(rows) > 1:
            return f"{len(rows)} registrations are called {known['display_name']}: {_named(rows)}. {_way(known)}"
        if row.get("notes") != mark:
            return (
                f"a registration {known['display_name']} ({app}) is there that this set-up did not make. {_way(known)}"
            )
        if row.get("passwords") or row.get("keys"):
            return f"the registration {app} has secrets or certificates; this set-up gives it none. {_way(known)}"
    return ""


def _foreign_owner(found: Any, known: Mapping[str, str]) -> str:
    others = set(found if isinstance(found, list) else []) ^ {known["me"]}
    return f"the registration {known['app_id']} does not belong to you alone. {_way(known)}" if others else ""


def _foreign_credential(found: Any, known: Mapping[str, str]) -> str:
    foreign = set(found if isinstance(found, list) else []) - set(json.loads(known["own_identities"]))
    if not foreign:
        return ""
    return f"the registration {known['app_id']} opens to an identity that is not this set-up's. {_way(known)}"


def _named(rows: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(str(row.get("appId")) for row in rows)


def _way(known: Mapping[str, str]) -> str:
    again = f"`./backup setup {known['name']} --app-id ID`"
    return (
        f"Somebody else may have prepared it, so it is not taken over. If it is yours, say so ({again}); "
        "else set up under another name (`./backup setup OTHER`)"
    )


def _app_roles() -> list[Mapping[str, Any]]:
    return [
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


def _roles() -> Step:
    scope = role_id("user_impersonation")
    exposed = {
        "id": scope,
        "value": "user_impersonation",
        "type": "User",
        "isEnabled": True,
        "adminConsentDisplayName": "Use the notebook backup",
        "adminConsentDescription": "Use the notebook backup as the signed-in person",
    }
    here = f"{GRAPH}/applications/$app_object_id"
    known = {"appId": AZURE_CLI, "delegatedPermissionIds": [scope]}
    return Step(
        "app-roles",
        "Its roles, its mark and owner, and how programs get a token for it",
        "`az account get-access-token --resource api://...` gives the command line a token of yours",
        (
            rest("patch", here, {"notes": MARK}),
            Command(("az", "ad", "app", "owner", "add", "--id", "$app_id", "--owner-object-id", "$me"), ""),
            Command(
                ("az", "ad", "app", "update", "--id", "$app_id", "--app-roles", "@$folder/app-roles.json"),
                "",
                {},
                {"$folder/app-roles.json": _app_roles()},
            ),
            Command(("az", "ad", "app", "update", "--id", "$app_id", "--identifier-uris", "api://$app_id"), ""),
            rest("patch", here, {"api": {"requestedAccessTokenVersion": 2, "oauth2PermissionScopes": [exposed]}}),
            rest("patch", here, {"api": {"preAuthorizedApplications": [known]}}),
        ),
    )


def _service_principal() -> Sequence[Step]:
    return [
        Step(
            "service-principal",
            "Its service principal",
            "roles are assigned on it",
            (Command(az("ad", "sp", "create", "--id", "$app_id"), '{"id": "$sp_id", ...}', {"sp_id": "id"}),),
            (Command(az("ad", "sp", "list", "--filter", "appId eq '$app_id'"), "[]", {"sp_id": "0.id"}),),
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
            (
                rest(
                    "get",
                    f"{GRAPH}/users/$me/appRoleAssignments?$$filter=resourceId%20eq%20$sp_id",
                    expect='{"value": []}',
                    keep={"operator_assignment": "value.0.id"},
                ),
            ),
        ),
    ]
