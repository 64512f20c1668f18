"""What is looked up before anything is made: nothing here changes anything, so that a failure leaves nothing behind."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from shared.cli.setup.commands import AZURE_DEVOPS, DATABRICKS, GRAPH, az, rest
from shared.cli.setup.engine import Command, Step

_MAY_ASSIGN = {"Owner", "User Access Administrator", "Role Based Access Control Administrator"}
_MAY_MAKE = {"Owner", "Contributor"}
_MAY_REGISTER = {
    *("Global Administrator", "Application Administrator", "Cloud Application Administrator"),
    "Application Developer",
}
_FLEX = "flexConsumption"
_COLLECTION = "3e65f728-f8bc-4ecd-8764-7e378b19bfa7"
"""Azure DevOps' security namespace of an organisation; its bit 2 is to edit the organisation's information, which
Project Collection Administrators may (learn.microsoft.com/azure/devops/organizations/security/namespace-reference)."""


def tools_check(answers: Mapping[str, str]) -> Step:
    """The programs of this machine."""
    azure = Command(("az", "version", "--output", "json"), '{"azure-cli": "2.77.0", ...}', complain=_old_az)
    core_tools = Command(("func", "--version"), "4.0.7030", complain=_old_func)
    by_func = answers.get("publish_with") == "func"
    return _check(
        "tools",
        "The tools are here",
        "the Azure CLI 2.60 or newer" + (", and Core Tools 4" if by_func else ""),
        (azure, core_tools) if by_func else (azure,),
        "install the Azure CLI (https://aka.ms/installazurecli), or use Azure Cloud Shell",
    )


def cloud_checks(answers: Mapping[str, str]) -> Sequence[Step]:
    """Who is signed in, what they may do in each service, and whether everything that is needed is there."""
    return [*_azure(answers), *_databricks(answers), *_devops()]


def _check(identity: str, title: str, why: str, acts: tuple[Command, ...], remedy: str) -> Step:
    return Step(identity, title, why, acts, remedy=remedy, every_time=True, asks=False)


def _azure(answers: Mapping[str, str]) -> Sequence[Step]:
    me = Command(az("ad", "signed-in-user", "show"), '{"id": "$me", ...}', {"me": "id"})
    roles = Command(
        az(
            *("role", "assignment", "list", "--assignee", "$me", "--include-inherited", "--include-groups"),
            *("--scope", "/subscriptions/$subscription", "--query", "[].roleDefinitionName"),
        ),
        '["Owner"]',
        complain=_rights_complaint,
    )
    offered = Command(
        az("functionapp", "list-flexconsumption-locations"),
        '[{"name": "westeurope"}, ...]',
        complain=_offer_complaint,
    )
    regions = Command(
        az("account", "list-locations", "--query", "[].name"), '["westeurope", ...]', complain=_region_complaint
    )
    group = az("group", "list", "--query", "[?name=='$resource_group_name'].{location:location, tags:tags}")
    return [
        _check(
            "subscription",
            "Signed in, and the subscription is chosen",
            "everything below is made in this subscription",
            (
                Command(("az", "account", "set", "--subscription", "$subscription"), ""),
                Command(
                    az("account", "show"),
                    '{"id": "$subscription", "state": "Enabled", ...}',
                    {"tenant": "tenantId"},
                    complain=_disabled,
                ),
            ),
            "az login --tenant TENANT, where TENANT is the directory id that the portal shows at Microsoft Entra ID",
        ),
        _check(
            "rights",
            "You may make resources and assign roles",
            "the deployment does both",
            (me, roles),
            "have an owner of the subscription run this, or give you Owner on it for as long as it takes",
        ),
        _check(
            "region",
            "The region is there, and offers the plan",
            "Flex Consumption is not offered everywhere"
            if answers.get("plan") == _FLEX
            else "resources are made in it",
            (regions, offered) if answers.get("plan") == _FLEX else (regions,),
            "give another --location",
        ),
        _check(
            "resource-group",
            "The resource group is free, or this set-up's",
            "what stands in it already is left alone",
            (Command(group, "[]", complain=_group_complaint),),
            "set up under another name (`./backup setup OTHER`)",
        ),
        _check(
            "registering",
            "You may register an application",
            "people sign in with one",
            (
                rest(
                    "get",
                    f"{GRAPH}/policies/authorizationPolicy",
                    expect='{"defaultUserRolePermissions": {"allowedToCreateApps": true, ...}, ...}',
                    keep={"everybody_registers": "defaultUserRolePermissions.allowedToCreateApps"},
                ),
                rest(
                    "get",
                    f"{GRAPH}/me/transitiveMemberOf/microsoft.graph.directoryRole?$$select=displayName",
                    expect='{"value": [{"displayName": "Application Developer"}]}',
                    complain=_register_complaint,
                ),
            ),
            "it takes the directory role Application Developer",
        ),
    ]


def _databricks(answers: Mapping[str, str]) -> Sequence[Step]:
    warehouse = _check(
        "databricks-warehouse",
        "The SQL warehouse is there",
        "authors are read through it",
        (
            rest(
                "get",
                "$databricks_host/api/2.0/sql/warehouses/$warehouse",
                resource=DATABRICKS,
                expect='{"id": "$warehouse", ...}',
                keep={"warehouse_id": "id"},
            ),
        ),
        "give the id that stands in the warehouse's overview, or none (--warehouse '')",
    )
    checks = [
        _check(
            "databricks-admin",
            "You are an admin of the Databricks workspace",
            "only an admin adds identities to it",
            (
                rest(
                    "get",
                    "$databricks_host/api/2.0/preview/scim/v2/Me",
                    resource=DATABRICKS,
                    expect='{"groups": [{"display": "admins", ...}], ...}',
                    complain=_admin_complaint,
                ),
            ),
            "have an admin add you to the group admins, or run the Databricks steps (--leave, docs/azure-setup.md)",
        ),
        _check(
            "databricks-root",
            "The folder to back up is there",
            "the identities get their rights on it",
            (
                rest(
                    "get",
                    "$databricks_host/api/2.0/workspace/get-status?path=$root_in_address",
                    resource=DATABRICKS,
                    expect='{"object_id": 77, "object_type": "DIRECTORY", ...}',
                    keep={"root_id": "object_id"},
                    complain=_folder_complaint,
                ),
            ),
            "make the folder in the workspace, or give another --root",
        ),
    ]
    return [*checks, warehouse] if answers.get("warehouse") else checks


def _devops() -> Sequence[Step]:
    base = "https://dev.azure.com/$organisation/_apis"
    return [
        _check(
            "devops-project",
            "The project in Azure DevOps is there",
            "the repository is in it",
            (
                rest(
                    "get",
                    f"{base}/projects/$project?api-version=7.1",
                    resource=AZURE_DEVOPS,
                    expect='{"id": "$project_id", "name": "$project", ...}',
                    keep={"project_id": "id"},
                ),
            ),
            "the organisation must be connected to this Entra ID tenant, and the project must exist",
        ),
        _check(
            "devops-rights",
            "You are an administrator of the organisation",
            "only a Project Collection Administrator adds identities to it",
            (
                rest(
                    "get",
                    f"{base}/permissions/{_COLLECTION}/2?tokens=NAMESPACE&api-version=7.1",
                    resource=AZURE_DEVOPS,
                    expect='{"value": [true]}',
                    complain=_devops_complaint,
                ),
            ),
            "have a Project Collection Administrator run the Azure DevOps steps (--leave, docs/azure-setup.md)",
        ),
    ]


def _rights_complaint(found: Any, _: Mapping[str, str]) -> str:
    held = set(found) if isinstance(found, list) else set()
    if held & _MAY_ASSIGN and held & _MAY_MAKE:
        return ""
    takes = "it takes Owner, or Contributor with a role that may assign roles"
    return f"you hold {', '.join(sorted(held)) or 'no role'} on the subscription; {takes}"


def _old_az(found: Any, _: Mapping[str, str]) -> str:
    version = str(found.get("azure-cli", "0")) if isinstance(found, dict) else "0"
    new_enough = tuple(int(p) for p in version.split(".")[:2] if p.isdecimal()) >= (2, 60)
    return "" if new_enough else f"the Azure CLI is {version}: run `az upgrade`"


def _old_func(found: Any, _: Mapping[str, str]) -> str:
    return "" if str(found).startswith("4.") else f"Core Tools are {found}: version 4 is needed"


def _disabled(found: Any, _: Mapping[str, str]) -> str:
    state = found.get("state") if isinstance(found, dict) else None
    return "" if state in ("Enabled", "PastDue", None) else f"the subscription is disabled ({state})"


def _names(found: Any) -> set[str]:
    """Names of regions, be they in rows or plain, as they are written in templates."""
    rows = found if isinstance(found, list) else []
    return {str(row.get("name") if isinstance(row, dict) else row).replace(" ", "").lower() for row in rows}


def _region_complaint(found: Any, known: Mapping[str, str]) -> str:
    names, location = _names(found), known["location"]
    if location in names:
        return ""
    near = difflib.get_close_matches(location, sorted(names), 3)
    return f"{location} is no region of this subscription" + (f"; near it: {', '.join(near)}" if near else "")


def _offer_complaint(found: Any, known: Mapping[str, str]) -> str:
    names = _names(found)
    if known["location"] in names:
        return ""
    return f"{known['location']} does not offer Flex Consumption; these do: {', '.join(sorted(names))}"


def _group_complaint(found: Any, known: Mapping[str, str]) -> str:
    for group in found if isinstance(found, list) else []:
        if (group.get("tags") or {}).get("azd-env-name") != known["name"]:
            return f"the resource group {known['resource_group_name']} is there, and not of this set-up"
        if str(group.get("location")).lower() != known["location"]:
            return (
                f"the resource group {known['resource_group_name']} is in {group.get('location')}, "
                f"not in {known['location']}: a group does not move"
            )
    return ""


def _register_complaint(found: Any, known: Mapping[str, str]) -> str:
    rows = found.get("value", []) if isinstance(found, dict) else []
    held = {row.get("displayName") for row in rows}
    if known["everybody_registers"] == "true" or held & _MAY_REGISTER:
        return ""
    return "in this tenant only some may register applications, and you are none of them"


def _admin_complaint(found: Any, _: Mapping[str, str]) -> str:
    groups = found.get("groups", []) if isinstance(found, dict) else []
    return "" if any(g.get("display") == "admins" for g in groups) else "you are no admin of the workspace"


def _folder_complaint(found: Any, known: Mapping[str, str]) -> str:
    kind = found.get("object_type") if isinstance(found, dict) else None
    return f"{known['root']} is no folder ({kind})" if kind not in ("DIRECTORY", "REPO", None) else ""


def _devops_complaint(found: Any, _: Mapping[str, str]) -> str:
    held = found.get("value") if isinstance(found, dict) else None
    if held != [False]:
        return ""
    return f"you are no Project Collection Administrator of the organisation: {json.dumps(found)}"
